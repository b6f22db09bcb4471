"""The application, put together: routes, failures, limits and ids around one service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from linnet import __version__
from linnet.serve.access import Access
from linnet.serve.direct import Direct
from linnet.serve.failures import CatchDefects, handle_failures
from linnet.serve.identity import IdentifyRequests
from linnet.serve.keys import Keys
from linnet.serve.limits import LimitBody
from linnet.serve.quota import Quotas
from linnet.serve.routes import DIRECT, router
from linnet.serve.schemas import ExplainRequest, FeedbackRequest, PredictRequest, SwapRequest
from linnet.serve.service import Service
from linnet.serve.tracing import NO_FASTAPI_TELEMETRY
from linnet.serve.watch import Watch

if TYPE_CHECKING:
    from linnet.serve.spans import Spans

DESCRIPTION = """Classifies texts. Every failing route answers in one shape: `{"error": {"code", "message",
"request_id", "details"?}}`. Send a header `X-Request-ID` to find a request again in the log; each answer carries it."""
READ_BY_ROUTES = (
    PredictRequest,
    ExplainRequest,
    FeedbackRequest,
    SwapRequest,
)  # not by FastAPI, which so doesn't know of them


def create_app(
    service: Service, keys: Keys | None = None, quotas: Quotas | None = None, spans: "Spans | None" = None
) -> FastAPI:
    """The HTTP service, as an ASGI application.

    Its lifespan, which any ASGI server starts before it listens, verifies, loads and warms the models.

    Args:
        service: What the routes ask.
        keys: Who may ask; None: everybody.
        quotas: What the keys have used up; None: it is counted from 0.
        spans: Where traces go; None: there are none.
    """
    quotas, watch = quotas or Quotas(), Watch(service, keys)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with quotas.kept(), watch.running(), service.running():
            yield

    app = _with_routes(lifespan=lifespan)
    app.state.service, app.state.watch = service, watch
    handle_failures(app)
    # The last added is the outermost: an id first, so that every failure can name it.
    app.add_middleware(Direct, endpoints=DIRECT)
    app.add_middleware(LimitBody, max_bytes=service.settings.max_body_bytes)
    if keys:
        app.add_middleware(Access, keys=keys, quotas=quotas)
    app.add_middleware(CatchDefects)
    if spans:
        app.add_middleware(spans.around)
    app.add_middleware(IdentifyRequests, observe=watch.metrics.observe_request)
    return app


def openapi() -> dict[str, Any]:
    """The OpenAPI description of the service, which is the same for every model."""
    return _with_routes().openapi()


class _Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """FastAPI's description, and the bodies that routes read themselves."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            for model in READ_BY_ROUTES:
                described = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= described.pop("$defs", {}) | {model.__name__: described}
        assert self.openapi_schema is not None
        return self.openapi_schema


def _with_routes(**options: Any) -> FastAPI:
    options["telemetry"] = NO_FASTAPI_TELEMETRY
    app = _Described(
        title="Linnet",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's own pages load their scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        **options,
    )
    app.include_router(router)
    return app
