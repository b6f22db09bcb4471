"""The one shape of every error: `{"error": {"code", "message", "request_id"}}`."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from linnet.errors import LinnetError

logger = logging.getLogger(__name__)

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}
MISTAKES_SHOWN = 5


class NotReadyError(LinnetError):
    """No model is loaded and warm at this moment."""

    http_status = 503
    code = "not_ready"


class TooManyTextsError(LinnetError):
    """One request holds more texts than the service takes."""

    http_status = 422
    code = "too_many_texts"


def failure(
    status: int, code: str, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer to a request that failed."""
    body = {"error": {"code": code, "message": message, "request_id": request_id}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def add_failure_handlers(app: FastAPI) -> None:
    """Make every error of an app answer in the one shape."""
    app.add_exception_handler(LinnetError, _linnet_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _defect)


def request_id_of(request: Request) -> str:
    """The id that the middleware gave the request."""
    request_id: str = request.scope["state"]["request_id"]
    return request_id


async def _linnet_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LinnetError)
    return failure(error.http_status, error.code, str(error), request_id_of(request))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    request_id = request_id_of(request)
    mistakes = error.errors()
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return failure(400, "bad_json", 'The body is not JSON. Send {"texts": ["..."]}.', request_id)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        message = f"Expected Content-Type: application/json, got {media_type!r:.60}."
        return failure(415, "unsupported_media_type", message, request_id)
    return failure(422, "bad_request_body", _in_words(mistakes), request_id)


def _in_words(mistakes: Any) -> str:
    # What came is left out: it may be long, private, or not even valid Unicode.
    lines = [f"{'.'.join(str(part) for part in item['loc'][1:]) or 'body'}: {item['msg']}" for item in mistakes]
    more = f" (and {len(lines) - MISTAKES_SHOWN} more)" if len(lines) > MISTAKES_SHOWN else ""
    text = f'Expected {{"texts": ["..."]}}. {"; ".join(lines[:MISTAKES_SHOWN])}{more}.'
    return text.encode("utf-8", "replace").decode()


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
    where = f"{request.method} {request.url.path!r:.100}"
    messages = {
        404: f"There is no {where}. The routes are listed at /docs.",
        405: f"{where} is not a route; another method is. The routes are listed at /docs.",
    }
    message = messages.get(error.status_code, str(error.detail))
    return failure(error.status_code, code, message, request_id_of(request), error.headers)


async def _defect(request: Request, error: Exception) -> JSONResponse:
    request_id = request_id_of(request)
    logger.error("request %s failed", request_id, exc_info=error)
    message = "This is a defect of the service; its log says more under this request id."
    return failure(500, LinnetError.code, message, request_id)
