"""Computing happens off the event loop, a bounded number at once, and each answer goes to its own request."""

import threading
from dataclasses import replace

import anyio
import httpx2
import numpy as np
import pytest

from linnet.errors import BundleError
from linnet.serve import create_app
from linnet.serve.service import PREDICTIONS_AT_ONCE, warm_up


class Gate:
    """Holds every prediction until it is opened, and counts how many wait at once."""

    def __init__(self, predict):
        self._predict, self._lock = predict, threading.Lock()
        self._open, self.entered = threading.Event(), threading.Event()
        self.inside = self.most = 0

    def predict(self, texts):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.set()
        assert self._open.wait(timeout=60)
        with self._lock:
            self.inside -= 1
        return self._predict(texts)

    def open(self):
        self._open.set()


@pytest.fixture
def app(classifier, settings):
    return create_app(classifier, settings)


def test_other_routes_answer_while_requests_compute(app, classifier, monkeypatch):
    gate = Gate(classifier.predict)
    monkeypatch.setattr(classifier, "predict", gate.predict)
    answers = {}

    async def ask(client, number):
        text = "good " * (number + 1)
        answers[number] = (await client.post("/v1/predict", json={"texts": [text]})).json()

    async def run():
        async with app.router.lifespan_context(app), client_of(app) as client, anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(ask, client, number)
            await anyio.to_thread.run_sync(gate.entered.wait, 60)
            for _ in range(20):
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
            assert answers == {}
            gate.open()

    anyio.run(run)
    assert gate.most == PREDICTIONS_AT_ONCE
    monkeypatch.undo()
    for number, answer in answers.items():
        (expected,) = classifier.predict(["good " * (number + 1)])
        assert answer["predictions"][0]["probabilities"] == pytest.approx(expected.probabilities)
    assert len(answers) == 12


def client_of(app) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service")


def test_one_bad_request_does_not_touch_its_neighbours(app):
    texts = [["good day"], [""], ["bad day"], ["a\0"], ["sun"]] * 4

    async def run():
        statuses = [0] * len(texts)

        async def ask(client, number):
            statuses[number] = (await client.post("/v1/predict", json={"texts": texts[number]})).status_code

        async with app.router.lifespan_context(app), client_of(app) as client, anyio.create_task_group() as tasks:
            for number in range(len(texts)):
                tasks.start_soon(ask, client, number)
        return statuses

    assert anyio.run(run) == [200, 422, 200, 422, 200] * 4


def test_warming_up_refuses_a_model_that_answers_no_probabilities(classifier, settings, monkeypatch):
    whole = classifier.predict
    monkeypatch.setattr(classifier, "predict", lambda texts: [replace(a, probability=np.nan) for a in whole(texts)])
    with pytest.raises(BundleError, match="answers a plain text with no probability"):
        create_app(classifier, settings)


def test_warming_up_reads_short_and_long_texts(classifier, monkeypatch):
    seen = []
    whole = classifier.predict
    monkeypatch.setattr(classifier, "predict", lambda texts: seen.extend(whole(texts)) or seen)
    warm_up(classifier)
    assert {answer.truncated for answer in seen} == {False, True}
