"""Pages of other sites against a service without keys, in a real Chromium: they read and command nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse

from linnet.config import load_config
from linnet.serve import Service, create_app
from linnet.serve.middleware.no_keys import OpenTo, open_to

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the package playwright (linnet-text[dev])"
)
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

REBOUND, NAMED, PUBLIC = "rebound.example", "linnet.example", "other.example"
HTML = "<!doctype html><title>a page</title>"
# A body without a type, which a browser sends to another site without asking first.
CROSS = """async ([address, path, text]) => {
  try {
    const body = new Blob([text]);
    return (await fetch(address + path, {method: "POST", mode: "no-cors", body})).type;
  } catch { return "blocked"; }
}"""
READ = """async ([address, path]) => {
  try { return await (await fetch(address + path)).text(); } catch { return "blocked"; }
}"""
OWN = """async ([path, body]) => {
  const headers = {"Content-Type": "application/json"};
  const options = body ? {method: "POST", headers, body: JSON.stringify(body)} : {};
  const answer = await fetch(path, options);
  return [answer.status, (await answer.json()).error?.code];
}"""
TENSOR = '{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["by a page"]}]}'
COMMANDS = [
    ("/v1/models", None),
    ("/v1/predict", {"texts": ["by a page"]}),
    ("/v1/feedback", {"id": "a-0", "label": "positive"}),
    ("/metrics", None),
    ("/admin/models", {"arms": {"champion": {"bundle": "/no/such/folder"}}}),
]


class Recorded:
    """A service, and the status of each answer that it gave."""

    def __init__(self, app: Any):
        self._app = app
        self.answers: list[tuple[str, int]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def recording(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.answers.append((scope["path"], message["status"]))
            await send(message)

        await self._app(scope, receive, recording)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium that lets public pages ask loopback, as other browsers and older ones do."""
    hosts = f"MAP {REBOUND} 127.0.0.1, MAP {NAMED} 127.0.0.1"
    flags = ["--no-sandbox", "--no-proxy-server", f"--host-resolver-rules={hosts}"]
    flags.append("--disable-features=LocalNetworkAccessChecks")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


Open = Callable[..., AbstractContextManager[tuple[Recorded, int]]]


@pytest.fixture
def opened(bundle: Path, listening) -> Open:
    """Serves the bundle without keys, with some settings; gives what it answered, and its port."""

    @contextmanager
    def opened(guarded: bool = True, **settings: Any) -> Iterator[tuple[Recorded, int]]:
        overrides = {f"serve.{name}": value for name, value in settings.items()}
        config = load_config(
            overrides=overrides | {"predict.num_threads": 1, "prediction_log.url": ""}
        )
        allowed: OpenTo | None = open_to(config.serve, True) if guarded else None
        recorded = Recorded(create_app(Service(config, str(bundle)), open_to=allowed))
        with listening(recorded) as address:
            yield recorded, int(address.rpartition(":")[2])

    return opened


def page_at(browser: Any, address: str) -> Any:
    """A page that stands at an address, whoever answers there."""
    page = browser.new_page()
    page.route(address, lambda route: route.fulfill(body=HTML, content_type="text/html"))
    page.goto(address)
    return page


def cross_site(browser: Any, page: Any, port: int) -> list[str]:
    """What a page of another origin gets for what it sends and reads."""
    address = f"http://127.0.0.1:{port}"
    sent = [
        page.evaluate(CROSS, [address, "/v2/models/champion/infer", TENSOR]),
        page.evaluate(CROSS, [address, "/invocations", '{"inputs": "by a page"}']),
    ]
    return sent + [page.evaluate(READ, [address, path]) for path in ("/v1/models", "/metrics")]


def test_pages_of_other_sites_read_and_command_nothing(browser, opened, listening):
    with opened() as (recorded, port), listening(HTMLResponse(HTML)) as local:
        for address in (f"http://{PUBLIC}/", local.replace("127.0.0.1", "localhost") + "/"):
            page = page_at(browser, address)
            found = cross_site(browser, page, port)
            assert found[2:] == ["blocked"] * 2
            page.close()
        page = page_at(browser, f"http://{REBOUND}:{port}/")
        for path, body in COMMANDS:
            assert page.evaluate(OWN, [path, body]) == [421, "host_not_allowed"]
        page.close()
        answers = [status for path, status in recorded.answers]
        assert set(answers) <= {403, 421} and answers.count(421) >= len(COMMANDS)


def test_without_the_guard_they_would(browser, opened, listening):
    """So that the test above can fail."""
    with opened(guarded=False) as (recorded, port), listening(HTMLResponse(HTML)) as local:
        page = page_at(browser, local.replace("127.0.0.1", "localhost") + "/")
        cross_site(browser, page, port)
        assert ("/v2/models/champion/infer", 200) in recorded.answers
        page.close()
        page = page_at(browser, f"http://{REBOUND}:{port}/")
        assert page.evaluate(OWN, ["/v1/predict", {"texts": ["by a page"]}]) == [200, None]
        page.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", NAMED])
def test_the_service_s_own_page_works(browser, opened, host):
    with opened(hosts=[NAMED]) as (recorded, port):
        page = browser.new_page()
        page.goto(f"http://{host}:{port}/")
        page.get_by_label("Texts, one per line").fill("good film")
        page.keyboard.press("Control+Enter")
        page.get_by_role("article").wait_for()
        # A page that is left while it asks has 499 in the log.
        page.wait_for_load_state("networkidle")
        page.goto(f"http://{host}:{port}/docs")
        page.wait_for_load_state("networkidle")
        page.close()
        assert {status for path, status in recorded.answers if path != "/favicon.ico"} == {200}
        assert "/v1/predict" in dict(recorded.answers)
