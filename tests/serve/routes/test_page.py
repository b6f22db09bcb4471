"""The page at /, in a real Chromium, before the real service, which fails as told."""

import asyncio
import json
import re
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import Keys, add_key
from linnet.text import clean

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the package playwright (linnet-text[dev])"
)
ROOT = Path(__file__).parents[3]

HOSTILE = "<img src=x onerror=broken=1>&lt;b&gt; \u202ea\u200b \u2066b"
EXPLAINED = re.compile("log odds|No single word")
ITEM = {
    "id": f"{0:032x}-0",
    "arm": "champion",
    "digest": "9f" * 32,
    "label": "positive",
    "labels": ["positive"],
}
ITEM |= {"probability": 0.9, "probabilities": {"negative": 0.1, "positive": 0.9}}
ITEM |= {"truncated": False, "abstained": False, "fast": False}


class Watched:
    """The real service, watched: what was asked, and what is answered instead of the truth.

    Attributes:
        asked: Requests: path, headers, JSON.
        told: By path, answers to give instead, once each: something that takes the request and gives one.
    """

    def __init__(self, app: Any):
        self._app = app
        self.reset()

    def reset(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.told: dict[str, list[Any]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        instead = await self._instead(request, body)
        if instead is not None:
            await instead(scope, receive, send)
            return
        messages = [{"type": "http.request", "body": body}]

        async def again() -> Any:
            return messages.pop() if messages else await receive()

        await self._app(scope, again, send)

    async def _instead(self, request: Request, body: bytes) -> Response | None:
        path = request.url.path
        self.asked.append((path, dict(request.headers), json.loads(body) if body else None))
        if self.told.get(path):
            answer: Response = await self.told[path].pop(0)(request)
            return answer
        return None


def refusal(request: Request, status: int, code: str, message: str, **headers: str) -> Response:
    error = {"code": code, "message": message, "request_id": request.headers["x-request-id"]}
    return JSONResponse({"error": error}, status, headers)


@pytest.fixture(scope="module")
def watched(bundle, tmp_path_factory) -> Watched:
    """The tiny bundle as champion, with a challenger and a shadow."""
    arms = {
        "next": {"bundle": str(bundle), "share": 0.2},
        "dark": {"bundle": str(bundle), "share": 1.0, "shadow": True},
    }
    log = tmp_path_factory.mktemp("log") / "predictions.db"
    overrides = {"predict.num_threads": 1, "serve.arms": arms, "prediction_log.url": str(log)}
    return Watched(create_app(Service(load_config(overrides=overrides), str(bundle))))


@pytest.fixture(scope="module")
def address(watched, listening) -> Iterator[str]:
    with listening(watched) as address:
        yield address


class Seen:
    """What a page asked of the network, and what its console said."""

    def __init__(self, page: Any):
        self.urls: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))


@pytest.fixture
def open_page(browser, watched, address, classifier) -> Iterator[Any]:
    """Opens the page in a fresh browser profile, and checks at the end that no other host was asked."""
    watched.reset()
    opened = []

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**options)
        context.set_default_timeout(60_000)
        page = context.new_page()
        opened.append((context, Seen(page)))
        page.goto(address)
        page.get_by_text(classifier.name).wait_for()
        return page

    yield open_page
    for context, seen in opened:
        context.close()
        assert seen.urls and all(url.startswith(f"{address}/") for url in seen.urls)
        # Chromium itself logs each answer of 4xx or 5xx; there is no script error and no breach of the policy beside.
        assert [line for line in seen.said if not line.startswith("Failed to load resource")] == []


@pytest.fixture
def page(open_page) -> Any:
    return open_page()


def classify(page: Any, *texts: str) -> Any:
    """Ask as a user of the keyboard does; give the cards of the answers."""
    page.get_by_label("Texts, one per line").fill("\n".join(texts))
    page.keyboard.press("Control+Enter")
    page.get_by_text(re.compile(rf"^{len(texts)} texts? in \d+ ms")).wait_for()
    cards = page.get_by_role("article")
    playwright.expect(cards).to_have_count(len(texts))
    return cards


def tell(watched: Watched, path: str, status: int, code: str, message: str, **headers: str) -> None:
    async def refuse(request: Request) -> Response:
        return refusal(request, status, code, message, **headers)

    watched.told.setdefault(path, []).append(refuse)


def answer_with(watched: Watched, **fields: Any) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse({"request_id": "r", "predictions": [ITEM | fields]})

    watched.told["/v1/predict"] = [answer]


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def test_one_text_is_answered_and_explained(page, classifier):
    text = "i love this film and the sun"
    (expected,) = classifier.predict([text])
    card = classify(page, text).first
    assert card.get_by_role("heading").inner_text() == expected.label
    terms = card.locator("dt").all_inner_texts()
    shares = card.locator("dd.number").all_inner_texts()
    assert dict(zip(terms, shares, strict=True)) == {
        k: percent(v) for k, v in expected.probabilities.items()
    }
    widths = card.locator(".fill").evaluate_all(
        "bars => bars.map(bar => parseFloat(bar.style.width))"
    )
    assert widths == pytest.approx(
        sorted((100 * v for v in expected.probabilities.values()), reverse=True), abs=1e-3
    )
    card.get_by_text("log odds").wait_for()  # one text is explained without being asked for
    words = classifier.explain(text, expected.label).words
    assert card.locator(".text mark").all_inner_texts() == [word.text for word in words]
    assert card.locator(".text").inner_text() == text
    coloured = card.locator(".text mark.for").all_inner_texts()
    assert coloured == [word.text for word in words if word.weight >= 0.05]
    most = max(words, key=lambda word: word.weight)
    assert (
        f"for {expected.label}: {most.text} +{most.weight:.2f}" in card.locator(".why").inner_text()
    )
    facts = card.locator(".facts").inner_text()
    assert facts.startswith(f"answered by champion · {classifier.digest[:12]} · ")


def test_several_texts_each_with_its_own_answer_or_error(page, watched, classifier):
    cards = classify(page, "good good film", "\u200b", "bad rain")
    assert page.get_by_role("status").first.inner_text().endswith("1 of them without an answer")
    assert "The text is empty. Send at least" in cards.nth(1).locator(".failure").inner_text()
    assert re.search(r"bad_text · request [0-9a-f]{32}$", cards.nth(1).text_content())
    for index, text in ((0, "good good film"), (2, "bad rain")):
        (expected,) = classifier.predict([text])
        assert cards.nth(index).get_by_role("heading").inner_text() == expected.label
    assert not any(path == "/v1/explain" for path, *_ in watched.asked)
    cards.nth(2).get_by_role("button", name="Which words moved it?").click()
    cards.nth(2).get_by_text(EXPLAINED).wait_for()
    assert [asked["text"] for path, _, asked in watched.asked if path == "/v1/explain"] == [
        "bad rain"
    ]


def test_blank_lines_are_no_texts(page, watched):
    page.get_by_label("Texts, one per line").fill("\n  \n")
    page.keyboard.press("Control+Enter")
    playwright.expect(page.get_by_text("No texts")).to_be_visible()
    playwright.expect(page.get_by_text("Write a text first.")).to_be_visible()
    page.get_by_label("Texts, one per line").fill("\ngood\n\n bad \n")
    playwright.expect(page.get_by_text("2 texts")).to_be_visible()
    page.get_by_role("button", name="Classify").click()
    playwright.expect(page.get_by_role("article")).to_have_count(2)
    assert [asked["texts"] for path, _, asked in watched.asked if path == "/v1/predict"] == [
        ["good", " bad "]
    ]


def test_the_model_is_named_and_another_arm_is_chosen(page, watched, classifier):
    assert classifier.digest[:12] in page.locator("#model").inner_text()
    choices = page.get_by_label("Model").get_by_role("option").all_inner_texts()
    assert choices == ["As the service chooses", "champion (80 %)", "next (20 %)"]  # no shadow
    page.get_by_label("Model").select_option("next")
    card = classify(page, "good sun").first
    card.get_by_text(EXPLAINED).wait_for()
    assert card.locator(".facts").inner_text().startswith("answered by next")
    assert [
        asked["arm"] for path, _, asked in watched.asked if path in ("/v1/predict", "/v1/explain")
    ] == ["next"] * 2


def test_feedback_is_sent_and_can_be_changed(page, watched):
    card = classify(page, "so good").first
    identity = card.locator(".facts code").last.inner_text()
    group = card.get_by_role("group", name="The right label")
    for label, other in (("negative", "positive"), ("positive", "negative")):
        group.get_by_role("button", name=label).click()
        playwright.expect(group.get_by_role("button", name=label)).to_have_attribute(
            "aria-pressed", "true"
        )
        playwright.expect(group.get_by_role("button", name=other)).to_have_attribute(
            "aria-pressed", "false"
        )
        assert watched.asked[-1][0::2] == ("/v1/feedback", {"id": identity, "label": label})
    tell(watched, "/v1/feedback", 503, "log_unavailable", "The log can't be written.")
    group.get_by_role("button", name="negative").click()
    card.get_by_text("The service can't store the right label now.").wait_for()
    playwright.expect(group.get_by_role("button", name="positive")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_the_keyboard_alone_reaches_everything(page, watched, classifier):
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.id") == "texts"  # at once
    page.keyboard.type("good film")
    page.keyboard.press("Control+Enter")
    page.get_by_text(EXPLAINED).wait_for()
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        style = page.evaluate(
            f"(({{outlineStyle, outlineWidth}}) => [outlineStyle, outlineWidth])(getComputedStyle({focused}))"
        )
        assert style == ["solid", "3px"]
        reached.append(page.evaluate(f"{focused}.id || {focused}.innerText"))
    (expected,) = classifier.predict(["good film"])
    ranked = sorted(expected.probabilities, key=lambda label: -expected.probabilities[label])
    assert reached == ["arm", "Classify", *ranked]
    page.keyboard.press("Enter")
    page.get_by_text("Noted, thank you.").wait_for()
    assert watched.asked[-1][2]["label"] == ranked[-1]


def test_a_screen_reader_hears_names_roles_and_news(page):
    card = classify(page, "good film").first
    card.get_by_text(EXPLAINED).wait_for()
    heard = page.locator("body").aria_snapshot()
    for name in (
        'heading "Linnet" [level=1]',
        'textbox "Texts, one per line"',
        'combobox "Model"',
        'button "Classify"',
        'region "Answers"',
        'group "The right label"',
        "article:",
        "status: 1 text in",
    ):
        assert name in heard, heard
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_label("Texts, one per line").get_attribute("aria-describedby") == "hint"


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "<script>broken=1</script>",
        "שלום עולם good",
        "<bdo dir=rtl>",
        "'\"`${1}</textarea>",
        "x" * 3000,
    ],
)
def test_hostile_text_is_text(open_page, text):
    page = open_page(viewport={"width": 360, "height": 740})
    card = classify(page, text, "good").first
    shown = card.locator(".text")
    assert shown.text_content() == text
    card.get_by_role("button", name="Which words moved it?").click()
    card.locator(".why").get_by_text(EXPLAINED).wait_for()
    assert shown.text_content() == clean(text)
    assert page.locator("img, article script, article b, bdo, iframe").count() == 0
    assert page.evaluate("window.broken") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_of_a_text_that_is_cut_only_what_was_read_is_shown(page):
    card = classify(page, "good bad " * 100).first
    card.get_by_text(EXPLAINED).wait_for()
    assert re.fullmatch("(good bad ?){5,99}…", card.locator(".text").text_content())


def test_hostile_labels_and_messages_are_text(page, watched):
    label = f"<b>{HOSTILE}</b>"
    answer_with(
        watched,
        label=label,
        labels=[label],
        arm=label,
        digest=label,
        probabilities={label: 0.7, "x" * 400: 0.3},
    )
    card = classify(page, "good").first
    assert card.get_by_role("heading").text_content() == label
    assert [chip.text_content() for chip in card.locator(".chip").all()][-2:] == [label, "x" * 400]
    tell(watched, "/v1/predict", 422, "invalid_request", HOSTILE)
    page.keyboard.press("Control+Enter")
    playwright.expect(page.get_by_role("alert").locator("bdi")).to_have_text(
        HOSTILE.strip(), use_inner_text=False
    )
    assert page.locator("img, article script, b").count() == 0
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"truncated": True}, "its end was cut off"),
        ({"abstained": True, "label": None, "labels": []}, "The model abstains"),
        ({"label": None, "labels": []}, "No label applies"),
        ({"fast": True}, "smaller model"),
        ({"unknown_share": 1.0}, "does not know most words of this text"),
        ({"label": "positive", "labels": ["positive", "negative"]}, "also negative"),
    ],
)
def test_what_must_be_known_of_an_answer_is_said(page, watched, fields, sentence):
    answer_with(watched, **fields)
    card = classify(page, "good")
    playwright.expect(card.get_by_text(sentence)).to_be_visible()


def test_of_many_labels_the_first_are_shown_and_the_others_on_demand(page, watched):
    shares = {f"label {number}": (20 - number) / 210 for number in range(20)}
    answer_with(watched, label="label 0", labels=["label 0"], probabilities=shares)
    card = classify(page, "good").first
    assert [text for text in card.locator("dt").all() if text.is_visible()][
        -1
    ].inner_text() == "label 4"
    card.get_by_text("15 more labels").first.click()
    assert [text for text in card.locator("dt").all() if text.is_visible()][
        -1
    ].inner_text() == "label 19"
    card.get_by_text("15 more labels").last.click()
    tell(watched, "/v1/feedback", 422, "bad_label", "As told.")
    card.get_by_role("button", name="label 19").click()
    card.get_by_text("As told.").wait_for()
    assert watched.asked[-1][2]["label"] == "label 19"


@pytest.mark.parametrize(
    ("status", "code", "headers", "sentence"),
    [
        (429, "overloaded", {"Retry-After": "7"}, "The service is busy. Try again in 7 seconds."),
        (503, "not_ready", {"Retry-After": "1"}, "Try again in 1 second."),
        (504, "deadline_exceeded", {}, "The service took too long."),
        (413, "body_too_large", {}, "These texts are too long for one request."),
        (500, "internal_error", {}, "Something went wrong in the service."),
        (403, "not_allowed", {}, "This key is not allowed to do that."),
        (418, "of_another_version", {}, "As the service says it."),
    ],
)
def test_a_refusal_speaks_to_people_and_keeps_the_answers(
    page, watched, status, code, headers, sentence
):
    classify(page, "good")
    tell(watched, "/v1/predict", status, code, "As the service says it.", **headers)
    page.keyboard.press("Control+Enter")
    alert = page.get_by_role("alert")
    alert.get_by_text(sentence).wait_for()
    assert code not in alert.inner_text()
    alert.get_by_text("Details for the operator").click()
    alert.get_by_text("As the service says it.").wait_for()
    said = alert.inner_text()
    sent = [headers["x-request-id"] for path, headers, _ in watched.asked if path == "/v1/predict"]
    assert f"{code} · HTTP {status} · request {sent[-1]}" in said and sent[0] != sent[-1]
    assert page.get_by_role("article").count() == 1
    page.get_by_text("The answers below are to the texts before.").wait_for()
    classify(page, "good")
    assert alert.inner_text() == ""


def test_an_answer_of_something_else_and_none_at_all(page, watched):
    async def not_linnet(_: Request) -> Response:
        return HTMLResponse("<h1>Bad gateway</h1>", 502)

    async def broken_off(_: Request) -> Response:
        return Response(
            "{", headers={"content-length": "1000"}
        )  # uvicorn closes the connection of such an answer

    watched.told["/v1/predict"] = [not_linnet, broken_off]
    page.get_by_label("Texts, one per line").fill("good")
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").get_by_text("not one of this service's").wait_for()
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").get_by_text("can't be reached").wait_for()
    said = page.get_by_role("alert").text_content()
    assert re.search("unreachable · request [0-9a-f]{32}$", said)


def test_models_that_are_none_are_said_to_be(open_page, watched):
    async def none(_: Request) -> Response:
        return JSONResponse({"arms": []})

    page = open_page()
    watched.told["/v1/models"] = [none]
    page.reload()
    page.get_by_role("alert").get_by_text("The page failed").wait_for()


def test_the_pictures_of_the_docs_can_be_taken_and_are_small(browser, address):
    script = runpy.run_path(str(ROOT / "scripts/screenshots.py"))
    for name, options in script["PICTURES"].items():
        taken = script["compressed"](script["picture"](browser, address, options))
        assert taken.startswith(b"\x89PNG") and len(taken) < 150_000
        assert (ROOT / "docs" / f"{name}.png").stat().st_size < 150_000


def test_an_explanation_that_fails_can_be_asked_for_again(page, watched):
    tell(watched, "/v1/explain", 429, "overloaded", "Full.")
    card = classify(page, "good sun").first
    card.get_by_text("The service is busy.").wait_for()
    card.get_by_role("button", name="Which words moved it?").click()
    card.get_by_text(EXPLAINED).wait_for()
    assert card.get_by_text("The service is busy.").count() == 0


def test_a_key_is_asked_for_and_stays_in_the_tab(browser, bundle, listening, tmp_path, classifier):
    _, right = add_key(tmp_path / "keys.json", "someone", ["predict"])
    service = Service(
        load_config(overrides={"predict.num_threads": 1, "prediction_log.url": ""}), str(bundle)
    )
    with listening(Watched(create_app(service, Keys(tmp_path / "keys.json")))) as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        alert, key = page.get_by_role("alert"), page.get_by_label("Key of this service")
        alert.get_by_text("This service asks for a key.").wait_for()
        playwright.expect(page.get_by_label("Texts, one per line")).to_be_focused()
        alert.get_by_role("button", name="Enter the key").click()
        playwright.expect(key).to_be_focused()
        assert key.get_attribute("type") == "password"
        for wrong, sentence in (("wrong", "does not take this key"), ("two words", "no spaces")):
            key.fill(wrong)
            page.keyboard.press("Tab")
            alert.get_by_text(sentence).wait_for()
        key.fill(right)
        page.keyboard.press("Enter")
        page.get_by_text(classifier.name).wait_for()
        playwright.expect(alert).to_have_text("")
        cards = classify(page, "good film")
        assert page.evaluate("Object.values(sessionStorage)") == [right]
        assert page.evaluate("localStorage.length") == 0 and context.cookies() == []
        assert right not in page.url and right not in page.content()
        cards.first.get_by_role("group", name="The right label").get_by_role("button").first.click()
        # This key is not for feedback.
        cards.first.get_by_text("This key is not allowed to do that.").wait_for()
        page.reload()
        page.get_by_text(classifier.name).wait_for()  # the tab still knows it
        other = context.new_page()
        other.goto(address)
        other.get_by_role("alert").get_by_text("asks for a key").wait_for()
        context.close()


def test_the_focus_stays_where_someone_types(page, watched):
    """Or the rest of a private text lands in the key field."""
    tell(watched, "/v1/predict", 401, "bad_key", "The key is not one of this service's.")
    page.keyboard.type("a private")
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").get_by_text("does not take this key").wait_for()
    page.keyboard.type(" text")
    assert page.get_by_label("Texts, one per line").input_value() == "a private text"
    key = page.get_by_label("Key of this service")
    assert key.input_value() == ""
    page.get_by_label("Texts, one per line").fill("")
    key.fill("secret")
    page.keyboard.press("Enter")  # with nothing to classify
    page.keyboard.type("-key")
    assert (key.input_value(), page.get_by_label("Texts, one per line").input_value()) == (
        "secret-key",
        "",
    )


def answer_many(watched: Watched, count: int) -> list[str]:
    """Have the next texts answered: some unsure, cut or failed. Gives the texts."""
    marks = [{}, {"truncated": True}, {"unknown_share": 1.0}, {"abstained": True, "label": None}]
    items = [ITEM | {"id": f"{0:032x}-{k}"} | marks[k % len(marks)] for k in range(count)]
    items[-1] = {"error": {"code": "bad_text", "message": "The text is empty."}}

    async def answer(_: Request) -> Response:
        return JSONResponse({"request_id": "r", "predictions": items})

    watched.told["/v1/predict"] = [answer]
    return [f"text {k} " + "word " * (k % 20) for k in range(count)]


def test_many_answers_are_a_dense_table_whose_rows_open(open_page, watched):
    page = open_page(viewport={"width": 1280, "height": 800})
    texts = answer_many(watched, 100)
    page.get_by_label("Texts, one per line").fill("\n".join(texts))
    page.keyboard.press("Control+Enter")
    rows = page.locator("table.dense tbody tr")
    playwright.expect(rows).to_have_count(100)
    assert page.evaluate("document.documentElement.scrollHeight") < 6_000
    assert page.locator(".tally").inner_text() == "75 positive · 24 Not sure enough to say"
    assert re.fullmatch(r"text 1 .*positive\s+cut\s+90.0\u00a0%", rows.nth(1).inner_text(), re.S)
    assert "unknown words" in rows.nth(2).inner_text()
    assert "No answer" in rows.nth(99).inner_text()
    opener = rows.nth(2).get_by_role("button")
    opener.press("Enter")
    page.get_by_text("The model does not know most words of this text.").wait_for()
    assert opener.get_attribute("aria-expanded") == "true"
    opener.press("Enter")
    playwright.expect(rows).to_have_count(100)


@pytest.mark.parametrize(("share", "shown"), [(None, False), (0.5, False), (0.51, True), (1, True)])
def test_a_text_of_unknown_words_is_marked(page, watched, share, shown):
    answer_with(watched, **({} if share is None else {"unknown_share": share}))
    card = classify(page, "good").first
    marks = card.get_by_text("The model does not know most words of this text.")
    playwright.expect(marks).to_have_count(int(shown))


def test_no_state_of_the_page_has_a_serious_finding(open_page, watched, inspect_page):
    page = open_page()
    inspect_page(page)
    classify(page, "good film", "\u200b", "x" * 3000)
    page.get_by_role("button", name="Which words moved it?").first.click()
    page.get_by_role("article").first.get_by_text(EXPLAINED).wait_for()
    tell(watched, "/v1/predict", 401, "no_key", "Expected a key; got none.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Enter the key").wait_for()
    inspect_page(page)
    page.get_by_label("Texts, one per line").fill("\n".join(answer_many(watched, 12)))
    page.keyboard.press("Control+Enter")
    page.locator(".open").nth(3).click()
    inspect_page(page)


def test_the_newest_question_wins(page, watched):
    asked, newest_shown, answered = threading.Event(), threading.Event(), threading.Event()

    async def late(request: Request) -> Response:
        asked.set()
        await asyncio.to_thread(newest_shown.wait, 60)
        answered.set()
        return JSONResponse({"request_id": "r", "predictions": [ITEM]})

    watched.told["/v1/predict"] = [late]
    page.get_by_label("Texts, one per line").fill("first")
    page.keyboard.press("Control+Enter")
    assert asked.wait(60)
    classify(page, "second good")
    newest_shown.set()
    assert answered.wait(60)
    page.wait_for_timeout(200)  # for the page to do wrong, if it would
    assert page.get_by_role("article").locator(".text").all_inner_texts() == ["second good"]
    assert page.locator("#answers").get_attribute("aria-busy") is None


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(colour[i] / 255), 0);
  const ground = (node) => { for (; node; node = node.parentElement) {
    const colour = rgb(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour; } };
  return [...document.querySelectorAll("h1, h2, p, label, button, a, dt, dd, textarea, select, code")]
    .filter((node) => node.offsetParent && node.innerText !== "")
    .map((node) => [light(rgb(getComputedStyle(node).color)), light(ground(node)), node.tagName + "." + node.className])
    .map(([a, b, name]) => [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), name]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(open_page, watched, scheme):
    page = open_page(color_scheme=scheme)
    classify(page, "good film").first.get_by_text(EXPLAINED).wait_for()
    tell(watched, "/v1/feedback", 503, "log_unavailable", "The log can't be written.")
    page.get_by_role("group", name="The right label").get_by_role("button").first.click()
    page.locator(".failure").wait_for()
    found = page.evaluate(CONTRAST)
    assert len(found) > 15
    assert [pair for pair in found if pair[0] < 4.5] == []  # WCAG 2.2, 1.4.3
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", ground)))
    assert bright > 600 if scheme == "light" else bright < 100


@pytest.mark.parametrize(("wish", "seconds"), [("reduce", "0s"), ("no-preference", "0.25s")])
def test_whoever_wants_no_motion_gets_none(open_page, wish, seconds):
    page = open_page(reduced_motion=wish)
    card = classify(page, "good film").first
    assert (
        card.locator(".fill").first.evaluate("bar => getComputedStyle(bar).transitionDuration")
        == seconds
    )


BOXES = """all => all.map((one) => one.getBoundingClientRect())
  .map(({ left, top, right, bottom }) => [left, top, right, bottom])"""


def test_a_phone_scrolls_only_down(open_page):
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    cards = classify(page, "good " * 80, "bad")
    cards.first.get_by_role("button", name="Which words moved it?").tap()
    cards.first.get_by_text(EXPLAINED).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    heights = page.get_by_role("button").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert min(heights) >= 40
    boxes = page.get_by_role("button").evaluate_all(BOXES)
    gaps = [
        max(b[0] - a[2], a[0] - b[2], b[1] - a[3], a[1] - b[3])
        for k, a in enumerate(boxes)
        for b in boxes[k + 1 :]
    ]
    assert min(gaps) >= 8  # a finger that aims at one label does not hit the next
