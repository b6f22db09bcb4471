"""The classifier at work: ready or not, and computing off the event loop so that other routes answer meanwhile."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from linnet.config import ServeConfig
from linnet.errors import BundleError
from linnet.predict import Classifier, Prediction
from linnet.serve.failures import Refusal

# One request computes while another is tokenised; more at once would only share the same cores.
PREDICTIONS_AT_ONCE = 2
WARM_UP_TEXTS = ["a", "a text of a few words to warm up with", "a long one " * 200]


class Service:
    """What the routes ask.

    Args:
        classifier: A loaded and verified bundle.
        settings: The section `[serve]`.

    Attributes:
        classifier: The classifier that answers.
        settings: The settings given.
        unready: Why the service can't answer; None when it can.
    """

    def __init__(self, classifier: Classifier, settings: ServeConfig):
        self.classifier, self.settings = classifier, settings
        self.unready: str | None = "The service has not started yet."
        self._threads = anyio.CapacityLimiter(PREDICTIONS_AT_ONCE)

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Be ready while the block runs."""
        self.unready = None
        try:
            yield
        finally:
            self.unready = "The service is shutting down."

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify the texts of one request.

        Raises:
            Refusal: The service is not ready, or these are too many texts.
            TextError: A text can't be used; the message names its index.
        """
        self.check_ready()
        if len(texts) > self.settings.max_texts:
            raise Refusal(
                422,
                "too_many_texts",
                f"Expected at most {self.settings.max_texts} texts in a request; got {len(texts)}. "
                "Send them in several requests.",
                details={"max_texts": self.settings.max_texts},
            )
        return await anyio.to_thread.run_sync(self.classifier.predict, texts, limiter=self._threads)

    def check_ready(self) -> None:
        """Pass if the service can answer.

        Raises:
            Refusal: It can't; the message says why.
        """
        if self.unready is not None:
            raise Refusal(503, "not_ready", f"{self.unready} Try again later.", headers={"Retry-After": "1"})


def warm_up(classifier: Classifier) -> None:
    """Answer once for short and for long texts, so that no user waits for memory and code to be laid out.

    Raises:
        BundleError: The model answers with something that is no probability.
    """
    if not all(math.isfinite(answer.probability) for answer in classifier.predict(WARM_UP_TEXTS)):
        raise BundleError(f"{classifier.bundle.path} answers a plain text with no probability. Export it again.")
