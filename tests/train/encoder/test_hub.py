"""The model hub: found in the cache, unknown, unreachable, silent. No test reaches out."""

import shutil
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from linnet.config import AUTO, FIRST_CHOICE
from linnet.errors import ModelError, UnreachableError
from linnet.train.encoder.find import find_encoder
from linnet.train.encoder.hub import SECONDS_TO_ANSWER

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub's files."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fill(cache, name, encoder):
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(encoder, folder / "snapshots" / COMMIT)


def test_an_encoder_in_the_cache_is_found_without_a_connection(cache, encoder):
    folder = fill(cache, "acme/tiny", encoder)
    found = find_encoder("acme/tiny")
    assert found.folder == folder
    assert found.identity()["revision"] == COMMIT
    assert found.identity()["source"] == "hub"


def test_half_an_encoder_in_the_cache_is_refused(cache, encoder):
    (fill(cache, "acme/tiny", encoder) / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"The encoder acme/tiny holds no tokenizer\.json"):
        find_encoder("acme/tiny")


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "acme/tiny"])
def test_offline_it_says_what_else_can_be_given(cache, name):
    with pytest.raises(UnreachableError, match=f"There is no folder '{name}'") as caught:
        find_encoder(name)
    assert "'scratch'" in str(caught.value)
    assert "'linnet-mini'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a b", "x/"])
def test_what_is_neither_folder_nor_id_is_refused(cache, name):
    with pytest.raises(ModelError, match="neither as a folder nor on the model hub"):
        find_encoder(name)


def go_online(monkeypatch, port):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def closed_port(monkeypatch):
    """The hub's address is one at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        go_online(monkeypatch, unused.getsockname()[1])
        yield


@pytest.fixture
def silent_port(monkeypatch):
    """The hub takes connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        go_online(monkeypatch, silent.getsockname()[1])
        yield


@pytest.mark.usefixtures("closed_port")
def test_a_hub_that_refuses_connections(cache):
    with pytest.raises(ModelError, match="the model hub could not be reached"):
        find_encoder("acme/tiny")


@pytest.mark.usefixtures("silent_port")
def test_a_hub_that_never_answers(cache):
    started = time.monotonic()
    with pytest.raises(ModelError, match="the model hub could not be reached"):
        find_encoder("acme/tiny")
    assert time.monotonic() - started < 3 * SECONDS_TO_ANSWER


@pytest.mark.usefixtures("closed_port")
def test_the_cache_is_used_when_the_hub_is_down(cache, encoder):
    folder = fill(cache, "acme/tiny", encoder)
    assert find_encoder("acme/tiny").folder == folder


class UnknownRepository(BaseHTTPRequestHandler):
    """Answers as the hub does of a repository it doesn't have."""

    def do_GET(self):
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def serving(monkeypatch):
    """The hub is a server of our own, which doesn't know a thing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), UnknownRepository) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        go_online(monkeypatch, server.server_address[1])
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("serving")
def test_a_hub_that_does_not_know_the_id(cache):
    with pytest.raises(
        ModelError,
        match=r"^There is no encoder 'acme/tiny', neither as a folder nor on the model hub",
    ):
        find_encoder("acme/tiny")


@pytest.mark.usefixtures("cache", "closed_port")
def test_where_none_was_named_the_built_in_one_stands_in_and_it_is_said():
    found = find_encoder(AUTO)
    assert (found.name, found.source, found.revision) == ("linnet-mini", "built-in", None)
    assert found.note.startswith(f"No encoder was named, and {FIRST_CHOICE} could not be had: ")
    assert "the built-in linnet-mini is taken" in found.note
    assert "\n" not in found.note
    assert not find_encoder("linnet-mini").note


@pytest.mark.usefixtures("closed_port")
def test_the_first_choice_is_taken_from_the_cache_when_the_hub_is_down(cache, encoder):
    folder = fill(cache, FIRST_CHOICE, encoder)
    found = find_encoder(AUTO)
    assert (found.name, found.folder, found.note) == (FIRST_CHOICE, folder, "")


@pytest.mark.usefixtures("cache", "serving")
def test_nothing_stands_in_where_the_hub_has_answered():
    with pytest.raises(ModelError, match=f"^There is no encoder '{FIRST_CHOICE}'"):
        find_encoder(AUTO)
