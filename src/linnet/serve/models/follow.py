"""Follows the file of `linnet decide`, read again when it changes, as the file of keys is.

The file can do two things: roll a challenger back, and give it the next share of the ramp
(`experiment.ramp`) if the verdict is `promote`. It never puts another model to work, never lifts a
roll-back, and never skips a step. A file that is damaged, older than the one followed before, or
about another bundle changes nothing, and the log says why.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from linnet.errors import ConfigError
from linnet.monitor.results import Decision, parse_decision
from linnet.serve.errors import APIError
from linnet.serve.middleware.keys import LOOK_SECONDS, file_signature, read_guarded
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.background import in_background

DAY = 86_400.0

logger = logging.getLogger("linnet.serve")


class HasArms(Protocol):
    """The service, as far as a decision reaches."""

    @property
    def arms(self) -> Arms:
        """The models at work."""

    def set_shares(self, shares: Mapping[str, float]) -> Arms:
        """Change shares."""

    def roll_back(self, arm: str, reason: str) -> Arms:
        """Roll a challenger back."""


class NotFollowed(Exception):
    """Why a decision changes nothing, as a sentence."""


class Follower:
    """Follows one file. Of one event loop alone.

    Args:
        path: The file.
        ramp: The shares of a challenger, step by step.
        service: Whose arms it may change.
        clock: The time, seconds since 1970 in UTC.
    """

    def __init__(
        self,
        path: Path,
        ramp: Sequence[float],
        service: HasArms,
        clock: Callable[[], float] = time.time,
    ):
        self._path = path
        self._ramp = ramp
        self._service = service
        self._clock = clock
        self._since = clock()  # a decision without a digest has to be newer
        self._horizon = 0.0  # of the decision followed before
        self._seen: tuple[int, ...] | None = None

    async def run(self) -> None:
        """Look at the file once a second, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Follow the file if it has changed."""
        try:
            decision = await in_background(lambda check: self._read())
            if decision:
                self._follow(decision)
        except (ConfigError, ValueError, OSError, NotFollowed, APIError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            logger.error("%s changes nothing: %s", self._path, reason)
        except Exception:  # else nothing would follow the file any more
            logger.exception("this is a defect of Linnet")

    def _read(self) -> Decision | None:
        """The decision; None: the file is not there, or as it was. In a thread."""
        seen = file_signature(self._path)
        if seen in (None, self._seen):
            return None
        self._seen = seen
        danger = "could change the shares of models"
        return parse_decision(read_guarded(self._path, "The decision in", danger))

    def _follow(self, decision: Decision) -> None:
        horizon = decision.horizon or 0.0
        if horizon < self._horizon:
            raise NotFollowed("it is older than the decision that was followed before.")
        if horizon > self._clock() + DAY:
            raise NotFollowed("it comes from the future. Set the clocks right.")
        self._horizon = horizon
        is_step = decision.verdict == "promote" and decision.next_share is not None
        if decision.verdict != "roll_back" and not is_step:
            return
        arm = self._arm_of(decision)
        if arm.rolled_back:
            if is_step:
                raise NotFollowed(f"{arm.name} was rolled back, which a person has to lift.")
            return
        if decision.verdict == "roll_back":
            rules = ", ".join(str(reason.get("rule")) for reason in decision.reasons)
            self._service.roll_back(arm.name, f"{self._path} asks for it ({rules:.200})")
            return
        self._step(arm, decision.next_share or 0.0)

    def _arm_of(self, decision: Decision) -> Arm:
        """The challenger that a decision is about."""
        arms = self._service.arms
        arm = next((arm for arm in arms if arm.name == decision.arm), None)
        if arm is None or arm.role == "champion":
            raise NotFollowed(f"no challenger here is called {decision.arm!r:.60}.")
        if arm.role == "shadow":
            raise NotFollowed(
                f"{arm.name} is a shadow. Put it to work as a challenger with POST /admin/models."
            )
        digest = arm.pool.bundle.digest
        if decision.digest is not None and decision.digest != digest:
            raise NotFollowed(
                f"it is about the bundle {decision.digest:.12}, and {arm.name} is {digest:.12}."
            )
        if decision.digest is None and (decision.horizon or 0.0) < self._since:
            raise NotFollowed("it is older than this service and names no digest.")
        return arm

    def _step(self, arm: Arm, share: float) -> None:
        if share <= arm.share:
            return
        following = next((step for step in self._ramp if step > arm.share), arm.share)
        if share > following:
            raise NotFollowed(
                f"it gives {arm.name} a share of {share:g}; from {arm.share:g} the next step of "
                f"experiment.ramp is {following:g}."
            )
        self._service.set_shares({arm.name: share})
        logger.info("%s: %s has a share of %g now", self._path, arm.name, share)
