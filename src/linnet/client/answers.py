"""What a service answers, read from JSON.

What is not as described is an error, never half an answer.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from linnet.errors import ServiceError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one text: a `linnet.Prediction`, and who gave it.

    Attributes:
        id: Names this answer, for feedback.
        arm: Which of the service's models answered.
        digest: The SHA-256 that names the model's bundle.
        label: The most probable of `labels`; None where no label applies, or where the model
            abstains.
        probability: Its probability; where there is no label, the largest of all.
        probabilities: Every label's probability.
        truncated: Whether the text was longer than the model reads, so that its end was cut off.
        labels: The labels that apply, the most probable first.
        abstained: Whether the model is not sure enough of the most probable label to give it.
        fast: Whether the smaller model of a cascade answered, which was sure.
        unknown_share: Share of the text's tokens that the model does not know, 0 to 1; 0 from a
            service that does not tell it.
    """

    id: str
    arm: str
    digest: str
    label: str | None
    probability: float
    probabilities: dict[str, float]
    truncated: bool
    labels: tuple[str, ...]
    abstained: bool
    fast: bool
    unknown_share: float = 0.0


@dataclass(frozen=True, slots=True)
class WeighedWord:
    """A word of the clean text, from character `start` to before `end`.

    A `weight` above 0 speaks for the label.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class ExplainedAnswer:
    """Which words moved the answer to a text; see `linnet.Explanation`.

    Attributes:
        arm: Which of the service's models answered.
        digest: The SHA-256 that names the model's bundle.
        text: The clean text, which the model read.
        label: The label that is explained.
        probability: The label's probability.
        truncated: Whether the text was longer than the model reads.
        words: All that the model read, in order.
    """

    arm: str
    digest: str
    text: str
    label: str
    probability: float
    truncated: bool
    words: tuple[WeighedWord, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the service's models.

    Attributes:
        arm: What requests call it.
        role: `champion`, `challenger` or `shadow`.
        share: Of the traffic that names no arm, 0 to 1.
        name: The model's name.
        digest: The SHA-256 that names its bundle.
        labels: In the model's order.
        min_precision: What each label's answers were shown to reach; None: every text is answered.
        multi_label: Whether the model is multi-label.
    """

    arm: str
    role: str
    share: float
    name: str
    digest: str
    labels: tuple[str, ...]
    min_precision: float | None
    multi_label: bool


@dataclass(frozen=True, slots=True)
class _Error:
    code: str
    message: str
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    error: _Error


@dataclass(frozen=True, slots=True)
class _Predictions:
    predictions: list[Answer | _Failed]


@dataclass(frozen=True, slots=True)
class _Arms:
    arms: list[Arm]


_PREDICTIONS = TypeAdapter(_Predictions)
_ARMS = TypeAdapter(_Arms)
_EXPLAINED = TypeAdapter(ExplainedAnswer)
_FAILED = TypeAdapter(_Failed)


def read_predictions(body: bytes, count: int, request_id: str) -> list[Answer | ServiceError]:
    """One answer or error for each of `count` texts.

    Raises:
        ValueError: This is no such answer.
    """
    predictions = _PREDICTIONS.validate_json(body).predictions
    if len(predictions) != count:
        raise ValueError(f"{len(predictions)} predictions for {count} texts")
    return [_item(prediction, request_id) for prediction in predictions]


def _item(prediction: Answer | _Failed, request_id: str) -> Answer | ServiceError:
    if isinstance(prediction, Answer):
        return prediction
    error = prediction.error
    return ServiceError(
        error.code, error.message, status=200, request_id=request_id, details=error.details
    )


def read_explained(body: bytes) -> ExplainedAnswer:
    """An explanation.

    Raises:
        ValueError: This is none.
    """
    return _EXPLAINED.validate_json(body)


def read_arms(body: bytes) -> list[Arm]:
    """The service's models.

    Raises:
        ValueError: This is no list of them.
    """
    return _ARMS.validate_json(body).arms


def read_failure(body: bytes, status: int, request_id: str) -> ServiceError:
    """What the service, or something in front of it, says of its failure."""
    try:
        error = _FAILED.validate_json(body).error
    except ValueError:  # such as the page of a proxy
        message = (
            f"Expected an answer of Linnet's; HTTP {status} came without one. Is this the "
            f"service's address?"
        )
        return ServiceError(f"http_{status}", message, status=status, request_id=request_id)
    return ServiceError(
        error.code, error.message, status=status, request_id=request_id, details=error.details
    )
