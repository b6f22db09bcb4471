"""Every failure becomes one JSON shape: {"error": {"code", "message", "request_id", "details"?}}.

But for the routes of the Open Inference Protocol, which has a shape of its own: {"error": "message"}.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.errors import LinnetError, TextError
from linnet.serve.identity import request_id
from linnet.serve.schemas import ErrorResponse, ProtocolError

MAX_COMPLAINTS = 10
MAX_FIELD_LENGTH = 80
MAX_MESSAGE_LENGTH = 2_000  # as it may quote what was sent

# What the framework refuses by status alone.
KNOWN = {
    400: (
        "bad_json",
        "Expected a body of JSON in UTF-8, not nested without end; got something else. Send valid JSON.",
    ),
    404: ("not_found", "There is no such route. The page /docs lists those there are."),
    405: (
        "method_not_allowed",
        "This route does not take this method. The header Allow names those it takes.",
    ),
}
CLIENT_LEFT = (
    499,
    "client_left",
    "The client left before the answer.",
)  # for the log; a status of nginx's own
DESCRIPTIONS = {
    400: "The body is not JSON, or not packed as its `Content-Encoding` says.",
    404: "There is no such thing.",
    406: "The header `Accept` takes nothing that this route gives.",
    413: "The body is larger than `serve.max_body_bytes`, as sent or once unpacked.",
    415: "The header `Content-Type` is not `application/json`, or `Content-Encoding` is not gzip or deflate.",
    422: "The body is JSON, but of a wrong shape, or with no, too many, or unusable texts.",
    429: "The service is full; the header `Retry-After` says when to try again.",
    500: "A defect of the service; its log has the traceback under the request id.",
    503: "The service is not ready, or a worker died with the request; try again later.",
    504: "There was no answer in time.",
}

PROTOCOL = "/v2"  # where the routes of the Open Inference Protocol begin

logger = logging.getLogger("linnet.serve")


class Refusal(HTTPException):
    """A request is answered with a failure on purpose.

    Args:
        status: The HTTP status.
        code: A stable name for programs.
        message: What was expected, what came, what to do next.
        details: More for programs.
        headers: To send along, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, message, dict(headers or {}))
        self.code, self.message, self.details = code, message, details


class CatchDefects:
    """ASGI middleware: an exception that nothing expected is logged with its traceback and answered with 500.

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
                answer = _answer(scope, 503, "not_ready", message, headers=retry)
                await answer(scope, receive, send)
        except Exception:
            logger.exception("request %s: this is a defect of Linnet", request_id(scope))
            if started:
                raise  # half an answer can only be cut off
            message = "The service failed to answer; its log has the reason under this request id. Try again later."
            await _answer(scope, 500, LinnetError.code, message)(scope, receive, send)


def handle_failures(app: FastAPI) -> None:
    """Have an app answer every failure in the one shape. Defects need `CatchDefects` around it as well."""
    for kind in (StarletteHTTPException, RequestValidationError, LinnetError):
        app.add_exception_handler(kind, answer_failure)


async def answer_failure(request: Request, error: Exception) -> Response:
    """The answer to a request that failed.

    Raises:
        Exception: The error itself, if nothing expected it: `CatchDefects` answers it.
    """
    if isinstance(error, StarletteHTTPException):
        return _http_exception(request, error)
    if isinstance(error, RequestValidationError):
        return _invalid_body(request, error)
    if isinstance(error, LinnetError):
        return _linnet_error(request, error)
    raise error


def refused(scope: Scope, refusal: Refusal) -> Response:
    """The answer that a refusal stands for, for middleware around the app, whose refusals the app doesn't see."""
    return _answer(
        scope, refusal.status_code, refusal.code, refusal.message, refusal.details, refusal.headers
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The failures of a route, for its OpenAPI."""
    return {
        status: {"model": ErrorResponse, "description": DESCRIPTIONS[status]} for status in statuses
    }


def protocol_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As `responses`, for a route of the Open Inference Protocol."""
    found = {
        status: {"model": ProtocolError, "description": DESCRIPTIONS[status]} for status in statuses
    }
    if 400 in found:
        found[400]["description"] = (
            "The body is not as the protocol has it, or holds a text that can't be used."
        )
    return found  # type: ignore[return-value]


def _answer(
    scope: Scope,
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    scope["state"]["code"] = code  # for the log and the metrics
    error: dict[str, Any] | str
    if len(message) > MAX_MESSAGE_LENGTH:
        message = f"{message[:MAX_MESSAGE_LENGTH]}…"
    if scope["path"] == PROTOCOL or scope["path"].startswith(f"{PROTOCOL}/"):
        # inference_rest.md, "Inference Response JSON Error Object": the status is "typically 400".
        error, status = message, 400 if status == 422 else status
    else:
        error = {"code": code, "message": message, "request_id": request_id(scope)}
        if details:
            error["details"] = details
    # As ASCII: what a message quotes of the request may hold half of a surrogate pair, which UTF-8 can't.
    return Response(json.dumps({"error": error}), status, headers, "application/json")


def _http_exception(request: Request, error: StarletteHTTPException) -> Response:
    if isinstance(error, Refusal):
        return refused(request.scope, error)
    code, message = KNOWN.get(error.status_code, ("bad_request", str(error.detail)))
    return _answer(request.scope, error.status_code, code, message, headers=error.headers)


def _invalid_body(request: Request, error: RequestValidationError) -> Response:
    complaints = error.errors()
    fields = [
        {"field": _field(item["loc"]), "message": item["msg"]}
        for item in complaints[:MAX_COMPLAINTS]
    ]
    message = "The body is not what this route takes: " + "; ".join(
        f"{item['field']}  {item['message']}" for item in fields
    )
    return _answer(request.scope, 422, "invalid_request", f"{message}.", {"fields": fields})


def _field(location: Sequence[int | str]) -> str:
    name = ".".join(str(part) for part in location)
    return name if len(name) <= MAX_FIELD_LENGTH else name[:MAX_FIELD_LENGTH] + "…"


def _linnet_error(request: Request, error: LinnetError) -> Response:
    if error.http_status >= 500:
        raise error  # not the client's doing, and its message may name files: log it, say nothing of it
    details: dict[str, Any] = {}
    if isinstance(error, TextError):
        details = {"reason": error.reason} | ({} if error.index is None else {"index": error.index})
    return _answer(request.scope, error.http_status, error.code, str(error), details)
