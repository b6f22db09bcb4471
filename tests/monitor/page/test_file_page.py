"""drift.html in a real Chromium: whole, hostile, empty and broken; with a keyboard, on a phone, in the dark."""

import json
import re

import pytest

from linnet.monitor.page import file_page
from linnet.monitor.results import read_results

from ..sample import decision, drift, experiment, timeline, write

HOSTILE = "</script><script>broken=1</script><img src=x onerror=broken=1>\u202e&amp;\u2028'\""


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens the page of some results; checks that it ran no other script and asked no other host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def open_page(**files):
        path = tmp_path / "drift.html"
        path.write_text(file_page(read_results(write(tmp_path, **files))), encoding="utf-8")
        page.goto(path.as_uri())
        return page

    yield open_page
    assert page.evaluate("window.broken") is None
    assert page.locator("main img").count() == 0
    context.close()
    assert said == [] and all(url.startswith("file:") for url in asked)


def test_the_page_answers_what_somebody_who_is_paged_asks(open_page):
    page = open_page()
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings[0] == "Raise candidate to 20\u00a0%."
    assert "Is the new model better?" in headings and "Has the traffic changed?" in headings
    text = page.locator("main").inner_text()
    assert "2 streams left their zones since 25 Nov 2025" in text  # one incident
    assert "Unusual words of champion is above its zone: evidence 10" in text
    assert "At most a 5\u00a0% chance of any false alarm within 90 days" in text
    assert "73.1\u00a0% to 80.8\u00a0%, valid at any look" in text
    assert "n = 912" in text
    assert page.get_by_role("button").count() == 0  # a file commands nothing
    streams = page.locator(".stream h3").all_inner_texts()
    assert {streams[0].split("\n")[0], streams[1].split("\n")[0]} == {
        "Label negative",
        "Unusual words",
    }
    chart = page.get_by_role("img", name=re.compile(r"^Unusual words: evidence .* alarm at 43,200"))
    assert chart.count() == 1


def test_it_has_no_serious_finding(open_page, inspect_page):
    page = open_page()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    inspect_page(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_text("candidate", exact=True).last.click()
    page.get_by_text("The texts are unlike validation").wait_for()
    inspect_page(page)


def test_the_keyboard_chooses_the_model_and_looks_back(open_page):
    page = open_page()
    look = page.get_by_label("Look back")
    latest = look.get_attribute("aria-valuetext")
    assert latest.startswith("Latest block, ")
    figures = page.locator(".stream p").first
    before = figures.inner_text()
    look.focus()
    page.keyboard.press("Home")
    assert look.get_attribute("aria-valuetext").startswith("13 Nov 2025, 00:00")
    assert figures.inner_text() != before
    page.keyboard.press("End")
    assert (look.get_attribute("aria-valuetext"), figures.inner_text()) == (latest, before)
    page.get_by_label("champion").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("240 more audited labels would say.").wait_for()
    assert page.evaluate("document.activeElement.value") == "candidate"


def hostile(content):
    """Every text and every name replaced."""
    if isinstance(content, dict):
        kept = {"format", "arms", "challengers", "drift", "streams", "labels"}
        keys = {"verdict", "state", "role"}
        return {
            key: value if key in keys else hostile(value)
            for key, value in content.items()
            if key not in kept
        } | {
            key: content[key] if key == "format" else named(content[key])
            for key in kept & set(content)
        }
    if isinstance(content, list):
        return [hostile(each) for each in content]
    return HOSTILE if isinstance(content, str) else content


def named(content):
    if not isinstance(content, dict):
        return hostile(content)
    return {f"{HOSTILE} {key}": hostile(value) for key, value in content.items()}


def test_hostile_names_stay_text(open_page, inspect_page):
    page = open_page(
        drift=hostile(drift()), experiment=hostile(experiment()), decision=hostile(decision())
    )
    assert HOSTILE.replace("\u2028", "").split("\u202e")[0] in page.locator("main").inner_text()
    assert page.get_by_role("heading", level=2).count() > 3
    inspect_page(page)


@pytest.mark.parametrize(
    "files",
    [
        {"drift": None, "experiment": None, "decision": None},
        {"drift": b"{", "experiment": b"[]", "decision": b""},
        {
            "drift": {"format": 1},
            "experiment": {"format": 1},
            "decision": {"format": 1, "verdict": "invalid"},
        },
    ],
)
def test_missing_broken_and_empty_files_are_sentences(open_page, inspect_page, files):
    page = open_page(**files)
    text = page.locator("main").inner_text()
    assert "undefined" not in text and "NaN" not in text and "null" not in text
    if files["drift"] is None:
        assert "There is no drift.json yet: linnet monitor writes it." in text
    elif isinstance(files["drift"], bytes):
        assert "drift.json can't be used: it is no JSON in UTF-8." in text
    else:
        assert "No verdict" in text
    inspect_page(page)


def without_numbers(content):
    """Every number and list of figures left out, as an early run of the commands writes them."""
    if isinstance(content, dict):
        kept = ("format", "since", "start")
        return {k: v if k in kept else without_numbers(v) for k, v in content.items()}
    if isinstance(content, list):
        return [without_numbers(each) for each in content]
    return None if isinstance(content, float) else content


def test_figures_that_are_not_known_yet_are_dashes(open_page):
    page = open_page(
        drift=without_numbers(drift()) | {"timeline": []},
        experiment=without_numbers(experiment()),
        decision=without_numbers(decision()),
    )
    text = page.locator("main").inner_text()
    assert "undefined" not in text and "NaN" not in text and "null" not in text
    assert "–" in text


def test_many_labels_and_streams_are_folded(open_page):
    many = drift()
    blocks = timeline()
    for block in blocks:
        block["labels"] = {f"topic {number}": 1 / 77 for number in range(77)}
    many["timeline"] = blocks
    one = many["arms"]["champion"]["streams"]["tokens"]
    many["arms"]["champion"]["streams"] |= {f"label:topic {k}": one for k in range(40)}
    page = open_page(drift=many)
    assert page.get_by_text("69 other labels").count() == 1
    page.get_by_text("38 more streams").click()
    assert page.locator(".stream:visible").count() == 50


def test_equal_results_give_equal_bytes(tmp_path):
    first = file_page(read_results(write(tmp_path)))
    assert first == file_page(read_results(write(tmp_path)))
    content = first.partition('id="results">')[2].partition("</script>")[0]
    assert json.loads(content)["age_seconds"] is None
    assert content.isascii() and "<" not in content
