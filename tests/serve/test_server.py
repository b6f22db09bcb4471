"""The real process: it says where it listens, refuses what it can't serve, and ends well when told to."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

import linnet
from linnet.errors import BundleError, ProofError, UsageError
from linnet.serve.middleware.keys import add_key

LINNET = [sys.executable, "-m", "linnet.cli.main", "serve"]
LINE = re.compile(r"Serving (\S+) \(([0-9a-f]{12})\) on (http://\S+:(\d+))\n")


@contextmanager
def running(bundle: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A real server of a bundle on a free port: process, host and port."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [*LINNET, str(bundle), "--port", "0", "--set", 'prediction_log.url=""', *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        line = process.stdout.readline()
        match = LINE.fullmatch(line)
        assert match, line + process.stderr.read()
        yield process, match[3], int(match[4])
    finally:
        process.kill()
        process.communicate()


def ask(address: str, *texts: str) -> dict:
    request = urllib.request.Request(
        f"{address}/v1/predict",
        json.dumps({"texts": texts}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert "server" not in response.headers
        return json.load(response)


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_start_ask_and_stop(bundle, classifier, number):
    with running(bundle) as (process, address, _):
        for _ in range(3):
            assert ask(address, "private words")["predictions"][0]["digest"] == classifier.digest
        code, out, err = end(process, number)
    assert code == 0
    assert out == ""
    assert re.search(r"INFO linnet\.serve [0-9a-f]{32} POST /v1/predict 200 in ", err)
    assert "private" not in err and "Traceback" not in err and "warning" not in err.lower()


@contextmanager
def posting(port: int, length: int) -> Iterator[http.client.HTTPConnection]:
    """A connection on which a request's head has been sent, and nothing of its body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.putrequest("POST", "/v1/predict")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        yield connection


def test_what_was_accepted_before_the_stop_is_answered(bundle):
    body = json.dumps({"texts": ["good day"]}).encode()
    with running(bundle) as (process, address, port), posting(port, len(body)) as connection:
        connection.send(body[:10])
        assert ask(address, "a")  # the half request has been read by now
        process.send_signal(signal.SIGTERM)
        wait_until_refused(port)
        connection.send(body[10:])
        with connection.getresponse() as answer:
            assert answer.status == 200
            assert len(json.load(answer)["predictions"]) == 1
        assert process.wait(timeout=60) == 0


def wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        except OSError:  # reset or late: it is being closed
            continue
    raise AssertionError("the server still accepts connections after SIGTERM")


def test_a_body_too_large_is_refused_before_it_is_sent(bundle):
    with running(bundle, "--set", "serve.max_body_bytes=1000") as (_, address, port):
        with posting(port, 1_000_000_000) as connection, connection.getresponse() as answer:
            assert answer.status == 413
            assert json.load(answer)["error"]["code"] == "body_too_large"
        assert ask(address, "a")


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\0" * 1000, b"POST / HTTP/1.1\r\n"]
)
def test_garbage_on_the_wire_leaves_it_serving(bundle, garbage, server):
    address, port = server
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(garbage)
    assert ask(address, "a")


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[tuple[str, int]]:
    """One server for tests that leave it as it is."""
    with running(bundle) as (_, address, port):
        yield address, port


def test_a_taken_port_is_one_sentence(bundle, server):
    _, port = server
    done = subprocess.run(
        [*LINNET, str(bundle), "--port", str(port)], capture_output=True, text=True
    )
    assert done.returncode == UsageError.exit_code
    assert done.stderr == (
        f"linnet: Can't listen on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with --host and --port; port 0 takes a free one.\n"
    )


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "x" * 300, "a..b"])
def test_a_host_that_is_not_ours_is_one_sentence(bundle, host):
    done = subprocess.run([*LINNET, str(bundle), "--host", host], capture_output=True, text=True)
    assert done.returncode == UsageError.exit_code
    assert done.stderr.startswith(f"linnet: Can't listen on {host} port 8000: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda bundle: (bundle / "proof.json").unlink(), BundleError),
        (lambda bundle: (bundle / "model.onnx").write_bytes(b"other"), BundleError),
        (lambda bundle: (bundle / "extra").write_text(""), BundleError),
        (lambda bundle: shutil.rmtree(bundle), BundleError),
    ],
)
def test_a_bundle_that_does_not_hold_is_never_served(bundle, tmp_path, spoil, error):
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    spoil(copy)
    done = subprocess.run([*LINNET, str(copy), "--port", "0"], capture_output=True, text=True)
    assert done.returncode == error.exit_code == ProofError.exit_code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("linnet: ")


def test_an_open_address_is_warned_of(bundle):
    with running(bundle, "--host", "0.0.0.0", "--no-auth") as (process, _, port):
        assert ask(f"http://127.0.0.1:{port}", "a")
        _, _, err = end(process)
    assert (
        "WARNING linnet.serve 0.0.0.0 port 0 is open to other machines and asks for no key" in err
    )


def status(address: str, path: str, host: str = "localhost", **headers: str) -> int:
    """The status of a GET under a name."""
    sent = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)) as client:
        client.request("GET", path, headers=sent)
        return client.getresponse().status


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_without_keys_it_says_so_and_is_closed_to_pages_and_to_operators(bundle):
    with running(bundle) as (process, address, _):
        assert status(address, "/v1/models") == 200
        assert status(address, "/v1/models", "rebound.example") == 421
        assert status(address, "/v1/models", Origin="http://other.example") == 403
        assert status(address, "/admin/models") == 403
        assert status(address, "/readyz", "10.0.0.1") == 200
        _, _, err = end(process)
    assert "asks for no key; the routes below /admin are closed" in err


def test_with_keys_it_says_which_and_no_auth_is_warned_of(bundle, tmp_path):
    path = tmp_path / "keys.json"
    _, key = add_key(path, "a", ["metrics"])
    add_key(path, "b", ["predict"])
    with running(bundle, "--keys", str(path)) as (process, address, _):
        assert status(address, "/readyz", "rebound.example") == 200
        assert status(address, "/v1/models", "rebound.example") == 401
        ready = urllib.request.Request(f"{address}/readyz", headers={"X-API-Key": key})
        with urllib.request.urlopen(ready, timeout=30) as answer:
            assert json.load(answer)["arms"][0]["arm"] == "champion"
        with urllib.request.urlopen(f"{address}/readyz", timeout=30) as answer:
            assert json.load(answer) == {"status": "ready"}
        _, _, err = end(process)
    assert f"asks for the keys of {path} (2 in force)" in err
    open_flags = ("--keys", str(path), "--no-auth", "--set", "serve.admin_without_keys=true")
    with running(bundle, *open_flags) as (process, address, _):
        assert status(address, "/admin/models") == 405
        _, _, err = end(process)
    assert f"although there are keys in {path}" in err
    assert "asks for no key; the routes below /admin are open too" in err


def test_probes_have_a_port_of_their_own_that_no_flood_takes(bundle):
    """Connections that say nothing, and more requests half sent than there may be connections."""
    port = free_port()
    flags = ("--set", f"serve.probe_port={port}", "--set", "serve.max_connections=50")
    probes = f"http://127.0.0.1:{port}"
    with running(bundle, *flags) as (process, _, main), ExitStack() as held:
        for count in range(400):
            one = held.enter_context(socket.create_connection(("127.0.0.1", main), 30))
            if count >= 200:
                one.sendall(b"GET / HTTP/1.1\r\n")
            if count % 20 == 0:
                for path in ("/healthz", "/readyz", "/metrics"):
                    assert status(probes, path) == 200
        for _ in range(100):
            held.enter_context(socket.create_connection(("127.0.0.1", port), 30))
        assert status(probes, "/healthz") == 200
        assert status(probes, "/v1/models") == 404
        code, _, err = end(process)
    assert code == 0 and f"answers probes on {probes}" in err and "Traceback" not in err


def test_a_socket_at_a_path_is_announced_asked_and_removed(bundle, tmp_path):
    path = tmp_path / "a.sock"
    process = subprocess.Popen(
        [*LINNET, str(bundle), "--uds", str(path), "--set", 'prediction_log.url=""'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline().endswith(f" on unix:{path}\n")
        with linnet.Client(f"unix:{path}") as client:
            assert client.ready()
            assert client.predict(["good day"])[0].label
        asyncio.run(ask_async(f"unix:{path}"))
        code, _, err = end(process)
    finally:
        process.kill()
        process.communicate()
    assert code == 0 and not path.exists()
    assert "asks for no key; the routes below /admin are closed" in err
    assert "open to other machines" not in err and "Traceback" not in err


async def ask_async(url: str) -> None:
    async with linnet.AsyncClient(url) as client:
        assert (await client.predict(["good day"]))[0].label


# As the JDK's client asks first, with a body, and then again over the same connection.
JAVA = """
import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0] + "/v1/predict"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\\"texts\\": [\\"good day\\"]}"))
            .build();
        for (int time = 0; time < 3; time++) {
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="this host has no java")
def test_the_client_of_the_jdk(server, tmp_path):
    (tmp_path / "Ask.java").write_text(JAVA)
    done = subprocess.run(
        ["java", "Ask.java", server[0]], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert [line[:13] for line in lines] == ["200 HTTP_1_1 "] * 3, done.stderr
    assert all('"label"' in line for line in lines)


def curl_features() -> str:
    try:
        return subprocess.run(["curl", "-V"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""


@pytest.mark.skipif("HTTP2" not in curl_features(), reason="this host has no curl with HTTP/2")
def test_curl_that_offers_http2(server):
    texts = {"texts": ["good day " * 100] * 200}  # large enough to be sent in parts
    for body in ({"texts": ["good day"]}, texts):
        options = ["--http2", "-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run(
            ["curl", "-sS", *options, f"{server[0]}/v1/predict"],
            input=json.dumps(body).encode(),
            capture_output=True,
            timeout=60,
        )
        assert len(json.loads(done.stdout)["predictions"]) == len(body["texts"]), done.stderr
