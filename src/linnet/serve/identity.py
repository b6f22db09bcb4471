"""Every request has an id: the client's own where it is sane, else a new one; it is in the answer and in the log."""

import itertools
import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
INFERENCE = "X-Amzn-SageMaker-Inference-Id"  # what SageMaker's callers have in its place
PROCESS = secrets.token_hex(8)
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
NO_ROUTE = "(no route)"

Observe = Callable[[str, int, float, str | None], None]

_count = itertools.count()

logger = logging.getLogger("linnet.serve")


class IdentifyRequests:
    """ASGI middleware: gives each request its id, and when it is answered logs a line and has it counted.

    The line holds neither texts nor the path that was asked for, only the route that it matched.

    Args:
        app: What the request is passed on to.
        observe: Is told of each answer: route, status (0: none, as the client left), seconds, and the failure's code
            or None; such as `Metrics.observe_request`.
    """

    def __init__(self, app: ASGIApp, observe: Observe | None = None):
        self._app, self._observe = app, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent = headers.get(HEADER) or headers.get(INFERENCE, "")
        identity = sent if SANE.fullmatch(sent) else new_id()
        scope.setdefault("state", {})["request_id"] = identity
        started = time.perf_counter()
        status = 0

        async def mark(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = identity
            await send(message)

        try:
            await self._app(scope, receive, mark)
        finally:
            seconds = time.perf_counter() - started
            self._tell(scope, status, seconds)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        state, route = scope["state"], route_of(scope)
        facts = {
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "method": scope["method"],
        }
        facts |= {
            name: state[name]
            for name in ("request_id", "key_id", "code", "trace_id")
            if name in state
        }
        logger.info(
            "%s %s %s %d in %.1f ms",
            request_id(scope),
            scope["method"],
            route,
            status,
            seconds * 1000,
            extra=facts,
        )
        if self._observe:
            self._observe(route, status, seconds, state.get("code"))


def new_id() -> str:
    """32 hexadecimal digits that no other id has; half of them count, for random ones cost a system call."""
    return f"{PROCESS}{next(_count):016x}"


def request_id(scope: Scope) -> str:
    """The id of the request that a scope belongs to."""
    identity: str = scope["state"]["request_id"]
    return identity


def route_of(scope: Scope) -> str:
    """The route that a request matched, as a template; "(no route)" where none did. There are as many as routes."""
    template: str = getattr(scope.get("route"), "path", None) or scope["state"].get(
        "route", NO_ROUTE
    )
    return template
