"""The application, put together: routes, failures, limits and ids around one service."""

from typing import Any

from fastapi import FastAPI

from linnet import Classifier, __version__
from linnet.config import ServeConfig
from linnet.serve.failures import CatchDefects, handle_failures
from linnet.serve.identity import IdentifyRequests
from linnet.serve.limits import LimitBody
from linnet.serve.routes import router
from linnet.serve.service import Service, warm_up

DESCRIPTION = """Classifies texts. Every failing route answers in one shape: `{"error": {"code", "message",
"request_id", "details"?}}`. Send a header `X-Request-ID` to find a request again in the log; each answer carries it."""


def create_app(classifier: Classifier, settings: ServeConfig) -> FastAPI:
    """The HTTP service of one classifier, as an ASGI application.

    The classifier is warmed up first. The service is ready while its lifespan runs, which any ASGI server
    starts before it listens.

    Args:
        classifier: A loaded and verified bundle.
        settings: The section `[serve]`; host and port are the server's concern.

    Raises:
        BundleError: The model answers with something that is no probability.
    """
    warm_up(classifier)
    service = Service(classifier, settings)
    app = _with_routes(lifespan=service.lifespan)
    app.state.service = service
    handle_failures(app)
    # The last added is the outermost: an id first, so that every failure can name it.
    app.add_middleware(LimitBody, max_bytes=settings.max_body_bytes)
    app.add_middleware(CatchDefects)
    app.add_middleware(IdentifyRequests)
    return app


def openapi() -> dict[str, Any]:
    """The OpenAPI description of the service, which is the same for every model."""
    return _with_routes().openapi()


def _with_routes(**options: Any) -> FastAPI:
    app = FastAPI(
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
