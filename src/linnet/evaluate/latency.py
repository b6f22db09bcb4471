"""How fast a classifier answers on this machine: one text at a time, and a list at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from linnet.predict import Classifier
from linnet.predict.host import available_cores, cpu_model
from linnet.predict.plan import Plan

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
        engine: What ran the model.
        variant: In which variant.
        num_threads: Threads of one batch.
        num_sessions: Batches computed at once.
    """

    median_ms: float
    p95_ms: float
    texts_per_second: float
    texts: int
    cpu: str
    cores: int
    engine: str
    variant: str
    num_threads: int
    num_sessions: int


def measure_alone(classifier: Classifier, texts: Sequence[str]) -> list[float]:
    """Milliseconds of each of 200 answers to one text, after a warm-up."""
    milliseconds = []
    for text in islice(cycle(texts), WARM_UP + ALONE):
        started = time.perf_counter()
        classifier.predict([text])
        milliseconds.append(1000 * (time.perf_counter() - started))
    return milliseconds[WARM_UP:]


def describe(alone: Sequence[float], texts: int, seconds: float, plan: Plan) -> Latency:
    """Sum up.

    Args:
        alone: Milliseconds of single answers.
        texts: Texts answered in batches.
        seconds: What those took.
        plan: How the model was run.
    """
    median, p95 = np.quantile(alone, [0.5, 0.95]).tolist()
    cores = available_cores()
    threads = plan.num_threads or max(1, cores // plan.num_sessions)
    speed = texts / seconds
    return Latency(
        median,
        p95,
        speed,
        texts,
        cpu_model(),
        cores,
        plan.engine,
        plan.variant,
        threads,
        plan.num_sessions,
    )
