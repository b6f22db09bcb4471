"""The Open Inference Protocol, version 2, over REST: texts as a tensor in, labels and probabilities as tensors out.

https://github.com/kserve/open-inference-protocol: specification/protocol/inference_rest.md, open_inference_rest.yaml.
None of its extensions is here: binary tensors are not taken. Failures have the protocol's own shape (see `failures`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, FailFast, Field

from linnet import __version__
from linnet.bundle import Manifest
from linnet.serve.arms import Arm
from linnet.serve.failures import Refusal, protocol_responses
from linnet.serve.routes import (
    answer_texts,
    body_schema,
    raise_refusal,
    read_json,
    require_json,
    service_of,
    timeout_of,
)
from linnet.serve.service import Item, Service
from linnet.serve.workers import Answer

PLATFORM = (
    "onnx_onnxv1"  # of the protocol's list: what a bundle's graph is, whatever engine runs it
)
MIN_VERSION = 12  # digits of a digest that name it, as the service's own first line has them
BINARY = "Inference-Header-Content-Length"  # of the extension for binary tensors
# Said here and read from the path by `_model`: FastAPI would promise its own 422 for them.
NAME, VERSION = (
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("name", "version")
)
OF_MODEL, OF_VERSION = {"parameters": [NAME]}, {"parameters": [NAME, VERSION]}
Parameters = dict[str, Any]
Single = Annotated[list[str], Field(min_length=1, max_length=1)]

router = APIRouter(prefix="/v2")


class ServerMetadata(BaseModel):
    """What answers."""

    name: str = Field(examples=["linnet"])
    version: str = Field(examples=["0.1.0"])
    extensions: list[str] = Field(description="Of the protocol: none.")


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
        description="The digest of its bundle, of which a part from the start will do."
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

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Literal["text"]
    shape: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, max_length=2, description="`[n]`, or `[n, 1]`."
    )
    datatype: Literal["BYTES"]
    parameters: Parameters | None = Field(default=None, description="None has a meaning here.")
    data: Annotated[list[str | Single], FailFast()] = Field(
        description="The texts in a row, or of `[n, 1]` each in a list of its own."
    )

    def texts(self) -> list[str]:
        """The texts.

        Raises:
            Refusal: Shape and data don't fit.
        """
        texts = [row if isinstance(row, str) else row[0] for row in self.data]
        nested = sum(isinstance(row, list) for row in self.data)
        flat_fits = not nested and self.shape in ([len(texts)], [len(texts), 1])
        if not flat_fits and not (nested == len(texts) and self.shape == [len(texts), 1]):
            raise Refusal(
                400,
                "bad_shape",
                f"Expected the shape [n] or [n, 1] and data of such a shape; got {self.shape!s:.80} and {len(texts)} "
                f"texts, {nested} of them in lists of their own.",
            )
        return texts


class RequestedOutput(BaseModel):
    """An output that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=40, examples=["label"])
    parameters: Parameters | None = Field(default=None, description="None has a meaning here.")


class InferenceRequest(BaseModel):
    """Texts to classify."""

    model_config = ConfigDict(
        extra="forbid",
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
    parameters: Parameters | None = Field(default=None, description="None has a meaning here.")
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
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
    data: list[Any] = Field(description="Row by row, flat.", examples=[["positive"]])


class InferenceResponse(BaseModel):
    """What a model says of each text."""

    model_name: str = Field(description="As asked.", examples=["champion"])
    model_version: str = Field(description="The digest of its bundle.")
    id: str | None = Field(default=None, description="The request's, if it had one.")
    outputs: list[OutputTensor]


@dataclass(frozen=True)
class Output:
    """What a model gives of each text.

    Attributes:
        datatype: Of the protocol's.
        wide: Whether it has a column a label.
        values: Of one text: a value, or one a label.
    """

    datatype: str
    wide: bool
    values: Callable[[Item, Answer, Sequence[str]], Sequence[Any]]


OUTPUTS = {
    # A tensor has no null: "" where the model gives no label.
    "label": Output("BYTES", False, lambda _, answer, __: [answer.prediction.label or ""]),
    "probability": Output("FP64", False, lambda _, answer, __: [answer.prediction.probability]),
    "probabilities": Output(
        "FP64",
        True,
        lambda _, answer, labels: [answer.prediction.probabilities[label] for label in labels],
    ),
    "applies": Output(
        "BOOL",
        True,
        lambda _, answer, labels: [label in answer.prediction.labels for label in labels],
    ),
    "truncated": Output("BOOL", False, lambda _, answer, __: [answer.prediction.truncated]),
    "abstained": Output("BOOL", False, lambda _, answer, __: [answer.prediction.abstained]),
    "id": Output("BYTES", False, lambda item, _, __: [item.id]),
}


@router.get("", summary="Open Inference: what answers?", responses=protocol_responses(500))
@router.get("/", include_in_schema=False)  # as open_inference_rest.yaml has it
async def server_metadata() -> ServerMetadata:
    """Name, version, and the extensions of the protocol, of which there are none."""
    return ServerMetadata(name="linnet", version=__version__, extensions=[])


@router.get(
    "/health/live",
    summary="Open Inference: is the process alive?",
    responses=protocol_responses(500),
)
async def live(service: Annotated[Service, Depends(service_of)]) -> ServerHealth:
    """Answers as long as the process does; `ready` says more of it than the protocol asks."""
    try:
        service.check_ready()
    except Refusal:
        return ServerHealth(live=True, ready=False)
    return ServerHealth(live=True, ready=True)


@router.get(
    "/health/ready",
    summary="Open Inference: can the service answer?",
    responses=protocol_responses(500, 503),
)
async def ready(service: Annotated[Service, Depends(service_of)]) -> ServerHealth:
    """As `/readyz`: 200 when every model is loaded and every worker up, else 503."""
    service.check_ready()
    return ServerHealth(live=True, ready=True)


@router.get(
    "/models/{name}",
    summary="Open Inference: what a model takes and gives",
    responses=protocol_responses(404, 500, 503),
    openapi_extra=OF_MODEL,
)
@router.get(
    "/models/{name}/versions/{version}",
    summary="Open Inference: what a version of a model takes and gives",
    responses=protocol_responses(404, 500, 503),
    openapi_extra=OF_VERSION,
)
async def model_metadata(request: Request) -> ModelMetadata:
    """The name is an arm's, as in `/v1/models`, or the champion's bundle's; the version is the bundle's digest."""
    manifest = _model(request).pool.bundle.manifest
    width = len(manifest.labels)
    return ModelMetadata(
        name=request.path_params["name"],
        versions=[manifest.digest],
        platform=PLATFORM,
        inputs=[TensorMetadata(name="text", datatype="BYTES", shape=[-1])],
        outputs=[
            TensorMetadata(
                name=key, datatype=output.datatype, shape=[-1, width] if output.wide else [-1]
            )
            for key, output in OUTPUTS.items()
        ],
        parameters={"labels": list(manifest.labels)},
    )


@router.get(
    "/models/{name}/ready",
    summary="Open Inference: can a model answer?",
    responses=protocol_responses(404, 500, 503),
    openapi_extra=OF_MODEL,
)
@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="Open Inference: can a version of a model answer?",
    responses=protocol_responses(404, 500, 503),
    openapi_extra=OF_VERSION,
)
async def model_ready(request: Request) -> ModelReady:
    """200 when the model is loaded and all its workers are up, else 503."""
    unready = _model(request).pool.unready
    if unready:
        raise Refusal(503, "not_ready", unready, headers={"Retry-After": "1"})
    return ModelReady(name=request.path_params["name"], ready=True)


@router.post(
    "/models/{name}/infer",
    summary="Open Inference: classify texts",
    response_model=InferenceResponse,
    responses=protocol_responses(400, 404, 413, 415, 429, 500, 503, 504),
    openapi_extra=OF_MODEL | body_schema(InferenceRequest),
)
@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Open Inference: classify texts by a version of a model",
    response_model=InferenceResponse,
    responses=protocol_responses(400, 404, 413, 415, 429, 500, 503, 504),
    openapi_extra=OF_VERSION | body_schema(InferenceRequest),
)
async def infer(request: Request) -> Response:
    """The tensor `text` in; the tensors that `outputs` asks for out, or all.

    The protocol has no error for one text: where one can't be used the request fails, and its error says which.
    """
    arm, asked = _model(request), await _body(request)
    (tensor,), outputs = asked.inputs, _outputs(asked)
    items = await answer_texts(request, tensor.texts(), arm.name, timeout=timeout_of(request))
    raise_refusal(request, items)
    answers = []
    for item in items:
        if item.answer is None:
            assert item.error is not None
            raise item.error
        answers.append((item, item.answer))
    arm = items[0].arm
    _check_version(request, arm)  # again: a swap may have come between
    manifest = arm.pool.bundle.manifest
    content: dict[str, Any] = {
        "model_name": request.path_params["name"],
        "model_version": manifest.digest,
    }
    if asked.id is not None:
        content["id"] = asked.id
    content["outputs"] = [_tensor(key, answers, manifest) for key in outputs]
    return Response(json.dumps(content), media_type="application/json")


def _model(request: Request) -> Arm:
    """The arm that a path names.

    Raises:
        Refusal: No model has this name, or its version is another.
    """
    arms, name = service_of(request).arms, request.path_params["name"]
    known = {arm.name: arm for arm in arms if arm.role != "shadow"}
    arm = known.get(name)
    if arm is None and name == arms.champion.pool.bundle.manifest.name:
        arm = arms.champion
    if arm is None:
        raise Refusal(
            404,
            "unknown_model",
            f"Expected one of the models {', '.join(known)}; got {name!r:.60}.",
        )
    _check_version(request, arm)
    return arm


def _check_version(request: Request, arm: Arm) -> None:
    digest, version = arm.pool.bundle.digest, request.path_params.get("version")
    if version is not None and not (len(version) >= MIN_VERSION and digest.startswith(version)):
        message = f"Expected the version {digest}, or its first {MIN_VERSION} digits at least; got {version!r:.80}."
        raise Refusal(404, "unknown_version", message)


async def _body(request: Request) -> InferenceRequest:
    if BINARY in request.headers:
        message = "Expected all data as JSON; got binary tensors, an extension that this service does not have."
        raise Refusal(
            415, "unsupported_media_type", f"{message} Send no {BINARY}, but `data` in each input."
        )
    if (
        "content-type" in request.headers
    ):  # the protocol asks for none, and Triton's client sends none
        require_json(request)
    return read_json(await request.body(), InferenceRequest)


def _outputs(asked: InferenceRequest) -> list[str]:
    names = list(dict.fromkeys(output.name for output in asked.outputs or ())) or list(OUTPUTS)
    unknown = next((name for name in names if name not in OUTPUTS), None)
    if unknown is not None:
        raise Refusal(
            400, "unknown_output", f"Expected outputs of {', '.join(OUTPUTS)}; got {unknown!r}."
        )
    return names


def _tensor(
    name: str, answers: Sequence[tuple[Item, Answer]], manifest: Manifest
) -> dict[str, Any]:
    output, labels = OUTPUTS[name], manifest.labels
    data = [value for item, answer in answers for value in output.values(item, answer, labels)]
    shape = [len(answers), len(labels)] if output.wide else [len(answers)]
    return {"name": name, "datatype": output.datatype, "shape": shape, "data": data}
