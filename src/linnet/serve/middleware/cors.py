"""Pages of other origins may ask the service from a browser, where `serve.cors_origins` names them.

Starlette's middleware does the work. Here, routes for operators stay closed, and failures have the
one shape. Cookies and other credentials that a browser adds by itself are never allowed: keys are
in headers that a page sets.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.serve.errors import APIError, error_response
from linnet.serve.middleware.access import KEY_HEADERS, needed_scope
from linnet.serve.request_id import HEADER

CLOSED = ("admin", "metrics")  # scopes of the routes that no page of another origin may ask
REQUEST_HEADERS = (
    *KEY_HEADERS,
    HEADER,
    "Content-Encoding",
    "Content-Type",
    # of the Open Inference Protocol, as clients in JavaScript send it
    "Inference-Header-Content-Length",
    "Traceparent",
    "Tracestate",
    "X-Request-Timeout",
)
ANSWER_HEADERS = (HEADER, "Inference-Header-Content-Length", "Retry-After", "WWW-Authenticate")


class CrossOriginMiddleware(CORSMiddleware):
    """ASGI middleware: answers preflights and marks answers for pages of other origins.

    A preflight needs no key.

    Args:
        app: What the request is passed on to.
        origins: As `serve.cors_origins` has them.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]):
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
        )
        # A page that is named may also ask a service in a private network; "*" names none. Set so,
        # as older versions of Starlette have no argument for it.
        self.allow_private_network = "*" not in origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or pass the request on and mark its answer."""
        if scope["type"] != "http" or needed_scope(scope["path"]) in CLOSED:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "origin" not in headers:
            # Starlette below 0.50 can't answer such a request here.
            await self.app(scope, receive, _with_vary(send))
            return
        asks_before = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if not asks_before:
            await self.simple_response(scope, receive, send, request_headers=headers)
            return
        response = self.preflight_response(request_headers=headers)
        if response.status_code >= 400:
            response = error_response(scope, _refusal(headers["origin"]))
        await response(scope, receive, send)


def _with_vary(send: Send) -> Send:
    """Say that the answer depends on the origin, so that no cache gives it to a page."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)

    return marked


def _refusal(origin: str) -> APIError:
    return APIError(
        403,
        "origin_not_allowed",
        f"Expected an origin of serve.cors_origins that asks with {', '.join(REQUEST_HEADERS)} "
        f"alone; got {origin[:100]!r}. Add the origin to the setting, or send other headers.",
        headers={"Vary": "Origin"},
    )
