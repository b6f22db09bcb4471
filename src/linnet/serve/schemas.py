"""What goes over the wire: the bodies of requests and answers, and with them the OpenAPI."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, FailFast, Field

EXAMPLE_ID = "4f0c1b6c9a7e4d2f8b3a5c6d7e8f9012"
EXAMPLE_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class PredictRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"texts": ["what a lovely day", "I missed my train again"]}]}
    )

    # One wrong item says enough; a list of a million would be answered with a million complaints.
    texts: Annotated[list[str], FailFast()] = Field(
        min_length=1,
        description="Raw texts, each with at least one visible character. The service's `serve.max_texts` bounds "
        "their number and `serve.max_body_bytes` the size of the whole.",
    )


class ModelInfo(BaseModel):
    """Which model answered."""

    name: str = Field(description="The model's name.", examples=["tweets"])
    digest: str = Field(description="SHA-256 of the bundle's manifest: it names the bundle.", examples=[EXAMPLE_DIGEST])
    min_precision: float | None = Field(
        description="The share of right ones that each label's answers were shown to reach; texts that are not sure "
        "enough of it are not answered. Null: every text is answered.",
        examples=[None],
    )


class TextPrediction(BaseModel):
    """The answer to one text."""

    model_config = ConfigDict(from_attributes=True)

    label: str | None = Field(
        description="The most probable of `labels`; null where none applies, which only a multi-label model says, or "
        "where the model abstained.",
        examples=["positive"],
    )
    probability: float = Field(
        ge=0, le=1, description="Its probability; where there is no label, the largest of all.", examples=[0.97]
    )
    probabilities: dict[str, float] = Field(
        description="Every label's probability. They sum to 1; those of a multi-label model don't.",
        examples=[{"negative": 0.03, "positive": 0.97}],
    )
    truncated: bool = Field(
        description="Whether the text was longer than the model reads, so that its end was cut off.", examples=[False]
    )
    labels: list[str] = Field(
        description="The labels that apply, the most probable first: one, or from a multi-label model those whose "
        "probability reaches their threshold, which may be none.",
        examples=[["positive"]],
    )
    abstained: bool = Field(
        description="Whether the model is not sure enough of the most probable label to give it; only one with a "
        "`min_precision` abstains.",
        examples=[False],
    )
    fast: bool = Field(
        default=False,
        description="Whether the smaller model of a cascade answered, which was sure; the full one answers the rest.",
        examples=[False],
    )


class PredictResponse(BaseModel):
    """The answers, one a text and in their order."""

    request_id: str = Field(description="As in the header `X-Request-ID`.", examples=[EXAMPLE_ID])
    model: ModelInfo
    predictions: list[TextPrediction]


class Health(BaseModel):
    """The process answers."""

    status: str = Field(examples=["ok"])


class EngineInfo(BaseModel):
    """How the model is run."""

    model_config = ConfigDict(from_attributes=True)

    engine: str = Field(description="What runs it.", examples=["onnxruntime"])
    variant: str = Field(description="In which precision.", examples=["int8-dynamic"])
    num_threads: int = Field(description="Threads of one batch; 0: the cores it may use.", examples=[1])
    num_sessions: int = Field(description="Batches of a list that are computed at once.", examples=[2])
    max_batch_tokens: int = Field(description="Tokens in one batch, padding included.", examples=[512])


class Readiness(BaseModel):
    """The service is ready, with this model, run so."""

    status: str = Field(examples=["ready"])
    model: ModelInfo
    engine: EngineInfo
    reason: str = Field(
        description="Why it is run so: as `linnet optimize` measured on this host, as asked, or by default.",
        examples=["measured on this host at 2026-11-24T12:00:00+00:00 for throughput"],
    )


class ErrorInfo(BaseModel):
    """What went wrong."""

    code: str = Field(description="A stable name for programs.", examples=["bad_text"])
    message: str = Field(
        description="What was expected, what came, and what to do next.",
        examples=["Text 1: The text is empty. Send at least one visible character."],
    )
    request_id: str = Field(
        description="As in the header `X-Request-ID` and in the service's log.", examples=[EXAMPLE_ID]
    )
    details: dict[str, Any] | None = Field(
        default=None,
        description="More for programs, where there is more.",
        examples=[{"reason": "empty_text", "index": 1}],
    )


class ErrorResponse(BaseModel):
    """The one shape of every failure."""

    error: ErrorInfo
