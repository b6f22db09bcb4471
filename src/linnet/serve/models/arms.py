"""Which model answers a text:

the champion, or a challenger with a share of them; shadows answer for the log alone.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from linnet.bundle import Bundle
from linnet.config import ArmConfig, Config
from linnet.errors import BundleError, ConfigError, MissingExtraError
from linnet.predict.plan import choose_plan
from linnet.serve.errors import APIError
from linnet.serve.models.background import Check, in_background
from linnet.serve.models.slots import Slots, experiment_name
from linnet.serve.models.workers import Pool
from linnet.serve.models.workers.pool import Batch

CHAMPION = "champion"
Role = Literal["champion", "challenger", "shadow"]

logger = logging.getLogger("linnet.serve")


@dataclass(frozen=True, eq=False)
class Arm:
    """A model that answers.

    Attributes:
        name: What answers call it.
        role: What it is for.
        share: Of the texts, from 0 to 1; for a shadow, the part of the texts that it gets too.
        pool: Its workers.
        settings: What it was made from.
        rolled_back: Whether its share is 0 until a person lifts its roll-back.
    """

    name: str
    role: Role
    share: float
    pool: Pool
    settings: ArmConfig
    rolled_back: bool = False


class Arms:
    """All models at a time, and who answers what. Never changed; a swap makes others, as do shares.

    Args:
        arms: One champion, and others.
        experiment: Salts the assignment. Empty: a hash of the challengers' digests.

    Attributes:
        experiment: Its name.
        challengers: The arms that answer a share of the texts.
        shadows: The arms that answer for the log alone.
    """

    def __init__(self, arms: Iterable[Arm], experiment: str = ""):
        self._arms = {arm.name: arm for arm in arms}
        self.challengers = [arm for arm in self._arms.values() if arm.role == "challenger"]
        self.shadows = [arm for arm in self._arms.values() if arm.role == "shadow"]
        digests = [arm.pool.bundle.digest for arm in self.challengers]
        self.experiment = experiment or experiment_name(digests)
        shares = {arm.name: arm.share for arm in self.challengers}
        self._slots = Slots(self.experiment, shares)
        champion = self._arms[CHAMPION]
        self._arms[CHAMPION] = replace(champion, share=max(0.0, 1 - sum(shares.values())))

    def __iter__(self) -> Iterator[Arm]:
        return iter(self._arms.values())

    @property
    def champion(self) -> Arm:
        """Who answers what no challenger does."""
        return self._arms[CHAMPION]

    def choose(self, key: str) -> Arm:
        """Who answers; the same for the same key, such as a user's id or the text itself."""
        return self._arms[self._slots.find(key) or CHAMPION]

    def named(self, name: str) -> Arm:
        """The arm that a request asks for.

        Raises:
            APIError: There is none of this name, or it is a shadow, whose answers are for the log
                alone.
        """
        arm = self._arms.get(name)
        if arm is None or arm.role == "shadow":
            known = ", ".join(arm.name for arm in self._arms.values() if arm.role != "shadow")
            raise APIError(
                422, "unknown_arm", f"Expected one of the arms {known}; got {name!r:.60}."
            )
        return arm

    @property
    def settings(self) -> dict[str, ArmConfig]:
        """Each arm's settings, with its share as it is now."""
        return {arm.name: arm.settings for arm in self}

    def with_shares(self, shares: Mapping[str, float]) -> "Arms":
        """The same models with other shares. Nothing is read, and nothing is verified.

        Args:
            shares: New shares by arm; the others keep theirs.

        Raises:
            ConfigError: An arm is not there or has no share of its own, or they are more than 1
                together.
        """
        for name, share in shares.items():
            if name == CHAMPION or name not in self._arms:
                others = ", ".join(other for other in self._arms if other != CHAMPION) or "none"
                raise ConfigError(
                    f"Expected shares of challengers and shadows, which are here {others}; got "
                    f"{name!r:.60}. The champion answers what the others leave."
                )
            if not 0 <= share <= 1:
                raise ConfigError(f"Expected a share from 0 to 1 for {name}; got {share:g}.")
        arms = [_with_share(arm, shares[arm.name]) if arm.name in shares else arm for arm in self]
        check_arms({arm.name: arm.settings for arm in arms})
        return Arms(arms, self.experiment)

    def with_roll_backs(self, names: Set[str]) -> "Arms":
        """The same models, where exactly these challengers are rolled back."""
        return Arms(
            (
                replace(_with_share(arm, 0.0), rolled_back=True)
                if arm.name in names
                else replace(arm, rolled_back=False)
                for arm in self
            ),
            self.experiment,
        )


def _with_share(arm: Arm, share: float) -> Arm:
    settings = arm.settings.model_copy(update={"share": share})
    return replace(arm, share=share, settings=settings)


def check_arms(settings: Mapping[str, ArmConfig]) -> None:
    """Pass if arms can be served together.

    Raises:
        ConfigError: There is no champion, or the shares leave nothing for it.
    """
    champion = settings.get(CHAMPION)
    if champion is None or champion.shadow:
        raise ConfigError(
            f"Expected an arm {CHAMPION!r} that is no shadow; got {', '.join(settings) or 'none'}."
        )
    share = sum(arm.share for name, arm in settings.items() if name != CHAMPION and not arm.shadow)
    if share > 1:
        raise ConfigError(
            f"Expected shares of the challengers that are at most 1 together; got {share:g}."
        )


def check_labels(bundles: Sequence[Bundle]) -> None:
    """Pass if all bundles have the same labels, so that clients see one kind of answer.

    Raises:
        ConfigError: One gives others than the first.
    """
    for bundle in bundles:
        first = bundles[0].manifest
        other = bundle.manifest
        if set(other.labels) != set(first.labels) or other.multi_label != first.multi_label:
            kinds = ["any number of" if one.multi_label else "one of" for one in (first, other)]
            raise ConfigError(
                f"Expected {kinds[0]} the labels {', '.join(first.labels):.200} from every model, "
                f"those at work included; {bundle.path} gives {kinds[1]} "
                f"{', '.join(other.labels):.200}. Serve it by itself."
            )


async def open_arms(
    config: Config,
    settings: Mapping[str, ArmConfig],
    on_batch: Callable[[str, Batch], None],
    known: Sequence[Arm] = (),
) -> Arms:
    """Verify, load and warm the bundles of all arms; what is at work already, and unchanged, stays.

    Args:
        config: `[predict]` and `[serve]` are used.
        settings: Arm name to its settings.
        on_batch: Called for every batch, with the arm's name.
        known: Arms at work.

    Raises:
        ConfigError: These arms can't be served together, or not in the place of those at work.
        BundleError: A bundle can't be used; nothing that was started for this is left.
        ProofError: A bundle's proof is missing or failed.
    """
    check_arms(settings)
    kept = [arm for arm in known if not arm.pool.changed]
    at_work = {(arm.name, arm.pool.bundle.digest, arm.pool.bundle.path): arm.pool for arm in kept}
    bundles = {
        name: await in_background(partial(_verified, Path(arm.bundle), config.serve.trusted_keys))
        for name, arm in settings.items()
    }
    check_labels([*(arm.pool.bundle for arm in known), *bundles.values()])
    made: list[Pool] = []
    arms = []
    try:
        for name, arm in settings.items():
            bundle = bundles[name]
            pool = at_work.get((name, bundle.digest, bundle.path))
            if pool is None:
                choice = choose_plan(bundle, **config.predict.model_dump())
                pool = Pool(bundle, choice, config.serve, partial(on_batch, name))
                await pool.start([one.codec for one in (*(arm.pool for arm in known), *made)])
                made.append(pool)
                logger.info(
                    "%s: %s (%s) runs as %s: %s",
                    name,
                    bundle.manifest.name,
                    bundle.digest[:12],
                    *_how(pool),
                )
            arms.append(Arm(name, _role(name, arm), arm.share, pool, arm))
    except BaseException:
        for pool in made:
            await pool.stop()
        raise
    return Arms(arms, config.experiment.name)


def _check_signature(bundle: Bundle, trusted_keys: Sequence[str]) -> None:
    try:
        from linnet.signing import check_signature  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingExtraError("cryptography", "sign") from None
    check_signature(bundle, trusted_keys)


def _verified(path: Path, trusted_keys: Sequence[str], check: Check) -> Bundle:
    try:
        bundle = Bundle.read(path)
        if trusted_keys:
            _check_signature(bundle, trusted_keys)
        bundle.verify(check)
    except OSError as error:
        raise BundleError(
            f"Expected a bundle at {path!s:.200}; it can't be read: {error.strerror}."
        ) from None
    return bundle


def _role(name: str, arm: ArmConfig) -> Role:
    if name == CHAMPION:
        return "champion"
    return "shadow" if arm.shadow else "challenger"


def _how(pool: Pool) -> tuple[str, str]:
    return str(pool.choice.plan), pool.choice.reason
