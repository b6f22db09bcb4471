"""What a service listens on: addresses, names, and paths of sockets, each bound or refused in a sentence."""

import os
import re
import socket
import stat
import threading
from contextlib import ExitStack

import pytest

from linnet.config import load_config
from linnet.errors import UsageError
from linnet.serve.listen import listening


def settings(**values):
    overrides = {f"serve.{name}": value for name, value in ({"port": 0} | values).items()}
    return load_config(overrides=overrides).serve


def refused(given, match: str) -> str:
    """The sentence with which it can't be listened on."""
    with ExitStack() as opened, pytest.raises(UsageError, match=match) as caught:
        opened.enter_context(listening(given))
    return str(caught.value)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")


@pytest.mark.parametrize("host", ["127.0.0.1", " 127.0.0.1"])
def test_an_address(host):
    with listening(settings(host=host)) as listeners:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", listeners.url)
        assert (listeners.address, listeners.local) == ("127.0.0.1", True)


@ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_an_address_of_ipv6_with_and_without_brackets(host):
    with listening(settings(host=host)) as listeners:
        assert re.fullmatch(r"http://\[::1\]:\d+", listeners.url)
        assert (listeners.address, listeners.local) == ("::1", True)


@ipv6
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
def test_localhost_is_both_loopback_addresses_on_one_port(host):
    with listening(settings(host=host)) as listeners:
        addresses = [one.getsockname()[:2] for one in listeners.sockets]
        port = addresses[0][1]
        assert addresses == [("127.0.0.1", port), ("::1", port)]
        assert (listeners.url, listeners.local) == (f"http://{host}:{port}", True)


@pytest.mark.parametrize(
    ("host", "address"), [("0.0.0.0", "0.0.0.0"), pytest.param("[::]", "::", marks=ipv6)]
)
def test_every_address_is_not_local(host, address):
    with listening(settings(host=host)) as listeners:
        assert (listeners.address, listeners.local) == (address, False)


@ipv6
def test_every_address_of_ipv6_takes_ipv4_too():
    with listening(settings(host="::")) as listeners:
        (one,) = listeners.sockets
        one.listen()
        socket.create_connection(("127.0.0.1", one.getsockname()[1]), timeout=10).close()


@pytest.mark.parametrize("host", ["", " ", "*", "[]"])
def test_no_address_is_one_sentence_with_those_to_take(host):
    refused(settings(host=host), r"Expected an address .* 0\.0\.0\.0 every address, :: ")


@pytest.mark.parametrize(
    "host", ["no.such.host.invalid", "192.0.2.1", "x" * 300, "a..b", "127.0.0.1:80", "a\0b"]
)
def test_another_host_is_one_sentence(host):
    assert "\n" not in refused(settings(host=host), "--host and --port")


def test_a_port_that_is_taken():
    with listening(settings()) as listeners:
        listeners.sockets[0].listen()
        port = listeners.sockets[0].getsockname()[1]
        refused(settings(port=port), f"127.0.0.1 port {port}: Address already in use")


def test_a_path(tmp_path):
    path = tmp_path / "a.sock"
    with listening(settings(uds=str(path), host="0.0.0.0")) as listeners:
        assert (listeners.url, listeners.local) == (f"unix:{path}", True)
        mode = path.lstat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_a_socket_left_behind_is_replaced(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    with listening(settings(uds=str(path))):
        refused(settings(uds=str(path)), r"another process does.*--uds")
        assert path.exists()


def test_a_socket_whose_queue_is_full_is_not_replaced(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as busy, ExitStack() as callers:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):
            one = callers.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            try:
                one.connect(str(path))
            except BlockingIOError:
                break
        refused(settings(uds=str(path)), "another process does")


def test_of_several_that_start_at_once_one_listens(tmp_path):
    path, began, won = tmp_path / "a.sock", threading.Barrier(8), []
    done = threading.Barrier(8)

    def start() -> None:
        began.wait()
        try:
            with listening(settings(uds=str(path))) as listeners:
                won.append(listeners)
                done.wait()
        except UsageError:
            done.wait()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and not path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_what_is_no_socket_is_left_alone(tmp_path, kind):
    path = tmp_path / "precious"
    {"file": path.touch, "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()
    refused(settings(uds=str(path)), "it is no socket, and is not replaced")
    assert path.exists()


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a.sock")
    with listening(settings(uds=str(tmp_path / "link"))) as listeners:
        assert listeners.url == f"unix:{tmp_path / 'a.sock'}"
    assert (tmp_path / "link").is_symlink() and not (tmp_path / "a.sock").exists()


def test_another_service_s_socket_is_not_removed_at_the_end(tmp_path):
    path = tmp_path / "a.sock"
    with listening(settings(uds=str(path))):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.exists()


@pytest.mark.parametrize("path", ["missing/a.sock", "a" * 200])
def test_a_path_that_can_not_be_is_one_sentence(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    refused(settings(uds=path), rf"Can't listen on {path}: .*\. Choose .*--uds")
    assert not list(tmp_path.iterdir())
