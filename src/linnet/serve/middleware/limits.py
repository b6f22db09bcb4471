"""How large a request may be, and what becomes of one on a connection too many."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.serve.errors import CLIENT_LEFT, APIError, error_response
from linnet.serve.middleware.access import PROBES

# In the state of a request: of one on a connection too many, the limit in words; of one on
# `serve.probe_port`, True.
SURPLUS = "surplus"
PROBES_ONLY = "probes_only"
WATCHED_BY = {*PROBES, "/metrics"}


class ConnectionLimitMiddleware:
    """ASGI middleware: answers 429 on surplus connections, except to probes and metrics.

    On `serve.probe_port` these are all that there is.

    The body is read first and thrown away: where a connection is closed before, its client may not
        see the answer.

    Args:
        app: What other requests are passed on to.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        state = scope["state"] if scope["type"] == "http" else {}
        refused_for = PROBES_ONLY in state or SURPLUS in state
        if not refused_for or scope["path"] in WATCHED_BY:
            await self._app(scope, receive, send)
            return
        if PROBES_ONLY in state:
            message = "This port answers probes and /metrics alone. Ask the service's own port."
            await error_response(scope, APIError(404, "not_found", message))(scope, receive, send)
            return
        while (await receive()).get("more_body", False):
            pass
        message = (
            f"Expected at most {state[SURPLUS]} at once; there are more. Share them, or try again."
        )
        headers = {"Retry-After": "1", "Connection": "close"}
        refusal = APIError(429, "too_many_connections", message, headers=headers)
        await error_response(scope, refusal)(scope, receive, send)


class BodySizeLimitMiddleware:
    """ASGI middleware: reading more of a body than allowed raises a refusal with 413.

    A client that leaves before its body has come raises one with 499, which is for the log. A
    declared length is believed when it is too large; a body is counted all the same, as one sent in
    chunks declares none.

    Args:
        app: What the request is passed on to.
        max_bytes: The largest body allowed.
    """

    def __init__(self, app: ASGIApp, max_bytes: int):
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = b"".join(header_values(scope, b"content-length"))
        declared_too_large = declared.isdigit() and int(declared) > self._max_bytes
        read = 0
        whole = False

        async def limited() -> Message:
            nonlocal read, whole
            if declared_too_large:
                raise too_large(self._max_bytes)
            message = await receive()
            if message["type"] == "http.disconnect" and not whole:
                raise APIError(*CLIENT_LEFT)  # which no route has to expect
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise too_large(self._max_bytes)
            return message

        await self._app(scope, limited, send)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """The values of a request's header, at half of the cost of Starlette's `Headers`."""
    return [value for one, value in scope["headers"] if one == name]


def too_large(max_bytes: int, once: str = "") -> APIError:
    """The error for a body that is too large; `once` says when, such as " once unpacked"."""
    return APIError(
        413,
        "body_too_large",
        f"Expected a body of at most {max_bytes:,} bytes{once}, got a larger one. Send several "
        f"requests.",
        # The rest of the body is not read, so the connection can't carry another request.
        headers={"Connection": "close"},
    )
