"""What people see of the pages that stages write, in a real Chromium."""

import itertools
import re

import pytest

PAGES = [
    "two/splits/data_card.html",
    "several/report/report.html",
    "training.html",
    "study.html",
]
MORE_PAGES = [
    "many/splits/data_card.html",
    "several/splits/data_card.html",
    "two/report/report.html",
    "many/report/report.html",
]
# Tables that are cut: wider than their region, which nobody can scroll; and texts that end outside of their plot.
CUT = """() => [...document.querySelectorAll("table")].filter((table) => {
    const region = table.closest("[role=region]");
    return !region || region.tabIndex !== 0 || !region.getAttribute("aria-label");
  }).length"""
CLIPPED = """() => [...document.querySelectorAll("svg")].flatMap((plot) => {
    const frame = plot.closest("section").getBoundingClientRect();
    return [...plot.querySelectorAll("text")].filter((text) => {
      const { left, right } = text.getBoundingClientRect();
      return left < frame.left || right > frame.right;
    }).map((text) => text.textContent);
  })"""
LEVELS = "all => all.map((one) => Number(one.tagName[1]))"


@pytest.fixture
def open_page(browser, pages):
    """Opens a page; checks at the end that it ran no script and asked no other host."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))

    def open_page(name):
        page.goto((pages / name).as_uri())
        return page

    yield open_page
    assert page.evaluate("window.broken") is None
    context.close()
    assert said == [] and all(url.startswith("file:") for url in asked)


@pytest.mark.parametrize(
    "name", [*PAGES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_PAGES)]
)
def test_a_page_is_whole_and_has_no_serious_finding(open_page, inspect_page, name):
    page = open_page(name)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    inspect_page(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.evaluate(CUT) == 0
    assert page.evaluate(CLIPPED) == []
    assert page.get_by_role("main").count() == 1
    levels = page.locator("h1, h2, h3").evaluate_all(LEVELS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    text = page.locator("main").inner_text()
    assert "(s)" not in text and not re.search(r"\d %", text)
    assert page.locator("main img, main b b").count() == 0


@pytest.mark.parametrize(
    ("name", "most"), [("many/splits/data_card.html", 6_000), ("many/report/report.html", 4_500)]
)
def test_151_labels_are_folded_and_all_there(open_page, name, most):
    page = open_page(name)
    assert page.evaluate("document.documentElement.scrollHeight") < most
    assert page.get_by_text("topic 145: so").first.is_hidden()
    page.get_by_text(re.compile("^131.more (labels|classes)$")).click()
    assert page.get_by_text(re.compile("^topic 145: ")).first.is_visible()


def test_no_table_of_two_classes_scrolls_on_a_desktop(open_page):
    for name in ("two/splits/data_card.html", "two/report/report.html"):
        wide = open_page(name).evaluate(
            """() => [...document.querySelectorAll("[role=region]")]
                .filter((one) => one.scrollWidth > one.clientWidth + 1)
                .map((one) => one.getAttribute("aria-label"))"""
        )
        assert wide == []


def test_the_worst_label_comes_first_and_confused_pairs_replace_the_matrix(open_page, pages):
    page = open_page("several/report/report.html")
    cells = page.get_by_role("region", name="By label", exact=True).locator("tbody tr")
    f1s = [
        float(row.split("\u00a0")[0]) for row in cells.locator("td:nth-child(5)").all_inner_texts()
    ]
    assert f1s == sorted(f1s) and len(f1s) == 20
    page = open_page("many/report/report.html")
    assert page.get_by_role("heading", name="Most frequent mistakes").count() == 1
    assert page.get_by_role("heading", name="Confusion").count() == 0
    page = open_page("two/report/report.html")
    assert page.get_by_role("heading", name="Confusion").count() == 1


def test_messages_show_commands_as_code(open_page):
    page = open_page("study.html")
    assert "`" not in page.locator("main").inner_text()
    assert page.locator("code", has_text="linnet evaluate").count() == 1
