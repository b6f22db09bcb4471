"""The application, put together: routes, failures, limits and ids around one service."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.errors import ServerErrorMiddleware as StarletteErrorMiddleware
from starlette.types import ASGIApp

from linnet import __version__
from linnet.serve.middleware.access import AuthMiddleware, share_of
from linnet.serve.middleware.cors import CrossOriginMiddleware
from linnet.serve.middleware.failures import ServerErrorMiddleware, handle_failures
from linnet.serve.middleware.fast_routes import FastRoutes
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.middleware.keys import Keys
from linnet.serve.middleware.limits import BodySizeLimitMiddleware, ConnectionLimitMiddleware
from linnet.serve.middleware.methods import Methods, MethodsMiddleware
from linnet.serve.middleware.no_keys import NoKeysMiddleware, OpenTo
from linnet.serve.middleware.quota import Quotas
from linnet.serve.middleware.unpack import UnpackMiddleware
from linnet.serve.models.service import Service
from linnet.serve.routes import admin, open_inference, operate, sagemaker
from linnet.serve.routes.open_inference_schemas import InferenceRequest
from linnet.serve.routes.schemas import (
    ExplainRequest,
    FeedbackRequest,
    PredictRequest,
    RollBackRequest,
    SharesRequest,
    SwapRequest,
)
from linnet.serve.routes.v1 import DIRECT, router
from linnet.serve.telemetry.recorder import Recorder
from linnet.serve.telemetry.tracing import NO_FASTAPI_TELEMETRY

if TYPE_CHECKING:
    from linnet.serve.telemetry.spans import Spans

DESCRIPTION = """Classifies texts. Every failing route answers in one shape: `{"error": {"code", "message",
"request_id", "details"?}}`, but for those below `/v2`, whose protocol has its own: `{"error": "message"}`. Send a
header `X-Request-ID` to find a request again in the log; each answer carries it."""
ROUTERS = (router, admin.router, operate.router, sagemaker.router, open_inference.router)
READ_BY_ROUTES = (
    PredictRequest,
    ExplainRequest,
    FeedbackRequest,
    SwapRequest,
    SharesRequest,
    RollBackRequest,
    sagemaker.InvocationRequest,
    InferenceRequest,
)  # not by FastAPI, which so doesn't know of them


def create_app(
    service: Service,
    keys: Keys | None = None,
    quotas: Quotas | None = None,
    spans: "Spans | None" = None,
    open_to: OpenTo | None = None,
) -> FastAPI:
    """The HTTP service, as an ASGI application.

    Its lifespan, which any ASGI server starts before it listens, verifies, loads and warms the
    models.

    Args:
        service: What the routes ask.
        keys: Who may ask; None: everybody.
        quotas: What the keys have used up; None: it is counted from 0.
        spans: Where traces go; None: there are none.
        open_to: Who may ask if there are no keys; None: whatever reaches the application.
    """
    quotas = quotas or Quotas()
    watch = Recorder(service, keys)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with quotas.kept(), watch.running(), service.running():
            yield

    def around(app: ASGIApp) -> ASGIApp:
        app = MethodsMiddleware(app, _methods())
        endpoints = DIRECT | sagemaker.DIRECT
        app = FastRoutes(app, endpoints, lambda scope: service.check_room(share_of(scope)))
        app = UnpackMiddleware(app, service.settings.max_body_bytes)
        app = BodySizeLimitMiddleware(app, service.settings.max_body_bytes)
        if keys:
            app = AuthMiddleware(app, keys, quotas)
        elif open_to:
            app = NoKeysMiddleware(app, open_to)
        app = ServerErrorMiddleware(ConnectionLimitMiddleware(app))
        if service.settings.cors_origins:  # around the failures, for pages are to read those too
            app = CrossOriginMiddleware(app, service.settings.cors_origins)
        if spans:
            app = spans.around(app)
        # The outermost, so that every failure has an id to name.
        return RequestIdMiddleware(app, watch.metrics.observe_request)

    app = _with_routes(lifespan=lifespan)
    app.around = around
    app.state.service = service
    app.state.watch = watch
    handle_failures(app)
    return app


def openapi() -> dict[str, Any]:
    """The OpenAPI description of the service, which is the same for every model."""
    return _with_routes().openapi()


class _App(FastAPI):
    """FastAPI with a description of the bodies that routes read themselves."""

    around: Callable[[ASGIApp], ASGIApp] = staticmethod(lambda app: app)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack; the fast routes bypass FastAPI's own layers."""
        stack = super().build_middleware_stack()
        assert isinstance(
            stack, StarletteErrorMiddleware
        )  # it would answer a defect in plain text, before `ServerErrorMiddleware`
        return self.around(stack.app)

    def openapi(self) -> dict[str, Any]:
        """FastAPI's description, and the bodies that routes read themselves."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            for model in READ_BY_ROUTES:
                described = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= described.pop("$defs", {}) | {model.__name__: described}
        assert self.openapi_schema is not None
        return self.openapi_schema


def _with_routes(**options: Any) -> _App:
    options["telemetry"] = NO_FASTAPI_TELEMETRY
    app = _App(
        title="Linnet",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load their scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        **options,
    )
    for routes in ROUTERS:
        app.include_router(routes)
    return app


def _methods() -> Methods:
    for routes in ROUTERS:
        for route in routes.routes:
            assert isinstance(route, APIRoute)
            yield route.path_regex, route.methods or ()
    yield re.compile(r"/openapi\.json$"), ["GET"]  # FastAPI's own
