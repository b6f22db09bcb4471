"""The Open Inference Protocol, version 2, over REST: texts as a tensor in, labels and the like out.

https://github.com/kserve/open-inference-protocol: inference_rest.md and open_inference_rest.yaml in
specification/protocol. Of its extensions there is the one for binary tensor data (see `tensors`).
Failures have the protocol's own shape (see `failures`).
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from linnet import __version__
from linnet.serve.errors import APIError, NotReady, protocol_responses
from linnet.serve.models.arms import Arm
from linnet.serve.models.items import Item
from linnet.serve.models.service import Service
from linnet.serve.models.workers import Answer
from linnet.serve.routes.json_bodies import read_json
from linnet.serve.routes.open_inference_schemas import (
    PLATFORM,
    InferenceRequest,
    InferenceResponse,
    ModelMetadata,
    ModelReady,
    ServerHealth,
    ServerMetadata,
    TensorMetadata,
)
from linnet.serve.routes.request import (
    answer_texts,
    body_schema,
    raise_refusal,
    service_of,
    timeout_of,
)
from linnet.serve.routes.tensors import (
    HEADER_LENGTH,
    OUTPUTS,
    as_bytes,
    output_tensor,
    split_body,
    texts_of,
    whole_text,
)

EXTENSIONS = ["binary_tensor_data"]
# Parameters of an output that ask for another answer, so that ignoring them would mislead.
REFUSED = {
    "classification": "Ask for the outputs `label` and `probabilities`",
    "shared_memory_region": "Ask for the output itself",
}
MIN_VERSION = 12  # digits of a digest that name it, as the service's own first line has them
# Said here and read from the path by `_model`: FastAPI would promise its own 422 for them.
NAME, VERSION = (
    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in ("name", "version")
)
OF_MODEL = {"parameters": [NAME]}
OF_VERSION = {"parameters": [NAME, VERSION]}
BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
BODY = body_schema(InferenceRequest, BINARY)
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": BINARY},
    **protocol_responses(400, 404, 413, 415, 429, 500, 503, 504),
}

router = APIRouter(prefix="/v2")


@router.get("", summary="Open Inference: what answers?", responses=protocol_responses(500))
@router.get("/", include_in_schema=False)  # as open_inference_rest.yaml has it
async def server_metadata() -> ServerMetadata:
    """Name, version, and the supported extensions of the protocol."""
    return ServerMetadata(name="linnet", version=__version__, extensions=EXTENSIONS)


@router.get(
    "/health/live",
    summary="Open Inference: is the process alive?",
    responses=protocol_responses(500),
)
async def live(service: Annotated[Service, Depends(service_of)]) -> ServerHealth:
    """Answers as long as the process does; `ready` says more of it than the protocol asks."""
    try:
        service.check_ready()
    except APIError:
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
    """The name is an arm's or the champion bundle's; the version is the bundle's digest."""
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
        raise NotReady(unready)
    return ModelReady(name=request.path_params["name"], ready=True)


@router.post(
    "/models/{name}/infer",
    summary="Open Inference: classify texts",
    response_model=InferenceResponse,
    responses=RESPONSES,
    openapi_extra=OF_MODEL | BODY,
)
@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Open Inference: classify texts by a version of a model",
    response_model=InferenceResponse,
    responses=RESPONSES,
    openapi_extra=OF_VERSION | BODY,
)
async def infer(request: Request) -> Response:
    """The tensor `text` in; the tensors that `outputs` asks for out, or all.

    The protocol has no error for one text. If one can't be used the request fails, and its error
    names it. Binary tensor data is taken and given as Triton's extension has it.
    """
    arm = _model(request)
    asked, texts = await _read(request)
    outputs = _outputs(asked)
    arm, answers = await _answers(request, arm, texts)
    manifest = arm.pool.bundle.manifest
    content: dict[str, Any] = {
        "model_name": request.path_params["name"],
        "model_version": manifest.digest,
    }
    if asked.id is not None:
        content["id"] = asked.id
    tensors = [output_tensor(name, answers, manifest.labels) for name in outputs]
    content["outputs"] = tensors
    # The data goes behind the JSON in the order of the tensors.
    binary = [_take_data(tensor) for tensor in tensors if outputs[tensor["name"]]]
    encoded = json.dumps(content).encode("ascii")
    if not binary:
        return Response(encoded, media_type="application/json")
    return Response(
        b"".join([encoded, *binary]),
        headers={HEADER_LENGTH: str(len(encoded))},
        media_type="application/octet-stream",
    )


def _model(request: Request) -> Arm:
    """The arm that a path names.

    Raises:
        APIError: No model has this name, or its version is another.
    """
    arms = service_of(request).arms
    name = request.path_params["name"]
    known = {arm.name: arm for arm in arms if arm.role != "shadow"}
    arm = known.get(name)
    if arm is None and name == arms.champion.pool.bundle.manifest.name:
        arm = arms.champion
    if arm is None:
        raise APIError(
            404,
            "unknown_model",
            f"Expected one of the models {', '.join(known)}; got {name!r:.60}.",
        )
    _check_version(request, arm)
    return arm


def _check_version(request: Request, arm: Arm) -> None:
    digest = arm.pool.bundle.digest
    version = request.path_params.get("version")
    if version is not None and not (len(version) >= MIN_VERSION and digest.startswith(version)):
        message = (
            f"Expected the version {digest}, or its first {MIN_VERSION} digits at least; got "
            f"{version!r:.80}."
        )
        raise APIError(404, "unknown_version", message)


async def _read(request: Request) -> tuple[InferenceRequest, list[str]]:
    """What is asked, and the texts. The Content-Type means nothing, as clients send any or none."""
    body = await request.body()
    header_length = request.headers.get(HEADER_LENGTH)
    if header_length is None:
        encoded = body
        binary = b""
    else:
        encoded, binary = split_body(body, header_length)
        if not encoded:  # Triton's "raw binary request"
            return InferenceRequest(inputs=[]), [whole_text(binary)]
    most = service_of(request).settings.max_texts
    asked = read_json(encoded, InferenceRequest, most)
    if not asked.inputs:
        return asked, []
    (tensor,) = asked.inputs
    return asked, texts_of(tensor, binary, most)


def _outputs(asked: InferenceRequest) -> dict[str, bool]:
    """The outputs to give, and whether each is sent as binary data.

    Raises:
        APIError: An output is unknown, or asked for in a way that is not supported.
    """
    binary = (asked.parameters or {}).get("binary_data_output") is True
    wanted: dict[str, bool] = {}
    for output in asked.outputs or ():
        parameters = output.parameters or {}
        refused = next((name for name in REFUSED if name in parameters), None)
        if output.name not in OUTPUTS or refused is not None:
            message = f"Expected outputs of {', '.join(OUTPUTS)}; got {output.name!r}."
            if refused is not None:
                message = f"The parameter {refused!r} is not supported. {REFUSED[refused]}."
            raise APIError(400, "unknown_output", message)
        wanted[output.name] = parameters.get("binary_data", binary) is True
    return wanted or dict.fromkeys(OUTPUTS, binary)


async def _answers(
    request: Request, arm: Arm, texts: list[str]
) -> tuple[Arm, list[tuple[Item, Answer]]]:
    """Who answered, and each text's answer.

    Raises:
        APIError: The service or a worker failed.
        TextError: A text can't be used.
    """
    timeout = timeout_of(request)
    if not texts:
        return arm, []
    items = await answer_texts(request, texts, arm.name, timeout=timeout)
    raise_refusal(items)
    answers = []
    for item in items:
        if item.answer is None:
            assert item.error is not None
            raise item.error
        answers.append((item, item.answer))
    arm = items[0].arm
    _check_version(request, arm)  # again: a swap may have come between
    return arm, answers


def _take_data(tensor: dict[str, Any]) -> bytes:
    """The data of an output, taken out of it and replaced with its size."""
    data = as_bytes(tensor["datatype"], tensor.pop("data"))
    tensor["parameters"] = {"binary_data_size": len(data)}
    return data
