"""The experiment in the running service: challengers are watched, and rolled back if they harm."""

import logging
import math
import time
from collections.abc import Mapping

from linnet.config import Config
from linnet.errors import ConfigError
from linnet.serve.errors import IsRolledBack
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.guardrails import Guardrails
from linnet.serve.models.items import Item
from linnet.serve.models.rolled_back import RollBack, RollBacks, state_path

logger = logging.getLogger("linnet.serve")
LN10 = math.log(10)


class Experiment:
    """Watches the challengers of a service. Changes no arms itself. Of one event loop alone.

    Args:
        config: `[experiment]` is used, and where the prediction log is.

    Attributes:
        guardrails: The events of each challenger.
    """

    def __init__(self, config: Config):
        settings = config.experiment
        self._settings = settings
        self.guardrails = Guardrails(settings.evidence, settings.servers, settings.slow_ms)
        self._roll_backs = RollBacks(state_path(config))
        self._said: set[str] = set()  # digests whose harm was logged where nothing rolls back

    async def read(self) -> None:
        """Read which challengers were rolled back before."""
        await self._roll_backs.read()

    def hold(self, arms: Arms) -> Arms:
        """The arms, where challengers that were rolled back before have the share 0."""
        held = {}
        for arm in arms.challengers:
            known = self._roll_backs.find(arm.pool.bundle.digest)
            if known:
                held[arm.name] = known
                if arm.share:
                    logger.warning(
                        "%s (%s) keeps the share 0, because it was rolled back: %s. %s",
                        arm.name,
                        arm.pool.bundle.digest[:12],
                        known.reason,
                        how_to_reset(arm.name),
                    )
        return arms.with_roll_backs(held.keys())

    def watch(self, arms: Arms) -> None:
        """Compare these arms from now on."""
        self.guardrails.watch(arms)

    def see(self, item: Item) -> tuple[str, str] | None:
        """Count the events of a text.

        Returns:
            The challenger to roll back, and the reason; mostly None.
        """
        name = self.guardrails.see(item)
        if name is None:
            return None
        guard = self.guardrails.guards[name]
        if self._roll_backs.find(guard.digest):
            return None  # the text was assigned before
        reason = f"{guard.summary()}; evidence of harm {guard.log_evidence() / LN10:.1f} (log10)"
        if self._settings.rollback:
            return name, reason
        if guard.digest not in self._said:
            self._said.add(guard.digest)
            logger.warning(
                "%s (%s) harms: %s. It keeps its share (experiment.rollback).",
                name,
                guard.digest[:12],
                reason,
            )
        return None

    def check_shares(self, arms: Arms, shares: Mapping[str, float]) -> None:
        """Pass if no challenger that was rolled back gets a share.

        Raises:
            APIError: One would.
        """
        for arm in arms.challengers:
            if arm.rolled_back and shares.get(arm.name):
                raise IsRolledBack(f"{arm.name} was rolled back. {how_to_reset(arm.name)}")

    def roll_back(self, arms: Arms, name: str, reason: str) -> Arms:
        """The arms, where a challenger is rolled back as well.

        Raises:
            ConfigError: There is no such challenger.
        """
        arm = _challenger(arms, name)
        digest = arm.pool.bundle.digest
        known = RollBack(arm=name, experiment=arms.experiment, time=time.time(), reason=reason)
        self._roll_backs.add(digest, known)
        logger.error(
            "%s (%s) was rolled back from a share of %g to 0: %s. %s",
            name,
            digest[:12],
            arm.share,
            reason,
            how_to_reset(name),
        )
        return arms.with_roll_backs({one.name for one in arms.challengers if self._is_held(one)})

    def reset(self, arms: Arms, name: str) -> Arms:
        """The arms, where a challenger is no longer rolled back. Its evidence starts again.

        Raises:
            ConfigError: There is no such challenger.
        """
        arm = _challenger(arms, name)
        digest = arm.pool.bundle.digest
        self._roll_backs.remove(digest)
        self._said.discard(digest)
        self.guardrails.restart(name)
        logger.warning("%s (%s) is no longer rolled back; its share is 0", name, digest[:12])
        return arms.with_roll_backs({one.name for one in arms.challengers if self._is_held(one)})

    async def save(self, arms: Arms, name: str) -> None:
        """Write whether a challenger is rolled back into the file."""
        await self._roll_backs.save(_challenger(arms, name).pool.bundle.digest)

    def _is_held(self, arm: Arm) -> bool:
        return self._roll_backs.find(arm.pool.bundle.digest) is not None


def how_to_reset(arm: str) -> str:
    """What a person does to put a challenger back to work."""
    return f'Lift it with POST /admin/rollback {{"arm": "{arm}", "reset": true}}.'


def _challenger(arms: Arms, name: str) -> Arm:
    found = next((arm for arm in arms.challengers if arm.name == name), None)
    if found is None:
        known = ", ".join(arm.name for arm in arms.challengers) or "none"
        raise ConfigError(f"Expected a challenger, which are here {known}; got {name!r:.60}.")
    return found
