"""The page at /docs in a real Chromium: on a phone, with a key, every route tried."""

import json

import pytest

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import Keys, add_key

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the package playwright (linnet-text[dev])"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def key(keys):
    return add_key(keys, "someone", ["predict"])[1]


@pytest.fixture(scope="module")
def address(bundle, listening, keys, key):
    service = Service(
        load_config(overrides={"predict.num_threads": 1, "prediction_log.url": ""}), str(bundle)
    )
    with listening(create_app(service, Keys(keys))) as address:
        yield address


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs")
    page.get_by_role("heading", name="Words").wait_for()
    yield page
    context.close()
    assert errors == []
    assert all(url.startswith(f"{address}/") for url in asked)


def send(page, name):
    """Press a route's button; give the answer below it."""
    page.get_by_role("button", name=f"Send {name}", exact=True).click()
    answer = page.get_by_role("region", name=f"Answer of {name}", exact=True)
    answer.wait_for()
    return answer.inner_text()


def test_it_has_no_serious_finding_and_fits_a_phone(page, inspect_page):
    send(page, "GET /healthz")
    page.get_by_text("Contents").click()
    inspect_page(page)


def test_the_contents_lead_to_every_route(page, address):
    page.get_by_text("Contents").click()
    api = page.request.get(f"{address}/openapi.json").json()
    routes = [f"{method.upper()} {path}" for path, each in api["paths"].items() for method in each]
    links = page.get_by_role("navigation").get_by_role("link")
    named = [" ".join(text.split()) for text in links.all_inner_texts()]
    assert sorted(named) == sorted([*routes, *api["components"]["schemas"]])
    for target in links.evaluate_all("all => all.map((one) => one.hash.slice(1))"):
        assert page.locator(f'[id="{target}"]').count() == 1


def test_a_key_is_sent_and_kept_nowhere(page, key):
    assert "HTTP 401" in send(page, "POST /v1/predict")
    page.get_by_label("Key of this service").fill(key)
    answer = send(page, "POST /v1/predict")
    page.get_by_role("region", name="Answer of POST /v1/predict").get_by_text("HTTP 200").wait_for()
    answer = page.get_by_role("region", name="Answer of POST /v1/predict").inner_text()
    assert len(json.loads(answer.partition("\n")[2])["predictions"]) == 2
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
    assert key not in page.url and page.context.cookies() == []
    page.reload()
    assert page.get_by_label("Key of this service").input_value() == ""


def test_a_route_with_a_place_asks_for_it(page, key):
    page.get_by_label("Key of this service").fill(key)
    name = "GET /v2/models/{name}"
    card = page.get_by_role("region", name=name, exact=True)
    card.get_by_role("button", name=f"Send {name}").click()
    card.get_by_text("Fill in name first.").wait_for()
    card.get_by_label("name", exact=True).fill("no such / model")
    assert "HTTP 404" in send(page, name)
