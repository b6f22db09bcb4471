"""HEAD wherever there is GET, OPTIONS everywhere, and a correct `Allow` (RFC 9110, 9.3).

FastAPI's routes take the methods that they name, and one route of a path knows nothing of another.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Methods = Iterable[tuple[re.Pattern[str], Iterable[str]]]


class MethodsMiddleware:
    """ASGI middleware: answers HEAD as GET without a body, and OPTIONS with a path's methods.

    Args:
        app: What the request is passed on to.
        routes: Of each route what its path matches, and its methods.
    """

    def __init__(self, app: ASGIApp, routes: Methods):
        self._app = app
        self._routes = [(path, frozenset(methods)) for path, methods in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._head(scope, receive, send)
        elif scope["method"] == "OPTIONS" and (allowed := self._allowed(scope["path"])):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        else:
            await self._app(scope, receive, self._with_allow(scope, send))

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        send = self._with_allow(scope, send)

        async def without_body(message: Message) -> None:
            scope["method"] = "HEAD"  # the server looks there for whether a body may follow
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"

    def _with_allow(self, scope: Scope, send: Send) -> Send:
        async def with_allow(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                MutableHeaders(scope=message)["Allow"] = self._allowed(scope["path"])
            await send(message)

        return with_allow

    def _allowed(self, path: str) -> str:
        """The methods that a path takes, as the header `Allow` has them; "" if it is no route's."""
        found = {
            method for route, methods in self._routes if route.match(path) for method in methods
        }
        if not found:
            return ""
        return ", ".join(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))
