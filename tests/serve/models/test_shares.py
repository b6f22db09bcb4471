"""What a key's day pays for, and whose turn it is, over HTTP: with a worker that is held, so that nothing is a race."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from linnet.config import load_config
from linnet.predict.explain import ASKED
from linnet.serve import Service, create_app
from linnet.serve.middleware.keys import LOOK_SECONDS, Keys, add_key
from linnet.serve.middleware.quota import Quotas
from linnet.serve.models import intake
from linnet.serve.models.items import read_texts

from .holding import held

SHORT = "0.3"  # seconds that a request waits which is given up


class Gate:
    """Reads texts as the service does, and while it is closed, not yet."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()
        self._open.set()

    def read(self, work: Any) -> Any:
        self.reached.set()
        assert self._open.wait(60)
        return read_texts(work)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let nothing through while the block runs."""
        self.reached.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()


class Site:
    """A service, and keys for it."""

    def __init__(self, client: TestClient, service: Service, path: Path, gate: Gate):
        self.client, self.service, self._path, self.gate = client, service, path, gate

    def key(self, **limits: int) -> str:
        """A new key."""
        return add_key(self._path, "a", ["predict"], **limits)[1]

    def ask(self, key: str, content: Any, route: str = "/v1/predict", timeout: str = "60") -> Any:
        """The answer."""
        headers = {"X-API-Key": key, "X-Request-Timeout": timeout}
        return self.client.post(route, json=content, headers=headers)

    def left(self, key: str) -> int:
        """Texts that a key's day still has, of 100."""
        answer = self.ask(key, {"texts": ["a"] * 8})
        count = 0
        while answer.status_code == 200:
            count += 8
            answer = self.ask(key, {"texts": ["a"] * 8})
        return count + int(answer.json()["error"]["details"]["texts_left"])


@pytest.fixture(scope="module")
def site(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    add_key(path, "first", ["predict"])
    settings = {"serve.max_texts": 8, "predict.num_threads": 1, "predict.num_sessions": 1}
    patience = {"serve.max_wait_seconds": 1.0, "prediction_log.url": ""}
    service = Service(load_config(overrides=settings | patience), str(bundle))
    hurried = itertools.count(step=LOOK_SECONDS)  # so that the file is looked at each time
    app = create_app(service, Keys(path, clock=lambda: next(hurried)), Quotas())
    gate = Gate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "read_texts", gate.read)
        with TestClient(app) as client:
            yield Site(client, service, path, gate)


def wait_until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_explanation_counts_as_the_texts_that_it_asks(site):
    key = site.key(texts_per_day=2 * ASKED + 5)
    for _ in range(2):
        assert site.ask(key, {"text": "good day"}, "/v1/explain").status_code == 200
    third = site.ask(key, {"text": "good day"}, "/v1/explain")
    assert (third.status_code, third.json()["error"]["details"]) == (429, {"texts_left": 5})
    assert site.ask(key, {"texts": ["good"] * 5}).status_code == 200
    assert site.ask(key, {"texts": ["good"]}).status_code == 429


def test_an_explanation_that_is_never_begun_counts_nothing(site):
    key = site.key(texts_per_day=ASKED)
    assert site.ask(key, {"text": "\u200b"}, "/v1/explain").status_code == 422
    assert site.ask(key, {"text": "good"}, "/v1/explain", "1e-9").status_code == 504
    assert site.ask(key, {"text": "good"}, "/v1/explain").status_code == 200


def test_a_key_of_few_texts_can_ask_for_no_explanation(site):
    answer = site.ask(site.key(texts_per_day=ASKED - 1), {"text": "good"}, "/v1/explain")
    assert answer.status_code == 422
    assert f"counts as {ASKED}" in answer.json()["error"]["message"]


def test_what_was_begun_counts_though_it_was_given_up_and_what_waited_does_not(site):
    begun, waited = site.key(texts_per_day=100), site.key(texts_per_day=100)
    explained = site.key(texts_per_day=100)
    with held(site.service.pools):
        assert site.ask(begun, {"texts": ["good"] * 5}, timeout=SHORT).status_code == 504
        assert site.ask(waited, {"texts": ["good"] * 5}, timeout=SHORT).status_code == 504
    assert site.left(waited) == 100
    assert site.left(begun) == 95
    with held(site.service.pools):
        reply = site.ask(explained, {"text": "good"}, "/v1/explain", SHORT)
        assert reply.status_code == 504
    assert site.left(explained) == 100 - ASKED


def test_unusable_texts_count_and_their_neighbours_are_answered(site):
    key = site.key(texts_per_day=100)
    assert site.ask(key, {"texts": ["good", "\u200b", "bad"]}).status_code == 200
    assert site.left(key) == 97


def test_exactly_as_many_at_once_as_the_day_has(site):
    key = site.key(texts_per_day=20)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: site.ask(key, {"texts": ["a"]}), range(60)))
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 40


def test_an_explanation_waits_as_the_answers_that_it_asks(site):
    """Its place in the queue costs as many tokens as are computed for it."""
    (pool,) = site.service.pools
    (encoding,) = pool.codec.tokenizers[0].encode(["good day"])
    with ThreadPoolExecutor(2) as threads:
        with held(site.service.pools):
            first = threads.submit(site.ask, site.key(), {"texts": ["good"]})
            wait_until(lambda: pool.queue.computing == 1)
            second = threads.submit(site.ask, site.key(), {"text": "good day"}, "/v1/explain")
            wait_until(lambda: len(pool.queue) == 1)
            assert pool.queue.tokens == ASKED * len(encoding.ids)
        assert [first.result().status_code, second.result().status_code] == [200, 200]


def test_who_waits_too_long_to_be_read_is_refused_and_no_one_else(site):
    """The bound on how far the tokenizer thread may lag, which is each share's own."""
    flood, other = site.key(), site.key()
    with ThreadPoolExecutor(1) as threads:
        with site.gate.closed():
            first = threads.submit(site.ask, flood, {"texts": ["good"]})
            assert site.gate.reached.wait(60)
            wait_until(lambda: site.ask(flood, {"texts": ["a"]}, timeout=SHORT).status_code == 429)
            refused = site.ask(flood, {"texts": ["good"]})
            explained = site.ask(flood, {"text": "good"}, "/v1/explain")
            late = site.ask(other, {"texts": ["good"]}, timeout=SHORT)
        assert [refused.status_code, explained.status_code] == [429, 429]
        assert refused.json()["error"]["code"] == "overloaded"
        assert int(refused.headers["Retry-After"]) >= 1
        assert late.status_code == 504  # it was let in, and waited
        assert first.result().status_code == 200
    assert site.ask(other, {"texts": ["good"]}).status_code == 200
