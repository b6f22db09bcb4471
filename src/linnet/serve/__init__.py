"""Answers over HTTP: routes, limits, one shape for failures, a clean start and stop.

Knows nothing of how a model was made, stored or judged.
"""

from linnet.serve.app import create_app, openapi
from linnet.serve.models.service import Service
from linnet.serve.server import serve

__all__ = ["Service", "create_app", "openapi", "serve"]
