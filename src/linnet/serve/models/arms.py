"""Which model answers a text:

the champion, or a challenger with a share of them; shadows answer for the log alone.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from linnet.bundle import Bundle
from linnet.config import ArmConfig, Config
from linnet.errors import BundleError, ConfigError, MissingExtraError
from linnet.predict.plan import choose_plan
from linnet.serve.errors import APIError
from linnet.serve.models.background import Check, in_background
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
    """

    name: str
    role: Role
    share: float
    pool: Pool
    settings: ArmConfig


class Arms:
    """All models at a time, and who answers what. Never changed; a swap makes others.

    Args:
        arms: One champion, whose share is what the challengers leave, and any number of others.
    """

    def __init__(self, arms: Iterable[Arm]):
        self._arms = {arm.name: arm for arm in arms}
        # A challenger's part begins where the one before ends, so that no text of that one moves
        # with its share.
        self._bounds: list[tuple[float, Arm]] = []
        bound = 0.0
        for arm in self._arms.values():
            if arm.role == "challenger":
                bound += arm.share
                self._bounds.append((bound, arm))
        self.shadows = [arm for arm in self._arms.values() if arm.role == "shadow"]

    def __iter__(self) -> Iterator[Arm]:
        return iter(self._arms.values())

    @property
    def champion(self) -> Arm:
        """Who answers what no challenger does."""
        return self._arms[CHAMPION]

    def choose(self, key: str) -> Arm:
        """Who answers; the same for the same key, such as a user's id or the text itself."""
        if not self._bounds:
            return self.champion
        place = draw(key)
        return next((arm for bound, arm in self._bounds if place < bound), self.champion)

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


def draw(key: str) -> float:
    """A number from 0 to 1 that is always the same for a key, and even over many."""
    return (
        int.from_bytes(
            hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        )
        / 2**64
    )


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
    others = sum(arm.share for arm in arms if arm.role == "challenger")
    return Arms(
        Arm(arm.name, arm.role, 1 - others, arm.pool, arm.settings)
        if arm.role == "champion"
        else arm
        for arm in arms
    )


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
