import re

import jinja2
import pytest
from matplotlib.colors import to_hex

from linnet import html


def draw():
    figure, axes = html.plot()
    axes.plot([1, 2, 3], [2, 1, 3], color=html.PALETTE[0], marker="o", label="a < b")
    axes.bar([1, 2], [1, 2], color="black")
    axes.set_title("Loss & accuracy")
    axes.legend()
    return figure


def test_a_drawing_is_the_same_bytes_each_time():
    assert html.svg(draw()) == html.svg(draw())


def test_a_drawing_can_stand_inside_of_html():
    drawing = html.svg(draw())
    assert drawing.startswith("<svg ")
    assert drawing.rstrip().endswith("</svg>")
    assert "<?xml" not in drawing
    assert "<!DOCTYPE" not in drawing
    assert "Loss &amp; accuracy" in drawing  # text stays text
    assert "<script" not in drawing


def test_black_becomes_the_text_colour_of_the_page_and_the_background_is_left_out():
    drawing = html.svg(draw())
    assert "#000000" not in drawing
    assert "stroke: currentColor" in drawing
    assert "#ffffff" not in drawing.replace("opacity: 0", "").split("<defs>")[0]
    assert to_hex(html.PALETTE[0]) in drawing


def test_a_drawing_names_no_group_so_that_several_fit_one_page():
    assert not re.search(r'<g id="', html.svg(draw()))


def test_the_description_is_escaped():
    assert 'aria-label="a &lt; &#34;b&#34;"' in html.svg(draw(), 'a < "b"')


def test_a_script_that_the_drawing_font_lacks_is_left_to_the_readers_font():
    figure, axes = html.plot()
    axes.set_title("好 ไทย 😀")
    assert "好 ไทย 😀" in html.svg(figure)


@pytest.fixture
def template(monkeypatch):
    """Let a test bring its own template, beside the real base.html."""

    def use(text):
        environment = html._environment()
        loader = jinja2.ChoiceLoader([jinja2.DictLoader({"test.html": text}), environment.loader])
        monkeypatch.setattr(environment, "loader", loader)

    yield use
    html._environment.cache_clear()


PAGE = "{% extends 'base.html' %}{% block title %}{{ title }}{% endblock %}{% block content %}{{ body }}{% endblock %}"


def test_values_are_escaped_and_drawings_are_not(template):
    template(PAGE)
    text = html.render("test.html", title="<script>", body=html.svg(draw()))
    assert "<title>&lt;script&gt;</title>" in text
    assert "<svg " in text


def test_a_missing_value_is_an_error(template):
    template(PAGE)
    with pytest.raises(jinja2.UndefinedError, match="body"):
        html.render("test.html", title="a")


def test_a_page_reaches_no_other_host_and_runs_nothing(template):
    template(PAGE)
    text = html.render("test.html", title="a", body=html.svg(draw()))
    addresses = re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", text) + re.findall(
        r"url\(([^)]*)\)", text
    )
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text


def test_numbers_are_written_for_people(template):
    template("{{ share | percent }} {{ share | percent(2) }} {{ rows | thousands }}")
    shown = html.render("test.html", share=0.8125, rows=1600000)
    assert shown == "81.2\u00a0% 81.25\u00a0% 1,600,000"


def test_a_noun_agrees_with_its_count(template):
    template("{{ n | counted('text') }}, {{ n | counted('process', 'processes') }}")
    shown = [html.render("test.html", n=n).replace("\u00a0", " ") for n in (0, 1, 2000)]
    assert shown == ["0 texts, 0 processes", "1 text, 1 process", "2,000 texts, 2,000 processes"]


def test_no_p_value_is_0(template):
    template("{{ p | p_value }}")
    shown = [html.render("test.html", p=p) for p in (0.0, 5e-9, 0.001, 0.38)]
    assert shown == ["&lt;\u00a00.001", "&lt;\u00a00.001", "0.001", "0.380"]


def test_a_message_shows_code_as_code_and_nothing_as_markup(template):
    template("{{ text | prose }}")
    shown = html.render("test.html", text="Run `linnet <b>`: 95 % of it.")
    assert shown == "Run <code>linnet &lt;b&gt;</code>: 95\u00a0% of it."


def test_a_name_is_isolated_and_not_too_long(template):
    template("{{ name | named }}")
    assert html.render("test.html", name="\u202e<b>") == "<bdi>\u202e&lt;b&gt;</bdi>"
    assert len(html.render("test.html", name="x" * 1_000_000)) < 200
    assert len(html.plain("x y\n" * 100_000)) == html.SHOWN and "\n" not in html.plain("a\nb")
