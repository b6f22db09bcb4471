"""A service without keys, as web pages and programs ask it, around a tiny app."""

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.errors import ConfigError
from linnet.serve.middleware.failures import ServerErrorMiddleware
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.middleware.no_keys import NoKeysMiddleware, host_name, open_to

OWN = "localhost:8000"
JSON = {"Content-Type": "application/json"}
CROSS = {"Sec-Fetch-Site": "cross-site"}
OTHER = {"Origin": "http://other.example"}
PAGE = "https://app.example"


def ask(method: str, path: str, local: bool = True, host: str = OWN, **headers: str) -> Any:
    """The answer of a service with the usual settings, or those in `settings`."""
    return client(local).request(method, path, headers=named(host, headers))


def named(host: str, headers: dict[str, str]) -> dict[str, str]:
    return {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}


def client(local: bool = True, **settings: Any) -> TestClient:
    overrides = {f"serve.{name}": value for name, value in settings.items()}
    allowed = open_to(load_config(overrides=overrides).serve, local)
    app = NoKeysMiddleware(PlainTextResponse("reached"), allowed)
    return TestClient(RequestIdMiddleware(ServerErrorMiddleware(app)), f"http://{OWN}")


LOOPBACK = [
    "localhost",
    "localhost:8000",
    "LocalHost.:1",
    "a.localhost",
    "127.0.0.1",
    "127.8.9.1:80",
    "[::1]",
    "[::1]:8000",
]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("local", [True, False])
def test_loopback_may_be_asked(host, local):
    assert ask("GET", "/v1/models", local, host).text == "reached"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.1:8000:1",
        "localhost:a@evil.example",
        "[::1].evil.example",
        "",
        ":8000",
        "192.0.2.1",
        "0.0.0.0",
        "[::]",
        "2130706433",
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/predict", "/metrics", "/nothing"])
def test_another_name_is_refused_in_the_one_shape(host, path):
    answer = ask("GET", path, host=host)
    assert answer.status_code == 421
    error = answer.json()["error"]
    assert error["code"] == "host_not_allowed" and "serve.hosts" in error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]


def test_other_addresses_are_allowed_where_they_are_listened_on_and_other_names_are_not():
    for host in ("192.0.2.1:8000", "0.0.0.0", "[2001:db8::1]:8000"):
        assert ask("GET", "/v1/models", False, host).text == "reached"
    assert ask("GET", "/v1/models", False, "evil.example").status_code == 421


def test_names_can_be_allowed():
    several = client(hosts=["Linnet.Example", "192.0.2.1", "[2001:db8::1]"])
    for host in ("linnet.example", "LINNET.example:80", "192.0.2.1:8", "[2001:db8::1]:1", OWN):
        assert several.get("/v1/models", headers={"Host": host}).text == "reached"
    assert several.get("/v1/models", headers={"Host": "a.linnet.example"}).status_code == 421
    for anyone in (client(hosts=["*"]), client(uds="a.sock"), client(False, host="evil.example")):
        assert anyone.get("/v1/models", headers={"Host": "evil.example"}).text == "reached"


@pytest.mark.parametrize("wrong", ["http://a", "a:80", "a/b", "", "a b", "*.a"])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"serve\.hosts"):
        client(hosts=[wrong])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/ping", "/v2/health/ready"])
def test_probes_are_answered_whatever_they_call_it(path):
    assert ask("GET", path, host="10.0.0.7:8000", **CROSS).text == "reached"


SENT = [
    OTHER,
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": f"http://{OWN}.evil.example"},
    {"Origin": ""},
    CROSS,
    OTHER | CROSS,
    {"Origin": f"http://{OWN}"} | CROSS,
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("POST", "/v1/predict"), ("OPTIONS", "/v1/predict"), ("GET", "/")],
)
def test_a_page_of_another_site_is_refused(sent, method, path):
    answer = client().request(method, path, headers=sent | JSON)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin_not_allowed"


@pytest.mark.parametrize(
    "sent",
    [{}, {"Origin": f"http://{OWN}", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}],
)
def test_its_own_page_and_programs_are_not(sent):
    for method, path in (("GET", "/"), ("GET", "/v1/models"), ("POST", "/v1/predict")):
        assert client().request(method, path, headers=sent | JSON).text == "reached"


def test_a_link_on_another_site_leads_to_the_page_alone():
    link = CROSS | {"Sec-Fetch-Mode": "navigate"}
    assert client().get("/", headers=link).text == client().get("/docs", headers=link).text
    assert client().get("/v1/models", headers=link).status_code == 403
    assert client().post("/", headers=link).status_code == 403


@pytest.mark.parametrize("path", ["/v1/predict", "/invocations", "/v2/models/champion/infer"])
@pytest.mark.parametrize(
    "kind", [None, "text/plain", "Text/Plain;charset=UTF-8", "multipart/form-data; boundary=a"]
)
def test_what_a_page_may_send_unasked_reaches_no_route(path, kind):
    sent = {} if kind is None else {"Content-Type": kind}
    assert client().post(path, headers=sent).text == "reached"  # a program's
    own = {"Origin": f"http://{OWN}", "Sec-Fetch-Site": "same-origin"}
    for page in (own, {"Sec-Fetch-Site": "same-site"}):
        answer = client().post(path, headers=sent | page)
        assert answer.status_code == 415
    assert client().post(path, headers=own | {"Content-Type": "text/csv"}).text == "reached"


def test_pages_that_are_named_may_ask_but_not_command():
    allowed = client(cors_origins=[PAGE], admin_without_keys=True)
    page = {"Origin": PAGE} | CROSS | JSON
    assert allowed.post("/v1/predict", headers=page).text == "reached"
    for path in ("/admin/models", "/metrics"):
        assert allowed.get(path, headers=page).status_code == 403
    assert allowed.post("/v1/predict", headers=page | OTHER).status_code == 403
    assert client(cors_origins=["*"]).post("/v1/predict", headers=page | OTHER).text == "reached"


def test_the_operators_routes_are_closed_until_they_are_asked_for():
    for path in ("/admin/models", "/admin/other"):
        refused = client().post(path, headers=JSON)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
        assert client(admin_without_keys=True).post(path, headers=JSON).text == "reached"


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("::1", "::1"), ("a.", "a"), ("[::1]", "::1")],
)
def test_names_in_hosts(host, name):
    assert host_name(host) == name
