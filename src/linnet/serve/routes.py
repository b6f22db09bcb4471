"""The routes of Linnet's own. Each asks the service and lays its answer into a schema."""

import asyncio
import json
import math
import time
from collections.abc import Coroutine, Mapping
from email.message import Message
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from pydantic import BaseModel

from linnet.errors import LinnetError, TextError
from linnet.predict.explain import ASKED
from linnet.serve.access import DETAILS, give_back_texts, share_of, take_texts
from linnet.serve.arms import Arm, Arms
from linnet.serve.failures import CLIENT_LEFT, Refusal, responses
from linnet.serve.fair import Client
from linnet.serve.identity import request_id
from linnet.serve.json_bodies import read_json
from linnet.serve.pages import read_page
from linnet.serve.schemas import (
    ArmInfo,
    EngineInfo,
    ExplainRequest,
    ExplainResponse,
    FeedbackRequest,
    FeedbackResponse,
    Health,
    Models,
    PredictRequest,
    PredictResponse,
    Readiness,
    SwapRequest,
)
from linnet.serve.service import Item, Service
from linnet.serve.tracing import trace_stage
from linnet.serve.watch import Watch

PAGE = read_page("page.html")
DOCS = read_page("docs.html")
TIMEOUT = "X-Request-Timeout"

B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")

router = APIRouter()


def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


def require_json(request: Request) -> None:
    """Refuse a body that doesn't say it is JSON."""
    sent = request.headers.get("content-type", "")
    if sent == "application/json":
        return
    header = Message()
    header["content-type"] = sent
    kind, subtype = header.get_content_type().split("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Expected a body of JSON; got {sent[:100]!r}. Send the header Content-Type: application/json.",
        )


async def body_of(request: Request, schema: type[B]) -> B:
    """The body of a request, without FastAPI's way, which costs as much as a small model's answer.

    Raises:
        Refusal, RequestValidationError: As of `read_json`.
    """
    require_json(request)
    return read_json(await request.body(), schema, service_of(request).settings.max_texts)


def timeout_of(request: Request) -> float | None:
    """Seconds that the client waits for the answer, where it says so.

    Raises:
        Refusal: It says something else.
    """
    sent = request.headers.get(TIMEOUT)
    if sent is None:
        return None
    try:
        seconds = float(sent)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Refusal(
            400, "bad_timeout", f"Expected seconds above 0 in {TIMEOUT}; got {sent[:40]!r}."
        )
    return seconds


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What work comes to; it is given up when the client leaves.

    Raises:
        Refusal: The client left, or the service stops.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.ensure_future(_watch(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        task.uncancel()
        if watcher.done():
            raise Refusal(*CLIENT_LEFT) from None
        message = "The service stops, and the answer would have taken longer than it has. Send the request again."
        raise Refusal(503, "not_ready", message, headers={"Retry-After": "1"}) from None
    finally:
        watcher.cancel()


async def answer_texts(
    request: Request,
    texts: list[str],
    arm: str | None = None,
    key: str | None = None,
    timeout: float | None = None,
) -> list[Item]:
    """What becomes of the texts of a request: counted to its key, traced, and given up when the client leaves.

    Raises:
        Refusal: As of `Service.predict`, or the key has used up its texts.
    """
    service: Service = request.app.state.service
    client = Client(share_of(request.scope))
    take_texts(request.scope, len(texts))
    came = time.monotonic()
    try:
        items = await while_connected(request, service.predict(texts, arm, key, timeout, client))
    except Refusal:
        give_back_texts(request.scope, len(texts) - client.begun)
        raise
    unusable = sum(isinstance(item.error, TextError) for item in items)
    give_back_texts(request.scope, len(texts) - unusable - client.begun)
    first = next((item.answer for item in items if item.answer), None)
    if first:
        taken = first.entered + first.waited
        trace_stage(request.scope, "tokenize", came, first.entered)
        trace_stage(request.scope, "queue", first.entered, taken)
        trace_stage(request.scope, "compute", taken, taken + first.computed)
    return items


async def _watch(request: Request, task: "asyncio.Task[Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def arm_infos(arms: Arms) -> list[ArmInfo]:
    """Which models are at work, and how."""
    return [_arm_info(arm) for arm in arms]


def _arm_info(arm: Arm) -> ArmInfo:
    manifest, choice = arm.pool.bundle.manifest, arm.pool.choice
    return ArmInfo(
        arm=arm.name,
        role=arm.role,
        share=arm.share,
        name=manifest.name,
        digest=manifest.digest,
        labels=list(manifest.labels),
        multi_label=manifest.multi_label,
        min_precision=manifest.min_precision,
        engine=EngineInfo.model_validate(choice.plan),
        reason=choice.reason,
    )


def item_error(error: TextError | Refusal) -> dict[str, Any]:
    """Why a text of several has no answer."""
    if isinstance(error, Refusal):
        return {"code": error.code, "message": error.message}
    return {
        "code": error.code,
        "message": str(error),
        "details": {"reason": error.reason, "index": error.index},
    }


def item_content(item: Item) -> dict[str, Any]:
    """What became of one text, as `TextPrediction` or `TextFailure` has it."""
    if item.answer is None:
        assert item.error is not None
        return {"error": item_error(item.error)}
    prediction = item.answer.prediction
    return {
        "id": item.id,
        "arm": item.arm.name,
        "digest": item.arm.pool.bundle.digest,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
        "truncated": prediction.truncated,
        "labels": prediction.labels,
        "abstained": prediction.abstained,
        "fast": prediction.fast,
        "unknown_share": prediction.unknown_share,
    }


def raise_if_none(items: list[Item]) -> None:
    """Pass if there is an answer at all.

    Raises:
        TextError, Refusal: There is none; the first text's reason.
    """
    if all(item.error is not None for item in items):
        # What is the service's own doing goes first: the client may send such a request again.
        errors = [item.error for item in items if item.error is not None]
        raise next((error for error in errors if isinstance(error, Refusal)), errors[0])


def raise_refusal(items: list[Item]) -> None:
    """Pass if no text failed by the service's own doing.

    Raises:
        Refusal: The first of such failures: the client may send the request again.
    """
    refusals = [item.error for item in items if isinstance(item.error, Refusal)]
    if refusals:
        raise refusals[0]


def body_schema(schema: type[BaseModel], others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the OpenAPI says of a body that `read_json` reads, and of its other media types."""
    reference = {"$ref": f"#/components/schemas/{schema.__name__}"}
    content = {"application/json": {"schema": reference}, **(others or {})}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/v1/predict",
    summary="Classify texts",
    response_description="What became of each text.",
    response_model=PredictResponse,
    responses=responses(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=body_schema(PredictRequest),
)
async def predict(request: Request) -> Response:
    """Labels, probabilities, whether the text was cut and whether the model abstained, for each text in order.

    A text that can't be used has its own `error`, and the others their answers; where none has one, the request fails.
    The header `X-Request-Timeout` says how many seconds the client waits.
    """
    service: Service = request.app.state.service
    service.check_started()
    body, timeout = await body_of(request, PredictRequest), timeout_of(request)
    items = await answer_texts(request, body.texts, body.arm, body.key, timeout)
    raise_if_none(items)
    content = {
        "request_id": request_id(request.scope),
        "predictions": [item_content(item) for item in items],
    }
    return Response(json.dumps(content), media_type="application/json")


@router.post(
    "/v1/explain",
    summary="Say which words moved an answer",
    response_model=ExplainResponse,
    responses=responses(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=body_schema(ExplainRequest),
)
async def explain(request: Request) -> Response:
    """The weight of each word: by how much the label's log odds are less without it.

    It costs about 20 answers, and counts as 20 texts of a key's day.
    """
    service: Service = request.app.state.service
    service.check_started()
    body, timeout = await body_of(request, ExplainRequest), timeout_of(request)
    client = Client(share_of(request.scope))
    take_texts(request.scope, ASKED)
    try:
        arm, found = await while_connected(
            request, service.explain(body.text, body.label, body.arm, timeout, client)
        )
    except (Refusal, TextError):
        give_back_texts(request.scope, ASKED - client.begun)
        raise
    content = {
        "request_id": request_id(request.scope),
        "arm": arm.name,
        "digest": arm.pool.bundle.digest,
        **found,
    }
    return Response(json.dumps(content), media_type="application/json")


DIRECT = {"/v1/predict": predict, "/v1/explain": explain}  # they read their requests themselves


@router.post(
    "/v1/feedback",
    summary="Say what is true of an answer",
    response_model=FeedbackResponse,
    responses=responses(400, 404, 413, 415, 422, 500, 503),
    openapi_extra=body_schema(FeedbackRequest),
)
async def feedback(request: Request) -> FeedbackResponse:
    """Stores the right label beside the answer in the prediction log; sent twice, the latest counts."""
    service, watch = request.app.state.service, request.app.state.watch
    service.check_started()
    body = await body_of(request, FeedbackRequest)
    await watch.feedback(body.id, body.label)
    return FeedbackResponse(request_id=request_id(request.scope), id=body.id)


@router.get("/v1/models", summary="Which models are at work?", responses=responses(500, 503))
async def models(service: Annotated[Service, Depends(service_of)]) -> Models:
    """The arms, their shares, and how each is run."""
    return Models(arms=arm_infos(service.arms))


@router.get("/healthz", summary="Is the process alive?", responses=responses(500))
async def healthz() -> Health:
    """Answers as long as the process does; says nothing of the models."""
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="Can the service answer?",
    response_model_exclude_unset=True,
    responses=responses(500, 503),
)
async def readyz(request: Request) -> Readiness:
    """200 when every model is verified, loaded and warm, and every worker up; else 503.

    The models, or the reason, are given to a key of the scope `admin` or `metrics`.
    """
    service, details = service_of(request), DETAILS in request.scope["state"]
    service.check_ready(details)
    if details:
        return Readiness(status="ready", arms=arm_infos(service.arms))
    return Readiness(status="ready")


@router.get("/admin/models", summary="Which models are at work?", responses=responses(500, 503))
async def admin_models(service: Annotated[Service, Depends(service_of)]) -> Models:
    """As `/v1/models`."""
    return Models(arms=arm_infos(service.arms))


@router.post(
    "/admin/models",
    summary="Put other models to work",
    response_model=Models,
    responses=responses(400, 413, 415, 422, 500, 503, 504),
    openapi_extra=body_schema(SwapRequest),
)
async def swap_models(request: Request) -> Models:
    """Verifies, loads and warms the bundles beside those at work, then switches; no request fails meanwhile.

    Where one can't be used the old ones go on, and the answer says why. The paths are the service's own.
    """
    service: Service = request.app.state.service
    body = await body_of(request, SwapRequest)
    try:
        return Models(arms=arm_infos(await service.swap(body.arms)))
    except LinnetError as error:  # of the arms that were asked for: whoever asks is to know
        raise Refusal(422, error.code, str(error)) from None


@router.get(
    "/metrics",
    summary="What is counted and measured",
    response_class=PlainTextResponse,
    responses=responses(500),
)
async def metrics(request: Request) -> Response:
    """In the text format of Prometheus, or in that of OpenMetrics where the header `Accept` names it."""
    watch: Watch = request.app.state.watch
    body, media_type = watch.metrics.render(request.headers.get("accept", ""))
    return Response(body, media_type=media_type)


@router.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """Texts to try, by hand."""
    return HTMLResponse(PAGE.html, headers=PAGE.headers)


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """These routes as a page that needs no other host."""
    return HTMLResponse(DOCS.html, headers=DOCS.headers)
