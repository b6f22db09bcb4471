"""The routes of Linnet's own. Each asks the service and lays its answer into a schema."""

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from linnet.errors import TextError
from linnet.monitor.prediction_log.truth import USER
from linnet.predict.explain import ASKED
from linnet.serve.errors import APIError, responses
from linnet.serve.middleware.access import (
    DETAILS,
    give_back_texts,
    require_scope,
    share_of,
    take_texts,
)
from linnet.serve.models.fair import Client
from linnet.serve.models.service import Service
from linnet.serve.request_id import request_id
from linnet.serve.routes.pages import read_page
from linnet.serve.routes.request import (
    answer_texts,
    arm_infos,
    body_of,
    body_schema,
    item_content,
    raise_if_none,
    service_of,
    timeout_of,
    while_connected,
)
from linnet.serve.routes.schemas import (
    ExplainRequest,
    ExplainResponse,
    FeedbackRequest,
    FeedbackResponse,
    Health,
    Models,
    PredictRequest,
    PredictResponse,
    Readiness,
)
from linnet.serve.telemetry.recorder import Recorder

PAGE = read_page("page.html")
DOCS = read_page("docs.html")

router = APIRouter()


@router.post(
    "/v1/predict",
    summary="Classify texts",
    response_description="What became of each text.",
    response_model=PredictResponse,
    responses=responses(400, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=body_schema(PredictRequest),
)
async def predict(request: Request) -> Response:
    """Label, probabilities and flags of each text, in order.

    A text that can't be used has its own `error`, and the others their answers; where none has one,
    the request fails. The header `X-Request-Timeout` says how many seconds the client waits.
    """
    service: Service = request.app.state.service
    service.check_started()
    body = await body_of(request, PredictRequest)
    timeout = timeout_of(request)
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
    body = await body_of(request, ExplainRequest)
    timeout = timeout_of(request)
    client = Client(share_of(request.scope))
    take_texts(request.scope, ASKED)
    try:
        arm, found = await while_connected(
            request, service.explain(body.text, body.label, body.arm, timeout, client)
        )
    except (APIError, TextError):
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
    """Stores the right labels of an answer in the log; the latest of each source counts."""
    service = request.app.state.service
    watch = request.app.state.watch
    service.check_started()
    body = await body_of(request, FeedbackRequest)
    if body.source != USER:
        require_scope(request.scope, "admin")
    annotator = body.annotator or request.scope["state"].get("key_id", "")
    await watch.feedback(body.id, body.said, body.source, annotator)
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
    service = service_of(request)
    details = DETAILS in request.scope["state"]
    service.check_ready(details)
    if details:
        return Readiness(status="ready", arms=arm_infos(service.arms))
    return Readiness(status="ready")


@router.get(
    "/metrics",
    summary="What is counted and measured",
    response_class=PlainTextResponse,
    responses=responses(500),
)
async def metrics(request: Request) -> Response:
    """Prometheus' text format, or OpenMetrics if the header `Accept` names it."""
    watch: Recorder = request.app.state.watch
    await asyncio.to_thread(watch.monitor.refresh)
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
