"""Every request has an id: the client's own where it is sane, else a new one; it is in the answer and in the log."""

import itertools
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
PROCESS = secrets.token_hex(8)
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")

_count = itertools.count()

logger = logging.getLogger("linnet.serve")


class IdentifyRequests:
    """ASGI middleware: gives each request its id, and logs a line when it is answered.

    The line holds neither texts nor the path that was asked for, only the route that it matched.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
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
            milliseconds = (time.perf_counter() - started) * 1000
            route = scope.get("route_path") or getattr(scope.get("route"), "path", "(no route)")
            logger.info("%s %s %s %d in %.1f ms", identity, scope["method"], route, status, milliseconds)


def new_id() -> str:
    """32 hexadecimal digits that no other id has; half of them count, for random ones cost a system call."""
    return f"{PROCESS}{next(_count):016x}"


def request_id(scope: Scope) -> str:
    """The id of the request that a scope belongs to."""
    identity: str = scope["state"]["request_id"]
    return identity
