"""Asks a service over HTTP: texts in, answers out, in the order they came.

Knows nothing of what answers, and loads nothing of it: neither numpy nor an engine.
"""

from linnet.errors import MissingExtraError

try:
    import httpx2  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "httpx2", "client") from error

from linnet.client.answers import Answer, Arm, ExplainedAnswer, WeighedWord
from linnet.client.clients import AsyncClient, Client

__all__ = ["Answer", "Arm", "AsyncClient", "Client", "ExplainedAnswer", "WeighedWord"]
