"""Adopt a stretch of traffic as what is usual, so that later changes raise an alarm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from linnet.errors import UsageError
from linnet.monitor.drift.arm import LEAST_TEXTS, Tolerances
from linnet.monitor.drift.hours import ArmKey, Stretch
from linnet.monitor.drift.references import (
    Adopted,
    AdoptedArm,
    label_references,
    ranked_reference,
)
from linnet.monitor.drift.streams import (
    RANKED,
    LabelIndex,
    StreamReference,
    Texts,
    joined,
    stream_values,
)
from linnet.monitor.evidence import Zone

MOST_TEXTS = 1_000_000  # of one arm; of more, each block gives an equal part


@dataclass(frozen=True, slots=True)
class KnownBundle:
    """What is known of a bundle whose answers are adopted.

    Attributes:
        labels: All labels of the model.
        shares: The indicators that its answers can have, besides labels.
        training: The streams of its validation rows.
    """

    labels: tuple[str, ...]
    shares: tuple[str, ...]
    training: Mapping[str, StreamReference] = field(default_factory=dict)


def adopt(
    stretches: Iterable[Stretch],
    since: float,
    until: float,
    block_seconds: int,
    bundles: Mapping[str, KnownBundle],
    tolerances: Tolerances,
) -> Adopted:
    """Make a reference of the blocks that are within a window.

    Args:
        stretches: The log, from its beginning.
        since: The window's beginning, in seconds since 1970.
        until: Its end.
        block_seconds: The length of a block.
        bundles: By digest. Arms with other bundles are left out.
        tolerances: For the comparison with training.

    Raises:
        UsageError: The window has no block with enough texts of a known bundle.
    """
    blocks: dict[ArmKey, list[Texts]] = {}
    ends = []
    seen = []
    most = max(LEAST_TEXTS, int(MOST_TEXTS * block_seconds / max(until - since, block_seconds)))
    for stretch in stretches:
        start = stretch.block * block_seconds
        seen.append(start)
        if start < since or start + block_seconds > until:
            continue
        ends.append(start + block_seconds)
        for (arm, digest), texts in stretch.texts.items():
            if digest in bundles:
                blocks.setdefault((arm, digest), []).append(_thinned(texts, most))
    latest: dict[str, tuple[str, list[Texts]]] = {}
    for (arm, digest), some in blocks.items():
        if sum(map(len, some)) >= LEAST_TEXTS:
            latest[arm] = digest, some  # of two bundles that which came later
    if not latest:
        raise UsageError(_why_nothing(seen, bool(ends), block_seconds))
    arms = {
        arm: _adopted_arm(digest, some, bundles[digest], tolerances)
        for arm, (digest, some) in sorted(latest.items())
    }
    return Adopted(float(since), float(max(ends)), arms)


def _why_nothing(seen: list[int], in_window: bool, block_seconds: int) -> str:
    if in_window:
        return (
            f"The window of --adopt has fewer than {LEAST_TEXTS} different texts of these bundles. "
            "Choose a longer one, or name the bundle that answered then."
        )
    if not seen:
        return "The log has no complete block yet, so there is nothing to adopt. Wait for one."
    return (
        "The window of --adopt has no complete block. The log has answers from "
        f"{utc(min(seen))} to {utc(max(seen) + block_seconds)}."
    )


def utc(time: float) -> str:
    """A time for people, such as 2026-11-01T14:00Z."""
    return str(np.datetime64(int(time), "s"))[:16] + "Z"


def _thinned(texts: Texts, most: int) -> Texts:
    step = -(-len(texts) // most)
    return texts if step <= 1 else texts.take(np.arange(0, len(texts), step))


def _adopted_arm(
    digest: str, blocks: list[Texts], bundle: KnownBundle, tolerances: Tolerances
) -> AdoptedArm:
    index = LabelIndex()
    texts = joined(blocks)
    n = len(texts)
    codes = index.codes(texts.labels)
    given = {
        label: float(index.given(codes, [label]).mean())
        for label in sorted(index.seen() | set(bundle.labels))
    }
    streams = label_references(given, n, bundle.labels)
    for name in bundle.shares:
        streams[name] = StreamReference(0.0, 0.0, n)
    for name in RANKED:
        known = texts.values[name][~np.isnan(texts.values[name])]
        if len(known) >= LEAST_TEXTS:
            streams[name] = ranked_reference(known)
    numbers = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    values = stream_values(texts, streams, index)
    streams = {
        name: _measured(values[name], numbers[_known(texts, name)], streams[name].grid)
        for name in sorted(streams)
    }
    return AdoptedArm(digest, n, streams, _unlike(bundle.training, texts, index, tolerances))


def _known(texts: Texts, name: str) -> NDArray[np.bool_]:
    if name not in texts.values:
        return np.ones(len(texts), bool)
    known: NDArray[np.bool_] = ~np.isnan(texts.values[name])
    return known


def _measured(
    values: NDArray[np.float64], blocks: NDArray[np.int64], grid: NDArray[np.float64] | None
) -> StreamReference:
    """Mean and sd of a stream's values, where those of one block may resemble each other.

    The standard error of the mean is the larger one of two: of independent values, and of
    independent blocks (Liang and Zeger 1986, Biometrika 73, with blocks as clusters).
    """
    n = len(values)
    mean = float(values.mean())
    sd = float(values.std())
    sums = np.bincount(blocks, values - mean)
    by_blocks = float((sums**2).sum() ** 0.5) / n
    return StreamReference(mean, max(sd, by_blocks * n**0.5), n, grid)


def _unlike(
    training: Mapping[str, StreamReference],
    texts: Texts,
    index: LabelIndex,
    tolerances: Tolerances,
) -> list[str]:
    """Streams whose mean is outside of the zone around the validation rows' mean."""
    found = []
    for name, adopted in stream_values(texts, training, index).items():
        one = training[name]
        zone = Zone.around(one.mean, one.sd, one.n, tolerances.of(name))
        if len(adopted) and not zone.low <= float(adopted.mean()) <= zone.high:
            found.append(name)
    return sorted(found)
