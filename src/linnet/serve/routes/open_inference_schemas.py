"""The bodies of the Open Inference Protocol's REST routes, and with them their OpenAPI.

Members that the protocol or an extension adds and that have no meaning here are ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

PLATFORM = "onnx_onnxv1"  # of the protocol's list: the bundle's graph, whatever engine runs it
Parameters = dict[str, Any]
Single = Annotated[list[str], Field(min_length=1, max_length=1)]


class ServerMetadata(BaseModel):
    """What answers."""

    name: str = Field(examples=["linnet"])
    version: str = Field(examples=["0.1.0"])
    extensions: list[str] = Field(
        description="The supported extensions of the protocol.", examples=[["binary_tensor_data"]]
    )


class ServerHealth(BaseModel):
    """The service is there."""

    live: bool
    ready: bool


class ModelReady(BaseModel):
    """Whether a model can answer."""

    name: str = Field(examples=["champion"])
    ready: bool


class TensorMetadata(BaseModel):
    """A tensor of a model."""

    name: str = Field(examples=["text"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(description="-1 is the number of texts.", examples=[[-1]])


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str = Field(examples=["champion"])
    versions: list[str] = Field(
        description="The digest of its bundle, A part from the start is enough."
    )
    platform: str = Field(examples=[PLATFORM])
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Parameters = Field(
        description="`labels`: what the columns of `probabilities` and `applies` are, in order.",
        examples=[{"labels": ["negative", "positive"]}],
    )


class InputTensor(BaseModel):
    """The texts."""

    model_config = ConfigDict(strict=True)

    name: Literal["text"]
    shape: list[Annotated[int, Field(ge=-1)]] = Field(
        min_length=1,
        max_length=2,
        description="`[n]`, or `[n, 1]`. -1 for n is the number of texts in `data`.",
    )
    datatype: Literal["BYTES"]
    parameters: Parameters | None = Field(
        default=None,
        description="`binary_data_size`: the bytes of this tensor that follow the JSON.",
    )
    data: Annotated[list[str | Single] | None, FailFast()] = Field(
        default=None,
        description="The texts in a row, or of `[n, 1]` each in a list of its own. "
        "Left out if the texts are sent as binary data.",
    )


class RequestedOutput(BaseModel):
    """An output that is asked for."""

    name: str = Field(max_length=40, examples=["label"])
    parameters: Parameters | None = Field(
        default=None, description="`binary_data`: whether this output is sent as binary data."
    )


class InferenceRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "inputs": [
                        {
                            "name": "text",
                            "shape": [1],
                            "datatype": "BYTES",
                            "data": ["what a lovely day"],
                        }
                    ]
                }
            ]
        },
    )

    id: str | None = Field(default=None, description="Given back in the answer.")
    parameters: Parameters | None = Field(
        default=None,
        description="`binary_data_output`: whether all outputs are sent as binary data. "
        "Others are ignored.",
    )
    inputs: list[InputTensor] = Field(
        max_length=1, description="The texts; of an empty list all outputs are empty."
    )
    outputs: list[RequestedOutput] | None = Field(
        default=None,
        max_length=40,
        description="Those to give; null or empty: all that the model has.",
    )


class OutputTensor(BaseModel):
    """A tensor of the answer."""

    name: str = Field(examples=["label"])
    datatype: str = Field(examples=["BYTES"])
    shape: list[int] = Field(examples=[[1]])
    parameters: Parameters | None = Field(
        default=None,
        description="`binary_data_size`: the bytes of this tensor that follow the JSON.",
    )
    data: list[Any] | None = Field(
        default=None,
        description="Row by row, flat. Left out of binary data.",
        examples=[["positive"]],
    )


class InferenceResponse(BaseModel):
    """What a model says of each text."""

    model_name: str = Field(description="As asked.", examples=["champion"])
    model_version: str = Field(description="The digest of its bundle.")
    id: str | None = Field(default=None, description="The request's, if it had one.")
    outputs: list[OutputTensor]
