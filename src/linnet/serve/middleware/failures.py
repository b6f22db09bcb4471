"""Turns exceptions into answers: those of the app, and defects that nothing expected."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.errors import LinnetError, TextError
from linnet.serve.errors import KNOWN, APIError, error_response, failure_response
from linnet.serve.request_id import request_id

MAX_COMPLAINTS = 10
MAX_FIELD_LENGTH = 80

logger = logging.getLogger("linnet.serve")


class ServerErrorMiddleware:
    """ASGI middleware: logs an unexpected exception with its traceback and answers 500.

    What is cancelled, as the server does when its time to stop is over, is answered with 503.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if not started:  # and raised again it would be logged as a defect of the app
                message = "The service is shutting down. Try again later."
                retry = {"Retry-After": "1"}
                answer = failure_response(scope, 503, "not_ready", message, headers=retry)
                await answer(scope, receive, send)
        except Exception:
            logger.exception("request %s: this is a defect of Linnet", request_id(scope))
            if started:
                raise  # half an answer can only be cut off
            message = (
                "The service failed to answer; its log has the reason under this request id. Try "
                "again later."
            )
            await failure_response(scope, 500, LinnetError.code, message)(scope, receive, send)


def handle_failures(app: FastAPI) -> None:
    """Have an app answer every failure in the one shape.

    Defects need `ServerErrorMiddleware` around it as well.
    """
    for kind in (StarletteHTTPException, RequestValidationError, LinnetError):
        app.add_exception_handler(kind, answer_failure)


async def answer_failure(request: Request, error: Exception) -> Response:
    """The answer to a request that failed.

    Raises:
        Exception: The error itself, if nothing expected it: `ServerErrorMiddleware` answers it.
    """
    if isinstance(error, StarletteHTTPException):
        return _http_exception(request, error)
    if isinstance(error, RequestValidationError):
        return _invalid_body(request, error)
    if isinstance(error, LinnetError):
        return _linnet_error(request, error)
    raise error


def _http_exception(request: Request, error: StarletteHTTPException) -> Response:
    if isinstance(error, APIError):
        return error_response(request.scope, error)
    code, message = KNOWN.get(error.status_code, ("bad_request", str(error.detail)))
    return failure_response(request.scope, error.status_code, code, message, headers=error.headers)


def _invalid_body(request: Request, error: RequestValidationError) -> Response:
    complaints = error.errors()
    fields = [
        {"field": _field(item["loc"]), "message": item["msg"]}
        for item in complaints[:MAX_COMPLAINTS]
    ]
    message = "The body is not what this route takes: " + "; ".join(
        f"{item['field']}  {item['message']}" for item in fields
    )
    return failure_response(
        request.scope, 422, "invalid_request", f"{message}.", {"fields": fields}
    )


def _field(location: Sequence[int | str]) -> str:
    name = ".".join(str(part) for part in location)
    return name if len(name) <= MAX_FIELD_LENGTH else name[:MAX_FIELD_LENGTH] + "…"


def _linnet_error(request: Request, error: LinnetError) -> Response:
    if error.http_status >= 500:
        # not the client's doing, and its message may name files: log it, say nothing of it
        raise error
    details: dict[str, Any] = {}
    if isinstance(error, TextError):
        details = {"reason": error.reason} | ({} if error.index is None else {"index": error.index})
    return failure_response(request.scope, error.http_status, error.code, str(error), details)
