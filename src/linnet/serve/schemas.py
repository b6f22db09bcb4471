"""What requests and answers look like; the OpenAPI description is made from these."""

from pydantic import BaseModel, ConfigDict, Field

TEXTS = ["what a lovely day", "my train is late again..."]


class PredictRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(min_length=1, description="Raw texts, each with something to read.", examples=[TEXTS])


class ModelInfo(BaseModel):
    """The model that answered."""

    name: str = Field(description="The model's name.", examples=["tweets"])
    digest: str = Field(description="SHA-256 of the bundle's manifest.", examples=["9f86d081884c7d65" * 4])


class PredictionItem(BaseModel):
    """The answer to one text."""

    label: str = Field(description="The most probable label.", examples=["positive"])
    probability: float = Field(description="Its probability.", examples=[0.98])
    probabilities: dict[str, float] = Field(description="Every label's probability; they sum to 1.")
    truncated: bool = Field(description="Whether the text was longer than the model reads, so its end was not seen.")


class PredictResponse(BaseModel):
    """One prediction a text, in the order of the texts."""

    request_id: str = Field(description="As in the header X-Request-ID.")
    model: ModelInfo
    predictions: list[PredictionItem]


class Status(BaseModel):
    """How the service is."""

    status: str = Field(examples=["ok"])


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable, for programs.", examples=["bad_text"])
    message: str = Field(description="What was expected, what came, what to do next.")
    request_id: str = Field(description="As in the header X-Request-ID.")


class ErrorResponse(BaseModel):
    """The one shape of every failing answer."""

    error: ErrorBody
