import re

import jinja2
import pytest
from matplotlib.colors import to_hex

from linnet import page


def draw():
    figure, axes = page.plot()
    axes.plot([1, 2, 3], [2, 1, 3], color=page.PALETTE[0], marker="o", label="a < b")
    axes.bar([1, 2], [1, 2], color="black")
    axes.set_title("Loss & accuracy")
    axes.legend()
    return figure


def test_a_drawing_is_the_same_bytes_each_time():
    assert page.svg(draw()) == page.svg(draw())


def test_a_drawing_can_stand_inside_of_html():
    drawing = page.svg(draw())
    assert drawing.startswith("<svg ")
    assert drawing.rstrip().endswith("</svg>")
    assert "<?xml" not in drawing
    assert "<!DOCTYPE" not in drawing
    assert "Loss &amp; accuracy" in drawing  # text stays text
    assert "<script" not in drawing


def test_black_becomes_the_text_colour_of_the_page_and_the_background_is_left_out():
    drawing = page.svg(draw())
    assert "#000000" not in drawing
    assert "stroke: currentColor" in drawing
    assert "#ffffff" not in drawing.replace("opacity: 0", "").split("<defs>")[0]
    assert to_hex(page.PALETTE[0]) in drawing


def test_a_drawing_names_no_group_so_that_several_fit_one_page():
    assert not re.search(r'<g id="', page.svg(draw()))


def test_the_description_is_escaped():
    assert 'aria-label="a &lt; &#34;b&#34;"' in page.svg(draw(), 'a < "b"')


def test_a_script_that_the_drawing_font_lacks_is_left_to_the_readers_font():
    figure, axes = page.plot()
    axes.set_title("好 ไทย 😀")
    assert "好 ไทย 😀" in page.svg(figure)


@pytest.fixture
def template(monkeypatch):
    """Let a test bring its own template, beside the real base.html."""

    def use(text):
        environment = page._environment()
        loader = jinja2.ChoiceLoader([jinja2.DictLoader({"test.html": text}), environment.loader])
        monkeypatch.setattr(environment, "loader", loader)

    yield use
    page._environment.cache_clear()


PAGE = "{% extends 'base.html' %}{% block title %}{{ title }}{% endblock %}{% block content %}{{ body }}{% endblock %}"


def test_values_are_escaped_and_drawings_are_not(template):
    template(PAGE)
    text = page.render("test.html", title="<script>", body=page.svg(draw()))
    assert "<title>&lt;script&gt;</title>" in text
    assert "<svg " in text


def test_a_missing_value_is_an_error(template):
    template(PAGE)
    with pytest.raises(jinja2.UndefinedError, match="body"):
        page.render("test.html", title="a")


def test_a_page_reaches_no_other_host_and_runs_nothing(template):
    template(PAGE)
    text = page.render("test.html", title="a", body=page.svg(draw()))
    addresses = re.findall(r"""(?:src|href|action|data)=["']([^"']*)""", text) + re.findall(
        r"url\(([^)]*)\)", text
    )
    assert all(address.startswith("#") for address in addresses)
    assert "@import" not in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text


def test_numbers_are_written_for_people(template):
    template("{{ share | percent }} {{ share | percent(2) }} {{ rows | thousands }}")
    assert page.render("test.html", share=0.8125, rows=1600000) == "81.2 % 81.25 % 1,600,000"
