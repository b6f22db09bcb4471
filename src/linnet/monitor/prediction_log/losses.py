"""Records that the log dropped: counted by reason, logged, and owed to the store."""

import logging
import time

LOG_SECONDS = 60.0  # losses are logged at most so often

logger = logging.getLogger("linnet.monitor")


class Losses:
    """How many records were dropped, by reason. The caller holds the lock of the log.

    Attributes:
        counts: `full`, `failed` and `refused`, as in `LogStatus`.
    """

    def __init__(self) -> None:
        self.counts = {"full": 0, "failed": 0, "refused": 0}
        self._logged = dict(self.counts)
        self._stored = dict(self.counts)
        self._next_line = 0.0

    def is_line_due(self) -> bool:
        """Whether the last line about losses was long enough ago."""
        return time.monotonic() >= self._next_line

    def log(self) -> None:
        """Log the losses since the start, if there are new ones."""
        if self.counts != self._logged:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
            logger.warning("Predictions that were not recorded since the start: %s", reasons)
            self._logged = dict(self.counts)
            self._next_line = time.monotonic() + LOG_SECONDS

    def owed(self) -> dict[str, int]:
        """Losses that the store doesn't have, by reason; none of zero."""
        news = {reason: count - self._stored[reason] for reason, count in self.counts.items()}
        return {reason: count for reason, count in news.items() if count}

    def settle(self, stored: dict[str, int]) -> None:
        """Note that the store has these, as `owed` gave them."""
        for reason, count in stored.items():
            self._stored[reason] += count
