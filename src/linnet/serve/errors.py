"""What a request is refused with, and the one JSON shape of every failure.

The shape is {"error": {"code", "message", "request_id", "details"?}}. Routes of the Open Inference
Protocol have a shape of their own: {"error": "message"}.

    APIError                 any status and code
      BadJSON                400  bad_json
      UnsupportedMediaType   415  unsupported_media_type
      InvalidRequest         422  invalid_request
      TooManyTexts           422  too_many_texts
      IsRolledBack           409  rolled_back
      Overloaded             429  overloaded         Retry-After
      QuotaExceeded          429  rate_limited, quota_used_up  Retry-After
      NotReady               503  not_ready          Retry-After
      LogUnavailable         503  log_unavailable    Retry-After
      DeadlineExceeded       504  deadline_exceeded
"""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import Scope

from linnet.serve.request_id import request_id

MAX_MESSAGE_LENGTH = 2_000  # a message may quote what was sent
PROTOCOL = "/v2"  # where the routes of the Open Inference Protocol begin
EXAMPLE_ID = "4f0c1b6c9a7e4d2f8b3a5c6d7e8f9012"

# Failures that the framework names by their status alone.
KNOWN = {
    400: (
        "bad_json",
        "Expected a body of JSON in UTF-8, not nested without end; got something else. "
        "Send valid JSON.",
    ),
    404: ("not_found", "There is no such route. The page /docs lists those there are."),
    405: (
        "method_not_allowed",
        "This route does not take this method. The header Allow names those it takes.",
    ),
}
# For the log alone; the status is nginx's.
CLIENT_LEFT = (499, "client_left", "The client left before the answer.")
DESCRIPTIONS = {
    400: "The body is not JSON, or not packed as its `Content-Encoding` says.",
    404: "There is no such thing.",
    406: "The header `Accept` takes nothing that this route gives.",
    409: "The challenger was rolled back.",
    413: "The body is larger than `serve.max_body_bytes`, as sent or once unpacked.",
    415: "The header `Content-Type` is not `application/json`, or `Content-Encoding` is not "
    "gzip or deflate.",
    422: "The body is JSON, but of a wrong shape, or with no, too many, or unusable texts.",
    429: "The service is full; the header `Retry-After` says when to try again.",
    500: "A defect of the service; its log has the traceback under the request id.",
    503: "The service is not ready, or a worker died with the request; try again later.",
    504: "There was no answer in time.",
}


class APIError(HTTPException):
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
        self.code = code
        self.message = message
        self.details = details


class BadJSON(APIError):
    """The body is not JSON in UTF-8."""

    def __init__(self, message: str = KNOWN[400][1]):
        super().__init__(400, "bad_json", message)


class UnsupportedMediaType(APIError):
    """The route does not take this content type."""

    def __init__(self, message: str):
        super().__init__(415, "unsupported_media_type", message)


class InvalidRequest(APIError):
    """The body is JSON, but not what the route takes."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None):
        super().__init__(422, "invalid_request", message, details=details)


class TooManyTexts(APIError):
    """The request has more texts than it may have."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None):
        super().__init__(422, "too_many_texts", message, details=details)


class IsRolledBack(APIError):
    """A challenger that was rolled back is to get a share."""

    def __init__(self, message: str):
        super().__init__(409, "rolled_back", message)


class Overloaded(APIError):
    """The service has no room.

    Args:
        message: As of `APIError`.
        retry_after: Seconds.
    """

    def __init__(self, message: str, retry_after: int):
        super().__init__(429, "overloaded", message, headers=retry(retry_after))


class QuotaExceeded(APIError):
    """A key has used up its rate or its day.

    Args:
        code: `rate_limited` or `quota_used_up`.
        message: As of `APIError`.
        retry_after: Seconds.
        details: More for programs.
    """

    def __init__(
        self,
        code: str,
        message: str,
        retry_after: int,
        details: Mapping[str, Any] | None = None,
    ):
        super().__init__(429, code, message, details=details, headers=retry(retry_after))


class NotReady(APIError):
    """No model is ready, or the service stops."""

    def __init__(self, message: str):
        super().__init__(503, "not_ready", message, headers=retry(1))


class LogUnavailable(APIError):
    """The prediction log takes no feedback now.

    Args:
        message: As of `APIError`.
        retry_after: Seconds; None if no retry helps.
    """

    def __init__(self, message: str, retry_after: int | None = None):
        headers = None if retry_after is None else retry(retry_after)
        super().__init__(503, "log_unavailable", message, headers=headers)


class DeadlineExceeded(APIError):
    """There was no answer in time."""

    def __init__(self, message: str):
        super().__init__(504, "deadline_exceeded", message)


def retry(seconds: int) -> dict[str, str]:
    """The header that says when to try again."""
    return {"Retry-After": str(seconds)}


class ErrorInfo(BaseModel):
    """What went wrong."""

    code: str = Field(description="A stable name for programs.", examples=["bad_text"])
    message: str = Field(
        description="What was expected, what came, and what to do next.",
        examples=["Text 1: The text is empty. Send at least one visible character."],
    )
    request_id: str = Field(
        description="As in the header `X-Request-ID` and in the service's log.",
        examples=[EXAMPLE_ID],
    )
    details: dict[str, Any] | None = Field(
        default=None,
        description="More for programs, where there is more.",
        examples=[{"reason": "empty_text", "index": 1}],
    )


class ErrorResponse(BaseModel):
    """The one shape of every failure."""

    error: ErrorInfo


class ProtocolError(BaseModel):
    """The shape that the Open Inference Protocol has for failures."""

    error: str = Field(description="What was expected, what came, and what to do next.")


def error_response(scope: Scope, error: APIError) -> Response:
    """The answer for an error of middleware around the app, which the app doesn't see."""
    return failure_response(
        scope, error.status_code, error.code, error.message, error.details, error.headers
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


def failure_response(
    scope: Scope,
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a request that failed, and its code for the log and the metrics."""
    scope["state"]["code"] = code
    error: dict[str, Any] | str
    if len(message) > MAX_MESSAGE_LENGTH:
        message = f"{message[:MAX_MESSAGE_LENGTH]}…"
    if scope["path"] == PROTOCOL or scope["path"].startswith(f"{PROTOCOL}/"):
        # inference_rest.md, "Inference Response JSON Error Object": the status is "typically 400".
        error = message
        status = 400 if status == 422 else status
    else:
        error = {"code": code, "message": message, "request_id": request_id(scope)}
        if details:
            error["details"] = details
    # As ASCII: what a message quotes of the request may hold half of a surrogate pair, which UTF-8
    # can't.
    return Response(json.dumps({"error": error}), status, headers, "application/json")
