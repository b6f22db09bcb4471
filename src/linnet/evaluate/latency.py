"""How fast a classifier answers on this machine: one text at a time, and a list at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from linnet.predict import Classifier
from linnet.predict.host import available_cores, cpu_model

WARM_UP = 20
ALONE = 200


@dataclass(frozen=True, slots=True)
class Latency:
    """What was measured, and on what.

    Attributes:
        median_ms: Of one text at a time, cleaning and tokenising included.
        p95_ms: 95th percentile of the same.
        texts_per_second: Of the whole list, in batches of like lengths.
        texts: Length of that list.
        cpu: The processor.
        cores: Those this process may use.
        num_threads: Those of the engine.
    """

    median_ms: float
    p95_ms: float
    texts_per_second: float
    texts: int
    cpu: str
    cores: int
    num_threads: int


def measure_alone(classifier: Classifier, texts: Sequence[str]) -> list[float]:
    """Milliseconds of each of 200 answers to one text, after a warm-up."""
    milliseconds = []
    for text in islice(cycle(texts), WARM_UP + ALONE):
        started = time.perf_counter()
        classifier.predict([text])
        milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds[WARM_UP:]


def describe(alone: Sequence[float], texts: int, seconds: float, num_threads: int) -> Latency:
    """Sum up.

    Args:
        alone: Milliseconds of single answers.
        texts: Texts answered in batches.
        seconds: What those took.
        num_threads: The setting; 0 stands for one a core.
    """
    median, p95 = np.quantile(alone, [0.5, 0.95]).tolist()
    cores = available_cores()
    return Latency(median, p95, texts / seconds, texts, cpu_model(), cores, num_threads or cores)
