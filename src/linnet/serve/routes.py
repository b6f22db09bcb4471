"""The routes. Each asks the service and lays its answer into a schema."""

from email.message import Message
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from linnet.serve.failures import Refusal, responses
from linnet.serve.identity import request_id
from linnet.serve.schemas import (
    EngineInfo,
    Health,
    ModelInfo,
    PredictRequest,
    PredictResponse,
    Readiness,
    TextPrediction,
)
from linnet.serve.service import Service

DOCS = files("linnet.serve").joinpath("docs.html").read_text(encoding="utf-8")
# Nothing of the page comes from, or goes to, another host.
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"

router = APIRouter()


def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


def require_json(request: Request) -> None:
    """Refuse a body that doesn't say it is JSON."""
    sent = request.headers.get("content-type", "")
    header = Message()
    header["content-type"] = sent
    kind, subtype = header.get_content_type().split("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Expected a body of JSON; got {sent[:100]!r}. Send the header Content-Type: application/json.",
        )


def model_info(service: Service) -> ModelInfo:
    """Which model answers."""
    manifest = service.classifier.bundle.manifest
    return ModelInfo(name=manifest.name, digest=manifest.digest, min_precision=manifest.min_precision)


@router.post(
    "/v1/predict",
    summary="Classify texts",
    response_description="One prediction a text.",
    responses=responses(400, 413, 415, 422, 500, 503),
    dependencies=[Depends(require_json)],
)
async def predict(
    request: Request, body: PredictRequest, service: Annotated[Service, Depends(service_of)]
) -> PredictResponse:
    """Labels, probabilities, whether the text was cut and whether the model abstained, for each text in order."""
    predictions = await service.predict(body.texts)
    return PredictResponse(
        request_id=request_id(request.scope),
        model=model_info(service),
        predictions=[TextPrediction.model_validate(prediction) for prediction in predictions],
    )


@router.get("/healthz", summary="Is the process alive?", responses=responses(500))
async def healthz() -> Health:
    """Answers as long as the process does; says nothing of the model."""
    return Health(status="ok")


@router.get("/readyz", summary="Can the service answer?", responses=responses(500, 503))
async def readyz(service: Annotated[Service, Depends(service_of)]) -> Readiness:
    """200 when the model is verified, loaded and warm; else 503 with the reason."""
    service.check_ready()
    classifier = service.classifier
    engine = EngineInfo.model_validate(classifier.plan)
    return Readiness(status="ready", model=model_info(service), engine=engine, reason=classifier.reason)


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """These routes as a page that needs no other host."""
    return HTMLResponse(DOCS, headers={"Content-Security-Policy": DOCS_POLICY})
