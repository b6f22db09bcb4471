"""The page /operate before the real service, in a real Chromium: keys, verdict, buttons, refreshing."""

import json
import os
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from linnet.bundle import Bundle
from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import Keys, add_key

from ...monitor.sample import decision, experiment, write
from .test_page import Watched

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the package playwright (linnet-text[dev])"
)
SETTINGS = {"predict.num_threads": 1, "prediction_log.url": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the commands found, and the keys of the service."""
    return tmp_path_factory.mktemp("operate")


@pytest.fixture(scope="module")
def keys(folder) -> dict[str, str]:
    return {
        scope: add_key(folder / "keys.json", scope, [scope])[1] for scope in ("admin", "predict")
    }


@pytest.fixture(scope="module")
def watched(bundle, folder, keys) -> Watched:
    """The tiny bundle twice: as champion and as candidate."""
    overrides = SETTINGS | {
        "experiment.state_file": str(folder / "rolled_back.json"),
        "monitor.directory": str(folder / "monitor"),
        "serve.arms": {"candidate": {"bundle": str(bundle), "share": 0.05}},
    }
    service = Service(load_config(overrides=overrides), str(bundle))
    return Watched(create_app(service, Keys(folder / "keys.json")))


@pytest.fixture(scope="module")
def address(watched, listening):
    with listening(watched) as address:
        yield address


def of(bundle: Path, **fields: Any) -> dict[str, Any]:
    """The experiment about the bundle at work, and a decision."""
    found = experiment()
    found["challengers"]["candidate"]["digest"] = Bundle.read(bundle).manifest.digest
    return {"experiment": found, "decision": decision() | fields}


def as_before(address: str, key: str) -> None:
    """No roll-back, and the share of the beginning."""
    for path, body in (
        ("rollback", {"arm": "candidate", "reset": True}),
        ("shares", {"shares": {"candidate": 0.05}}),
    ):
        request = urllib.request.Request(
            f"{address}/admin/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with suppress(urllib.error.HTTPError):  # nothing was rolled back
            urllib.request.urlopen(request).close()


@pytest.fixture
def open_page(browser, watched, address, folder, bundle, keys):
    """Opens the page with a key in its tab; checks that nothing but the service was asked."""
    opened = []
    as_before(address, keys["admin"])
    watched.reset()

    def open_page(key: str = "admin", **files: Any) -> Any:
        write(folder / "monitor", **of(bundle) | files)
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        page = context.new_page()
        urls, said = [], []
        page.on("request", lambda request: urls.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        opened.append((context, urls, said))
        if key:
            context.add_init_script(f"sessionStorage.setItem('linnet-key', '{keys[key]}')")
        page.goto(f"{address}/operate")
        return page

    yield open_page
    for context, urls, said in opened:
        context.close()
        assert all(url.startswith(f"{address}/") for url in urls)
        assert [line for line in said if not line.startswith("Failed to load resource")] == []


def sent(watched: Watched, path: str) -> list[Any]:
    return [body for asked, _, body in watched.asked if asked == path]


def test_the_page_is_free_and_what_it_shows_takes_an_admin(bundle, folder, keys):
    write(folder / "monitor")
    config = load_config(
        overrides=SETTINGS | {"monitor.directory": str(folder / "monitor"), "serve.arms": {}}
    )
    with TestClient(create_app(Service(config, str(bundle)), Keys(folder / "keys.json"))) as client:
        page = client.get("/operate")
        assert (
            page.status_code == 200 and "champion" not in page.text.lower().split("<main>")[1][:900]
        )
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert client.get("/admin/operate").status_code == 401
        ask = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
        assert client.get("/admin/operate", headers=ask["predict"]).status_code == 403
        found = client.get("/admin/operate", headers=ask["admin"]).json()
    assert {key: found["decision"][key] for key in decision()} == decision()
    assert [arm["arm"] for arm in found["arms"]] == ["champion"]
    assert found["age_seconds"] >= 0 and found["broken"] == found["missing"] == {}


def test_a_folder_that_is_not_there_is_no_failure(bundle, tmp_path):
    config = load_config(overrides=SETTINGS | {"monitor.directory": str(tmp_path / "none")})
    with TestClient(create_app(Service(config, str(bundle)))) as client:
        found = client.get("/admin/operate").json()
    assert set(found["missing"]) == {"drift.json", "experiment.json", "decision.json"}
    assert (found["drift"], found["age_seconds"]) == (None, None)


def test_a_key_is_asked_for(open_page, keys):
    page = open_page(key="")
    page.get_by_role("alert").get_by_text("This service asks for a key.").wait_for()
    page.get_by_label("Key of this service").fill(keys["predict"])
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("takes a key of the scope admin").wait_for()
    page.get_by_label("Key of this service").fill(keys["admin"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Raise candidate to 20\u00a0%.").wait_for()
    assert page.get_by_role("alert").inner_text() == ""


def test_what_the_decision_allows_is_a_button_and_asks_first(open_page, watched, bundle):
    page = open_page()
    button = page.get_by_role("button", name="Raise candidate to 20\u00a0%")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Raise candidate to 20\u00a0%?")
    playwright.expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    playwright.expect(button).to_be_focused()
    assert sent(watched, "/admin/shares") == []
    button.click()
    dialog.get_by_role("button", name="Raise candidate").click()
    page.get_by_text("Done: Raise candidate to 20\u00a0%.").wait_for()
    assert sent(watched, "/admin/shares") == [{"shares": {"candidate": 0.2}}]
    # The share is that of the decision now, so nothing is left to do.
    playwright.expect(page.locator("main").get_by_role("button")).to_have_count(0)


def test_a_roll_back_and_its_reset_are_offered_where_they_apply(open_page, watched, bundle, folder):
    page = open_page(**of(bundle, verdict="roll_back", next_share=None))
    page.get_by_role("button", name="Roll back candidate").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back candidate").click()
    page.get_by_text("Done: Roll back candidate.").wait_for()
    playwright.expect(page.locator("main").get_by_role("button")).to_have_count(0)
    write(folder / "monitor", **of(bundle, verdict="promote"))
    page.get_by_role("button", name="Read again").click()
    page.get_by_text("candidate was rolled back.").wait_for()
    page.get_by_role("button", name="Reset candidate").click()
    assert page.get_by_role("button", name="Raise candidate").count() == 0
    page.get_by_role("dialog").get_by_role("button", name="Reset candidate").click()
    page.get_by_role("button", name="Raise candidate").wait_for()
    assert sent(watched, "/admin/rollback") == [
        {"arm": "candidate", "reset": False},
        {"arm": "candidate", "reset": True},
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "keep"},
        {"verdict": "invalid"},
        {"verdict": "promote", "arm": "other"},
        {"verdict": "promote", "next_share": 0.05},
        {"verdict": "promote", "next_share": None},
    ],
)
def test_nothing_else_is_a_button(open_page, bundle, changes):
    page = open_page(**of(bundle, **changes))
    page.get_by_role("heading", name="Is the new model better?").wait_for()
    assert page.locator("main").get_by_role("button").count() == 0


def test_a_decision_about_another_bundle_commands_nothing(open_page):
    page = open_page(experiment=experiment())
    page.get_by_text("about another bundle than the one at work").wait_for()
    assert page.locator("main").get_by_role("button").count() == 0


def test_a_refused_command_says_why(open_page, watched):
    page = open_page()

    async def refused(_: Any) -> JSONResponse:
        error = {"code": "rolled_back", "message": "candidate was rolled back.", "request_id": "r"}
        return JSONResponse({"error": error}, 422)

    watched.told["/admin/shares"] = [refused]
    page.get_by_role("button", name="Raise candidate").click()
    page.get_by_role("dialog").get_by_role("button", name="Raise candidate").click()
    page.get_by_role("alert").get_by_text("candidate was rolled back.").wait_for()


def test_a_stale_monitor_is_said(open_page, folder):
    page = open_page()
    page.get_by_role("heading", name="Is the new model better?").wait_for()
    assert page.get_by_text("The monitor last ran").count() == 0
    long_ago = time.time() - 86_400 * 2
    os.utime(folder / "monitor" / "drift.json", (long_ago, long_ago))
    page.get_by_role("button", name="Read again").click()
    page.get_by_text("The monitor last ran 2 days ago.").wait_for()


def test_it_reads_again_by_itself_unless_somebody_is_busy_in_it(
    browser, address, watched, folder, bundle, keys
):
    as_before(address, keys["admin"])
    write(folder / "monitor", **of(bundle))
    page = browser.new_page()
    page.clock.install()
    page.add_init_script(f"sessionStorage.setItem('linnet-key', '{keys['admin']}')")
    page.goto(f"{address}/operate")
    page.get_by_role("heading", name="Raise candidate").wait_for()
    page.get_by_label("Look back").focus()
    write(folder / "monitor", **of(bundle, verdict="keep"))
    with page.expect_response("**/admin/operate"):
        page.clock.run_for(61_000)
    assert page.get_by_role("heading", name="Raise candidate").count() == 1
    page.get_by_role("button", name="Read again").focus()
    with page.expect_response("**/admin/operate"):
        page.clock.run_for(61_000)
    page.get_by_role("heading", name="Keep the champion.").wait_for()
    page.close()


def test_no_state_has_a_serious_finding(open_page, inspect_page):
    page = open_page()
    page.get_by_role("heading", name="Is the new model better?").wait_for()
    inspect_page(page)
    page.get_by_role("button", name="Raise candidate").click()
    inspect_page(page)
    page = open_page(key="")
    page.get_by_text("asks for a key").wait_for()
    inspect_page(page)
