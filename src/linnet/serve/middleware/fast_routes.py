"""The way around the framework for the routes that are asked most:

it costs as much as a small model's answer.
"""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from linnet.serve.middleware.failures import answer_failure

Endpoint = Callable[[Request], Awaitable[Response]]


class FastRoutes:
    """ASGI middleware: calls endpoints that read their request themselves, past the framework.

    Args:
        app: The framework's application, which describes these routes too.
        endpoints: The path of a route that takes POST, to what answers it.
        check: Raises a refusal where no endpoint could do more than refuse, which spares reading
            the request.
    """

    def __init__(
        self, app: ASGIApp, endpoints: Mapping[str, Endpoint], check: Callable[[Scope], None]
    ):
        self._app = app
        self._endpoints = endpoints
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        endpoint = self._endpoints.get(scope.get("path", ""))
        if endpoint is None or scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["state"]["route"] = scope["path"]
        request = Request(scope, receive, send)
        try:
            self._check(scope)
            response = await endpoint(request)
        except Exception as error:
            response = await answer_failure(request, error)
        await response(scope, receive, send)
