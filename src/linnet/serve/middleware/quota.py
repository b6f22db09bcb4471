"""How often each key may ask, and how many texts it may send in a day.

The counts are those of one service, kept through a restart in a file. Everything here belongs to
the event loop.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from linnet.errors import StorageError
from linnet.files import canonical_json, locked, write_text
from linnet.serve.errors import QuotaExceeded, TooManyTexts
from linnet.serve.middleware.keys import Key

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
SAVE_SECONDS = 5.0

logger = logging.getLogger("linnet.serve")


class Quotas:
    """What each key has used up.

    Args:
        path: Where the day's texts are kept; None: they begin at 0 with each start.
        clock: Nanoseconds that only grow.
        now: The time, for the days of UTC.
    """

    def __init__(
        self,
        path: Path | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self._path = path
        self._clock = clock
        self._now = now
        self._paid_until: dict[str, int] = {}
        self._day = now().date()
        self._texts: dict[str, int] = {}
        self._saved: dict[str, int] = {}

    def admit(self, key: Key) -> None:
        """Count a request.

        The key's token bucket holds a minute's requests and fills evenly: so many can come at once,
        after them one at a time (as the generic cell rate algorithm has it, ITU-T I.371, which
        keeps one number a key).

        Raises:
            APIError: 429, the bucket is empty; `Retry-After` is the time until it isn't, rounded up
                to a second.
        """
        if not key.requests_per_minute:
            return
        now = self._clock()
        paid_until = max(self._paid_until.get(key.id, now), now) + -(
            -MINUTE // key.requests_per_minute
        )
        wait = paid_until - now - MINUTE
        if wait > 0:
            raise QuotaExceeded(
                "rate_limited",
                f"This key may ask {key.requests_per_minute:,} times a minute, and has. Wait as "
                f"`Retry-After` says.",
                -(-wait // SECOND),
            )
        self._paid_until[key.id] = paid_until

    def take(self, key: Key, texts: int) -> None:
        """Count the texts of a request: all or none.

        Raises:
            APIError: 429, fewer are left of this day; `Retry-After` is the time to the next. 422,
                no day has so many.
        """
        if not key.texts_per_day:
            return
        if texts > key.texts_per_day:
            raise TooManyTexts(
                f"This key may send {key.texts_per_day:,} texts a day, and this request counts as "
                f"{texts:,}. Send fewer texts, or ask the service's operator for a larger quota.",
                {"max_texts": key.texts_per_day},
            )
        now = self._turn_day()
        left = max(0, key.texts_per_day - self._texts.get(key.id, 0))
        if texts > left:
            raise QuotaExceeded(
                "quota_used_up",
                f"This key may send {key.texts_per_day:,} texts a day, and {left:,} are left "
                f"today; got {texts:,}. The next day begins at 00:00 UTC.",
                _seconds_to(self._day + timedelta(days=1), now),
                {"texts_left": left},
            )
        self._texts[key.id] = self._texts.get(key.id, 0) + texts

    def give_back(self, key: Key, texts: int) -> None:
        """Count texts no longer, as no worker began them."""
        self._turn_day()
        if texts > 0 and key.id in self._texts:
            self._texts[key.id] = max(0, self._texts[key.id] - texts)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Read the counts from the file, and write them every few seconds and at the end.

        A kill loses what was counted since the file was last written: at most the texts of about
        `SAVE_SECONDS`, which those keys may then send once more. Where the file can't be written,
        the counts last as long as the process; the log says so.
        """
        with ExitStack() as stack:
            if self._path is None or not self._hold(self._path, stack):
                yield
                return
            self._texts = self._restored(self._path)
            self._saved = dict(self._texts)
            stop = asyncio.Event()
            task = asyncio.create_task(self._keep(self._path, stop))
            try:
                yield
            finally:
                stop.set()
                await task

    async def _keep(self, path: Path, stop: asyncio.Event) -> None:
        failing = False
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SAVE_SECONDS)
            self._turn_day()
            if self._texts == self._saved:
                continue
            counts = dict(self._texts)
            text = canonical_json({"day": self._day.isoformat(), "texts": counts})
            try:
                await asyncio.to_thread(write_text, path, text, private=True)
                self._saved = counts
                failing = False
            except (StorageError, OSError) as error:
                if not failing:
                    logger.error(
                        "The keys' texts of today are not kept through a restart: %s", error
                    )
                failing = True

    def _hold(self, path: Path, stack: ExitStack) -> bool:
        try:
            if stack.enter_context(locked(path.with_name(f".{path.name}.lock"), wait=False)):
                return True
            reason: object = "another service keeps its own there"
        except (StorageError, OSError) as error:
            reason = error
        logger.warning(
            "The keys' texts of today are not kept through a restart in %s: %s", path, reason
        )
        return False

    def _restored(self, path: Path) -> dict[str, int]:
        try:
            kept = json.loads(path.read_bytes())
            texts = {
                str(key): int(count) for key, count in kept["texts"].items() if int(count) >= 0
            }
            return texts if kept["day"] == self._day.isoformat() else {}
        except FileNotFoundError:
            return {}
        except (
            OSError,
            ArithmeticError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            logger.warning(
                "%s can't be read (%r): the keys' texts of today begin at 0", path, error
            )
            return {}

    def _turn_day(self) -> datetime:
        now = self._now()
        today = now.date()
        if today > self._day:
            self._day = today
            self._texts = {}
        elif today < self._day - timedelta(days=1):
            # The clock was far ahead, or is far behind. The counts stay, for today is not a new
            # day.
            self._day = today
        return now  # a clock put back by less gives no second day


def _seconds_to(day: date, now: datetime) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return math.ceil((midnight - now).total_seconds())
