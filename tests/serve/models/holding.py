"""Holds the workers of a service, so that its texts wait."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from linnet.serve.models.workers import Pool


@contextmanager
def held(pools: Iterable[Pool]) -> Iterator[None]:
    """Stop the workers while the block runs."""
    pids = [pid for pool in pools for pid in pool.pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
