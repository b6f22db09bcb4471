"""The HTTP application: routes over a loaded classifier. Knows nothing of sockets, processes or signals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

import linnet
from linnet.config import ServeConfig, load_config
from linnet.predict import Classifier, Prediction
from linnet.serve.docs import docs_page
from linnet.serve.failures import NotReadyError, TooManyTextsError, add_failure_handlers, request_id_of
from linnet.serve.limits import BodyLimit, RequestId
from linnet.serve.schemas import (
    ErrorResponse,
    ModelInfo,
    PredictionItem,
    PredictRequest,
    PredictResponse,
    Status,
)

# While one request is computed the next is tokenised; more at once would only fight over the engine's threads.
CONCURRENT_REQUESTS = 2
WARM_UP_TEXT = "a text to warm up with"
MEANINGS = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    415: "The body is not announced as JSON.",
    422: "A text, or the shape of the request, can't be used.",
    500: "A defect of the service.",
    503: "No model is ready.",
}


def create_app(classifier: Classifier | None, settings: ServeConfig) -> FastAPI:
    """Put a classifier behind routes.

    Args:
        classifier: What answers; it is warmed up when the app starts. None: the service is never ready.
        settings: Limits on requests.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.limiter = anyio.CapacityLimiter(CONCURRENT_REQUESTS)
        if classifier is not None:
            await anyio.to_thread.run_sync(classifier.predict, [WARM_UP_TEXT])
            app.state.ready = True
        yield
        app.state.ready = False

    app = FastAPI(
        title="Linnet",
        version=linnet.__version__,
        description="Text classification by a bundle that carries its proof.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.classifier, app.state.settings, app.state.ready = classifier, settings, False
    add_failure_handlers(app)
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(RequestId)  # added last, so it is outermost and the limit's answer has an id too
    _add_routes(app)
    return app


def openapi() -> dict[str, Any]:
    """The description of the service's routes, as at /openapi.json."""
    return create_app(None, load_config(overrides={}).serve).openapi()


def _add_routes(app: FastAPI) -> None:
    app.post(
        "/v1/predict",
        summary="Classify texts",
        responses=_errors(400, 413, 415, 422, 500, 503),
        tags=["predict"],
    )(predict)
    app.get("/healthz", summary="Whether the process answers", tags=["operate"])(healthz)
    app.get("/readyz", summary="Whether a model is ready to answer", responses=_errors(503), tags=["operate"])(readyz)
    app.get("/docs", include_in_schema=False)(docs)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorResponse, "description": MEANINGS[status]} for status in statuses}


async def predict(request: Request, body: PredictRequest) -> PredictResponse:
    """Answer one prediction a text, in the order of the texts; one text that can't be used refuses them all."""
    classifier = _ready(request)
    limit: int = request.app.state.settings.max_texts
    if len(body.texts) > limit:
        raise TooManyTextsError(
            f"Expected at most {limit:,} texts in one request, got {len(body.texts):,}. Send fewer."
        )
    predictions = await anyio.to_thread.run_sync(classifier.predict, body.texts, limiter=request.app.state.limiter)
    return PredictResponse(
        request_id=request_id_of(request),
        model=ModelInfo(name=classifier.name, digest=classifier.digest),
        predictions=[_item(prediction) for prediction in predictions],
    )


async def healthz() -> Status:
    """Answer as long as the process can answer at all."""
    return Status(status="ok")


async def readyz(request: Request) -> Status:
    """Answer 200 when a model is verified, loaded and warm, else 503."""
    _ready(request)
    return Status(status="ready")


async def docs(request: Request) -> HTMLResponse:
    """Show the routes to people."""
    return HTMLResponse(docs_page(request.app.openapi()))


def _ready(request: Request) -> Classifier:
    if not request.app.state.ready:
        raise NotReadyError("No model is loaded and warm yet. Ask /readyz, and try again when it answers 200.")
    classifier: Classifier = request.app.state.classifier
    return classifier


def _item(prediction: Prediction) -> PredictionItem:
    return PredictionItem(
        label=prediction.label,
        probability=prediction.probability,
        probabilities=prediction.probabilities,
        truncated=prediction.truncated,
    )
