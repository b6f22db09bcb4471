"""Every request has an id:

the client's own where it is sane, else a new one; it is in the answer and in the log.
"""

import logging
import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.serve.request_id import HEADER, new_id, request_id, route_of

INFERENCE = "X-Amzn-SageMaker-Inference-Id"  # what SageMaker's callers have in its place
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")

Observe = Callable[[str, int, float, str | None], None]

logger = logging.getLogger("linnet.serve")


class RequestIdMiddleware:
    """ASGI middleware: gives each request its id, logs it and counts it.

    The line holds neither texts nor the path that was asked for, only the route that it matched.

    Args:
        app: What the request is passed on to.
        observe: Called for each answer: route, status (0: none, as the client left), seconds, and
            the failure's code or None; such as `Metrics.observe_request`.
    """

    def __init__(self, app: ASGIApp, observe: Observe | None = None):
        self._app = app
        self._observe = observe

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
        state = scope["state"]
        route = route_of(scope)
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
