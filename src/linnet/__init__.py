"""Linnet: from a labelled text file to a text-classification service that proves it works.

    import linnet

    classifier = linnet.load("runs/tweets/bundle")
    classifier.predict(["what a lovely day"])

Importing this turns the telemetry of other libraries off, and does nothing else: the parts are
imported when first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from linnet.no_telemetry import turn_off

if TYPE_CHECKING:
    from linnet.client import AsyncClient, Client
    from linnet.errors import LinnetError, ServiceError
    from linnet.predict.classifier import Classifier, load
    from linnet.predict.codec import Prediction
    from linnet.predict.explain import Explanation, Word

    __version__: str

__all__ = [
    "AsyncClient",
    "Classifier",
    "Client",
    "Explanation",
    "LinnetError",
    "Prediction",
    "ServiceError",
    "Word",
    "__version__",
    "load",
]

_HOMES = {
    "AsyncClient": "linnet.client",
    "Classifier": "linnet.predict.classifier",
    "Client": "linnet.client",
    "Explanation": "linnet.predict.explain",
    "LinnetError": "linnet.errors",
    "Prediction": "linnet.predict.codec",
    "ServiceError": "linnet.errors",
    "Word": "linnet.predict.explain",
    "load": "linnet.predict.classifier",
}

turn_off()


def __getattr__(name: str) -> Any:
    if name == "__version__":  # finding it takes most of what an import of this would
        return import_module("importlib.metadata").version("linnet-text")
    if name not in _HOMES:
        raise AttributeError(f"module 'linnet' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
