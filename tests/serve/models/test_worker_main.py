"""A worker: a text that the model cannot take fails alone, and a model that cannot take a plain one ends it."""

import dataclasses

import numpy as np
import pytest

import linnet
from linnet.errors import BundleError
from linnet.serve.models.workers.worker_main import answer, warm_up

TEXTS = [
    "good day",
    "bad rain",
    "love love love",
]  # the last as long as no text that workers warm up with


class Picky:
    """A model that fails at texts of some lengths, or answers them with no number."""

    def __init__(self, model, fails=(), not_a_number=()):
        self.model, self.fails, self.not_a_number = model, fails, not_a_number

    def __call__(self, texts):
        lengths = [len(encodings[0].ids) for encodings in texts]
        if any(length in self.fails for length in lengths):
            raise RuntimeError("no")
        answered = self.model(texts)
        logits = answered.logits.copy()
        logits[[length in self.not_a_number for length in lengths]] = np.nan
        return dataclasses.replace(answered, logits=logits)


@pytest.fixture
def picky(bundle):
    def make(**how):
        classifier = linnet.load(bundle, verify=False, num_threads=1)
        classifier.model = Picky(classifier.model, **how)
        return classifier, classifier.codec.encode(TEXTS)

    return make


@pytest.mark.parametrize("how", ["fails", "not_a_number"])
def test_a_text_that_the_model_can_not_take_fails_alone(picky, how):
    classifier, encoded = picky()
    right, failed = answer(classifier, encoded)
    assert failed == {}
    classifier, encoded = picky(**{how: {len(encoded[2][0].ids)}})
    assert len(encoded[2][0].ids) not in {len(encoded[0][0].ids), len(encoded[1][0].ids)}
    found, failed = answer(classifier, encoded)
    assert set(failed) == {2}
    assert found.logits[:2] == pytest.approx(right.logits[:2], abs=1e-5)


@pytest.mark.parametrize("how", ["fails", "not_a_number"])
def test_a_model_that_can_not_take_a_plain_text_ends_the_worker(picky, how):
    classifier, encoded = picky(**{how: set(range(100))})
    with pytest.raises(
        BundleError, match=r"fails at a plain text|answers a plain text with no probability"
    ):
        answer(classifier, encoded)
    with pytest.raises(BundleError):
        warm_up(classifier)
