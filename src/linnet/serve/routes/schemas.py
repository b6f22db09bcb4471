"""What goes over the wire: the bodies of requests and answers, and with them the OpenAPI."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator

from linnet.config import MAX_ARMS, ArmConfig
from linnet.serve.errors import EXAMPLE_ID

EXAMPLE_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


EXAMPLE_ANSWER_ID = f"{EXAMPLE_ID}-0"
ARM = Field(
    description="Which model answered: `champion`, or the name of another.", examples=["champion"]
)
DIGEST = Field(
    description="SHA-256 of its bundle's manifest: it names the bundle.", examples=[EXAMPLE_DIGEST]
)
ArmName = Annotated[str, Field(max_length=40)]


class PredictRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"texts": ["what a lovely day", "I missed my train again"]}]
        },
    )

    # One wrong item says enough; a list of a million would be answered with a million complaints.
    texts: Annotated[list[str], FailFast()] = Field(
        min_length=1,
        description="Raw texts, each with at least one visible character. The service's "
        "`serve.max_texts` bounds "
        "their number and `serve.max_body_bytes` the size of the whole.",
    )
    arm: ArmName | None = Field(
        default=None,
        description="Who shall answer, as in `/v1/models`; null: as the arms' shares say.",
    )
    key: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description="What decides who answers in place of each text, such as a user's id: the "
        "same for the same key.",
    )


class ExplainRequest(BaseModel):
    """A text whose answer is to be explained."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "what a lovely day"}]}
    )

    text: str = Field(description="A raw text.")
    label: str | None = Field(
        default=None, description="The label to explain; null for the most probable."
    )
    arm: ArmName | None = Field(default=None, description="As of `/v1/predict`.")


class TextPrediction(BaseModel):
    """The answer to one text."""

    id: str = Field(
        description="Names this answer, for `/v1/feedback`.", examples=[EXAMPLE_ANSWER_ID]
    )
    arm: str = ARM
    digest: str = DIGEST
    label: str | None = Field(
        description="The most probable of `labels`; null where none applies, which only a "
        "multi-label model says, or "
        "where the model abstained.",
        examples=["positive"],
    )
    probability: float = Field(
        ge=0,
        le=1,
        description="Its probability; where there is no label, the largest of all.",
        examples=[0.97],
    )
    probabilities: dict[str, float] = Field(
        description="Every label's probability. They sum to 1; those of a multi-label model don't.",
        examples=[{"negative": 0.03, "positive": 0.97}],
    )
    truncated: bool = Field(
        description="Whether the text was too long for the model, so that its end was cut off.",
        examples=[False],
    )
    labels: list[str] = Field(
        description="The labels that apply, the most probable first: one, or from a multi-label "
        "model those whose "
        "probability reaches their threshold, which may be none.",
        examples=[["positive"]],
    )
    abstained: bool = Field(
        description="Whether the model is not sure enough of the most probable label to give it; "
        "only one with a "
        "`min_precision` abstains.",
        examples=[False],
    )
    fast: bool = Field(
        default=False,
        description="Whether the smaller model of a cascade answered, which was sure; the full "
        "one answers the rest.",
        examples=[False],
    )
    unknown_share: float = Field(
        ge=0,
        le=1,
        default=0.0,
        description="Share of the text's tokens that the model does not know. An answer to a text "
        "of "
        "unknown tokens alone says nothing of it.",
        examples=[0.0],
    )


class TextFailure(BaseModel):
    """Why one text of several has no answer."""

    error: "TextFailureInfo"


class TextFailureInfo(BaseModel):
    """As in a failure of the whole request."""

    code: str = Field(description="A stable name for programs.", examples=["bad_text"])
    message: str = Field(description="What was expected, what came, and what to do next.")
    details: dict[str, Any] | None = Field(
        default=None, examples=[{"reason": "empty_text", "index": 1}]
    )


class PredictResponse(BaseModel):
    """What became of the texts, one a text and in their order; at least one has an answer."""

    request_id: str = Field(description="As in the header `X-Request-ID`.", examples=[EXAMPLE_ID])
    predictions: list[TextPrediction | TextFailure]


class WordWeight(BaseModel):
    """A word, or adjacent ones of a long text that were left out together."""

    text: str = Field(description="The word as in the text that the model read.")
    start: int = Field(description="Its first character there.")
    end: int = Field(description="The character after it.")
    weight: float = Field(
        description="By how much the label's log odds are higher with it than without it."
    )


class ExplainResponse(BaseModel):
    """Which words moved the answer to a text."""

    request_id: str = Field(description="As in the header `X-Request-ID`.", examples=[EXAMPLE_ID])
    arm: str = ARM
    digest: str = DIGEST
    text: str = Field(description="The clean text, which the model read.")
    label: str = Field(description="The label that is explained.")
    probability: float = Field(ge=0, le=1, description="Its probability.")
    words: list[WordWeight] = Field(description="All that the model read, in order.")
    truncated: bool = Field(description="Whether the text was longer than the model reads.")


class FeedbackRequest(BaseModel):
    """What is true of an answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"id": EXAMPLE_ANSWER_ID, "label": "positive"}]},
    )

    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="The answer's.")
    label: str | None = Field(None, description="The label that its text should have.")
    labels: Annotated[list[str], Field(max_length=1000)] | None = Field(
        None,
        description="In place of `label`, all labels that its text should have. Of a multi-label "
        "model several, or none.",
    )
    source: Literal["user", "audit", "disagree", "queue"] = Field(
        "user",
        description="Why somebody looked at the text. The latest feedback of each source counts. "
        "All but `user` take a key of the scope admin too.",
    )
    annotator: Annotated[str, Field(max_length=64)] = Field(
        "", description="Who says so. Empty: the name of the key."
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.label is None) == (self.labels is None):
            raise ValueError("expected either label or labels")
        return self

    @property
    def said(self) -> list[str]:
        """The labels, given in either way."""
        return [self.label] if self.label is not None else list(self.labels or [])


class FeedbackResponse(BaseModel):
    """It is stored."""

    request_id: str = Field(description="As in the header `X-Request-ID`.", examples=[EXAMPLE_ID])
    id: str = Field(description="The answer's.", examples=[EXAMPLE_ANSWER_ID])


class EngineInfo(BaseModel):
    """How a model is run."""

    model_config = ConfigDict(from_attributes=True)

    engine: str = Field(description="What runs it.", examples=["onnxruntime"])
    variant: str = Field(description="In which precision.", examples=["int8-dynamic"])
    num_threads: int = Field(description="Threads of one batch.", examples=[1])
    num_sessions: int = Field(
        description="Batches that are computed at once, each in a process.", examples=[2]
    )
    max_batch_tokens: int = Field(
        description="Tokens in one batch, padding included.", examples=[512]
    )


class ArmInfo(BaseModel):
    """A model at work."""

    arm: str = ARM
    role: Literal["champion", "challenger", "shadow"] = Field(description="What it is for.")
    share: float = Field(
        ge=0, le=1, description="The share of the texts; for a shadow, the share that it gets too."
    )
    rolled_back: bool = Field(
        default=False,
        description="Whether the service or a person rolled it back: its share is 0 until "
        "`/admin/rollback` lifts that.",
    )
    name: str = Field(description="The model's name.", examples=["tweets"])
    digest: str = DIGEST
    labels: list[str] = Field(
        description="What it may answer.", examples=[["negative", "positive"]]
    )
    multi_label: bool = Field(description="Whether the model is multi-label.")
    min_precision: float | None = Field(
        description="The share of right ones that each label's answers were shown to reach; texts "
        "that are not sure "
        "enough of it are not answered. Null: every text is answered.",
        examples=[None],
    )
    engine: EngineInfo
    reason: str = Field(
        description="Why it is run so: as `linnet optimize` measured on this host, as asked, or "
        "by default.",
        examples=["measured on this host at 2026-11-24T12:00:00+00:00 for throughput"],
    )


class Models(BaseModel):
    """The models at work."""

    arms: list[ArmInfo]


def _few_arms(sent: Any) -> Any:
    """Refuse too many before each of them is validated."""
    if isinstance(sent, dict) and len(sent) > MAX_ARMS:
        raise ValueError(f"expected at most {MAX_ARMS} arms; got {len(sent):,}")
    return sent


class SwapRequest(BaseModel):
    """The models that shall serve; null: the present ones, with their folders read again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"arms": {"champion": {"bundle": "runs/new/bundle"}}}]},
    )

    arms: Annotated[dict[ArmName, ArmConfig] | None, BeforeValidator(_few_arms)] = Field(
        default=None,
        max_length=MAX_ARMS,
        description="Arm to its settings, as in `serve.arms`, the `champion` among them. What is "
        "not named is ended.",
    )


class SharesRequest(BaseModel):
    """How much each model shall answer."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"shares": {"challenger": 0.05}}]}
    )

    shares: Annotated[
        dict[ArmName, Annotated[float, Field(ge=0, le=1)]], BeforeValidator(_few_arms)
    ] = Field(
        min_length=1,
        max_length=MAX_ARMS,
        description="Arm to its share, from 0 to 1. The champion answers what the challengers "
        "leave; models that are not named keep their share.",
    )


class RollBackRequest(BaseModel):
    """Which challenger is rolled back, or no longer."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"arm": "challenger", "reset": True}]}
    )

    arm: ArmName = Field(description="A challenger.")
    reset: bool = Field(
        default=False,
        description="False: set its share to 0 until it is lifted. True: lift that; its share "
        "stays 0 until `/admin/shares`, and its evidence starts again.",
    )


class Health(BaseModel):
    """The process answers."""

    status: str = Field(examples=["ok"])


class Readiness(BaseModel):
    """The service is ready."""

    status: str = Field(examples=["ready"])
    arms: list[ArmInfo] | None = Field(
        default=None, description="The models; left out without a key of `admin` or `metrics`."
    )
