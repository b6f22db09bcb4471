"""What a client can ask, as flows of `exchange`: requests put together, answers laid out."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from linnet.client.answers import (
    Answer,
    Arm,
    ExplainedAnswer,
    read_arms,
    read_explained,
    read_predictions,
)
from linnet.client.exchange import RETRIED_STATUSES, Flow, Request, Wait, exchange
from linnet.client.split import Item, predict_body
from linnet.errors import LinnetError, ServiceError

# A request's own fault: others may still be answered. Every other failure is the service's, or the
# way's to it.
OWN_FAULTS = (200, 400, 413, 422, 500)
# Of one text among others; alone it would have been answered 503 or 429.
PASSING = ("worker_died", "not_ready", "overloaded")
PAUSE = 1.0  # seconds before such texts are sent again, as `Retry-After` would have said


@dataclass(frozen=True, slots=True)
class Choice:
    """Which arm answers: the one named, or the one that falls to a key."""

    arm: str | None = None
    sticky_key: str | None = None


def predict(
    part: Sequence[Item], choice: Choice, timeout: float
) -> Flow[list[Answer | LinnetError]]:
    """An answer or an error for each text of one request.

    Texts that have none, among others that have, for a reason that passes are sent once more. As a
    request of their own they are tried as often as any, should all of them fail again.
    """
    deadline = time.monotonic() + timeout
    results = yield from _ask(part, choice, timeout)
    missing = [place for place, result in enumerate(results) if _passes(result)]
    if missing and (left := deadline - time.monotonic() - PAUSE) > 0:
        yield Wait(PAUSE)
        again = yield from _ask([part[place] for place in missing], choice, left)
        for place, result in zip(missing, again, strict=True):
            results[place] = result
    return results


def _passes(result: Answer | LinnetError) -> bool:
    return isinstance(result, ServiceError) and result.status == 200 and result.code in PASSING


def _ask(part: Sequence[Item], choice: Choice, timeout: float) -> Flow[list[Answer | LinnetError]]:
    """An answer or an error for each text; a request that is too large is sent in halves."""
    texts = [item for item in part if isinstance(item, bytes)]
    if not texts:
        return [item for item in part if isinstance(item, LinnetError)]
    request = Request("POST", "v1/predict", predict_body(texts, choice.arm, choice.sticky_key))
    try:
        answers = yield from exchange(
            request, timeout, lambda body, identity: read_predictions(body, len(texts), identity)
        )
    except ServiceError as error:
        if len(part) > 1 and (error.status == 413 or error.code == "too_many_texts"):
            half = len(part) // 2
            first = yield from _ask(part[:half], choice, timeout)
            return first + (yield from _ask(part[half:], choice, timeout))
        answers = [error] * len(texts)
    given = iter(answers)
    return [next(given) if isinstance(item, bytes) else item for item in part]


def outage(answers: Sequence[Answer | LinnetError]) -> ServiceError | None:
    """The failure among answers that further requests would only meet again."""
    return next(
        (a for a in answers if isinstance(a, ServiceError) and a.status not in OWN_FAULTS), None
    )


def not_sent(part: Sequence[Item], reason: ServiceError) -> list[Answer | LinnetError]:
    """An error for each text that is not sent because of an outage."""
    message = f"Not sent, as the service failed before: {reason.message}"
    error = ServiceError("not_sent", message, request_id=reason.request_id)
    return [error if isinstance(item, bytes) else item for item in part]


def all_answered(results: Sequence[Answer | LinnetError]) -> list[Answer]:
    """The answers, if they are no errors.

    Raises:
        ServiceError: Some are; its `results` hold everything.
    """
    answers = [result for result in results if isinstance(result, Answer)]
    if len(answers) == len(results):
        return answers
    first = next(result for result in results if not isinstance(result, Answer))
    status = None
    identity = ""
    details = {}
    message = str(first)
    if isinstance(first, ServiceError):
        status = first.status
        identity = first.request_id
        details = first.details
        message = first.message
    if len(results) > 1:
        failed = len(results) - len(answers)
        message = (
            f"{failed:,} of {len(results):,} texts have no answer; `results` holds the others. "
            f"The first: {message}"
        )
    raise ServiceError(
        first.code, message, status=status, request_id=identity, details=details, results=results
    ) from first


def explain(text: str, label: str | None, arm: str | None, timeout: float) -> Flow[ExplainedAnswer]:
    """Which words moved an answer."""
    asked = {"text": text, "label": label, "arm": arm}
    body = json.dumps({name: value for name, value in asked.items() if value is not None}).encode()
    return exchange(
        Request("POST", "v1/explain", body), timeout, lambda body, _: read_explained(body)
    )


def feedback(
    identity: str, label: str | Sequence[str], source: str, annotator: str, timeout: float
) -> Flow[None]:
    """The right labels of an answer. Said again it says the same, so that it may be tried again."""
    content: dict[str, str | list[str]] = {"id": identity}
    if isinstance(label, str):
        content["label"] = label
    else:
        content["labels"] = list(label)
    if source != "user":  # which a service of an older version knows alone
        content["source"] = source
    if annotator:
        content["annotator"] = annotator
    body = json.dumps(content).encode()
    return exchange(Request("POST", "v1/feedback", body), timeout, lambda *_: None)


def models(timeout: float) -> Flow[list[Arm]]:
    """The service's models."""
    return exchange(Request("GET", "v1/models"), timeout, lambda body, _: read_arms(body))


def ready(timeout: float) -> Flow[bool]:
    """Whether the service can answer, asked once."""
    try:
        return (
            yield from exchange(Request("GET", "readyz"), timeout, lambda *_: True, again=False)
        )
    except ServiceError as error:
        if error.status is None or error.status in RETRIED_STATUSES:
            return False
        raise
