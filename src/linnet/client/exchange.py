"""One request and its retries: what to send when, and the outcome.

It sends nothing itself.

It is a generator that says what to do next and gets the outcome, so that a client that
blocks and one that doesn't share it.
"""

import math
import random
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2

from linnet.client.answers import read_failure
from linnet.errors import ServiceError

RETRIED_STATUSES = (429, 502, 503, 504)
# Whatever else is lost on the way may have been done.
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
# seconds
FIRST_WAIT = 0.1
LONGEST_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `path` is below the service's address."""

    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Do: send this, and give up when `time.monotonic()` is past the deadline."""

    request: Request
    headers: dict[str, str]
    deadline: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Do: nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    retry_after: str
    body: bytes


# What came of each: a reply or an error of a `Send`, nothing of a `Wait`.
Outcome = Reply | httpx2.RequestError | None
T = TypeVar("T")
Flow = Generator[Send | Wait, Outcome, T]


def exchange(
    request: Request, timeout: float, read: Callable[[bytes, str], T], again: bool = True
) -> Flow[T]:
    """Ask until there is an answer, or no time.

    Asked again are requests that were never sent, for want of a connection, and those answered with
    429, 502, 503 or 504: after the time in `Retry-After`, else after a random one below a limit
    that doubles ("full jitter": Brooker 2015, "Exponential Backoff And Jitter", AWS Architecture
    Blog). Every try has the same `X-Request-ID`, and says in `X-Request-Timeout` how many seconds
    are left.

    Args:
        request: What to ask.
        timeout: Seconds for all tries and waits together.
        read: Turns an answer's body and the request's id into what is returned; its ValueError
            means it can't.
        again: Whether to try again.

    Raises:
        ServiceError: There is no answer, or one that can't be read.
    """
    identity = uuid.uuid4().hex
    deadline = time.monotonic() + timeout
    tries = 0
    while True:
        left = max(deadline - time.monotonic(), 0.001)
        headers = {"X-Request-ID": identity, "X-Request-Timeout": f"{left:.3f}"}
        outcome = yield Send(request, headers, deadline)
        if isinstance(outcome, Reply) and outcome.status == 200:
            return _read(outcome, identity, read)
        failure = _failure(outcome, identity)
        pause = _pause(outcome, tries)
        if pause is None or not again or time.monotonic() + pause >= deadline:
            raise failure
        yield Wait(pause)
        tries += 1


def _read(reply: Reply, identity: str, read: Callable[[bytes, str], T]) -> T:
    try:
        return read(reply.body, identity)
    except ValueError as error:
        # Not what was wrong with it: pydantic quotes the answer, and an answer may quote a text.
        message = (
            "The answer is not what Linnet answers. Is this the service's address, and of this "
            "version?"
        )
        raise ServiceError(
            "bad_answer", message, status=reply.status, request_id=identity
        ) from error


def _failure(outcome: Outcome, identity: str) -> ServiceError:
    match outcome:
        case Reply():
            return read_failure(outcome.body, outcome.status, identity)
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            reason = str(outcome) or type(outcome).__name__
            code = "unreachable"
            message = (
                f"Can't connect to the service: {reason}. Check its address, and whether it runs."
            )
        case httpx2.TimeoutException():
            code = "deadline_exceeded"
            message = "There was no answer in time. Give it more time, or fewer texts at once."
        case _:
            code = "connection_lost"
            message = f"The connection broke before the answer was whole: {outcome}. Ask again."
    failure = ServiceError(code, message, request_id=identity)
    failure.__cause__ = outcome
    return failure


def _pause(outcome: Outcome, tries: int) -> float | None:
    """Seconds until the next try; None where there must be none."""
    if isinstance(outcome, Reply):
        if outcome.status not in RETRIED_STATUSES:
            return None
        if asked := retry_after(outcome.retry_after):
            return asked
    elif not isinstance(outcome, NEVER_SENT):
        return None
    return random.uniform(0, min(FIRST_WAIT * 2.0 ** min(tries, 30), LONGEST_WAIT))  # noqa: S311, no secret


def retry_after(value: str) -> float:
    """Seconds of a header `Retry-After`, a number or a date (RFC 9110, 10.2.3); else 0."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
