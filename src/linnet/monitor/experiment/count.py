"""Count an experiment: from the log to its statistics. Equal logs give equal counts.

Rows count once they are settled: a minute older than the newest. Each counts under the share that
was in force when it was assigned, which its epoch says. So a ramp needs no phases, and neither do
several servers that change their shares at different times. A unit's first event of a kind counts,
and its first sight. A unit stays in its arm, so further ones are no new draw.

Slow is an answer above `slow_ms`. Where the settings leave that open, it is the 95th percentile of
the champion's last answers before the experiment. If there were too few, its first ones fix it, and
only later answers are judged. An answer that came too late counts as slow too.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.config import ExperimentConfig
from linnet.monitor.experiment.pairs import PairCounter
from linnet.monitor.experiment.plan import CHAMPION, Plan, make_plan
from linnet.monitor.experiment.rows import (
    ABSTAINED,
    ANSWERED,
    AUDITED,
    COLUMNS,
    FAILED,
    FEEDBACK,
    LATE,
    REPORTED,
    RIGHT,
    TRUNCATED,
    Rows,
    assigned,
    failed,
    join,
    pages,
)
from linnet.monitor.experiment.statistics import (
    ANY_FEEDBACK,
    REPORTED_WRONG,
    Audited,
    ByShare,
    Challenger,
    Statistics,
)
from linnet.monitor.experiment.truths import Labels, read_labels
from linnet.monitor.prediction_log import SETTLE_SECONDS, Epoch, Store

AHEAD_SECONDS = 300.0  # clocks of servers differ by so much at most
LATENCIES = 2000  # of the champion, before the experiment
FEWEST_LATENCIES = 200
SLOW_QUANTILE = 0.95
FLAGS = {"failures": FAILED, "abstained": ABSTAINED, "truncated": TRUNCATED}
FLAGS |= {REPORTED_WRONG: REPORTED, ANY_FEEDBACK: FEEDBACK}


def count(store: Store, settings: ExperimentConfig, now: float | None = None) -> Statistics:
    """Read the log and count.

    Args:
        store: The log.
        settings: `slow_ms` is used.
        now: This machine's clock, to find rows from the future. None: its own.

    Raises:
        StorageError: The log can't be read.
    """
    seen = _look(store, time.time() if now is None else now)
    if seen.horizon is None or seen.current is None:
        return Statistics(
            horizon=seen.horizon,
            rows=seen.rows,
            lost=sum(store.losses().values()),
            ahead=seen.ahead,
            unsettled=seen.unsettled,
            without_epoch=seen.without_epoch,
        )
    return _count(store, settings, seen, seen.horizon, seen.current)


@dataclass(slots=True)
class _Seen:
    """The log at a first look."""

    horizon: float | None = None
    until: float = 0.0  # older rows are settled
    current: Epoch | None = None
    first: float | None = None
    rows: int = 0
    returned: int = 0
    ahead: int = 0
    unsettled: int = 0
    without_epoch: int = 0
    several: bool = False


def _look(store: Store, now: float) -> _Seen:
    """Find the last settled row, and the arms that were at work then."""
    parts = [
        (page["time"], page["epoch"], page["shadow"])
        for page in pages(store, ["number", "time", "epoch", "shadow"])
    ]
    seen = _Seen()
    if not parts:
        return seen
    times = np.concatenate([part[0] for part in parts])
    numbers = np.concatenate([part[1] for part in parts])
    known = times <= now + AHEAD_SECONDS
    seen.ahead = int((~known).sum())
    if not known.any():
        return seen
    seen.until = float(times[known].max()) - SETTLE_SECONDS
    settled = known & (times <= seen.until)
    seen.unsettled = int((known & ~settled).sum())
    seen.rows = int(settled.sum())
    if not seen.rows:
        return seen
    seen.horizon = float(times[settled].max())
    seen.first = float(times[settled].min())
    seen.returned = int((settled & ~np.concatenate([part[2] for part in parts])).sum())
    seen.without_epoch = int((settled & (numbers == 0)).sum())
    epochs = {epoch.epoch: epoch for epoch in store.epochs() if CHAMPION in epoch.arms}
    places = np.flatnonzero(settled & np.isin(numbers, np.array([*epochs], np.int64)))
    if len(places):
        newest = places[len(places) - 1 - int(np.argmax(times[places][::-1]))]
        seen.current = epochs[int(numbers[newest])]
        late = places[times[places] > seen.horizon - SETTLE_SECONDS]
        seen.several = len(np.unique(numbers[late])) > 1
    return seen


def _count(
    store: Store, settings: ExperimentConfig, seen: _Seen, horizon: float, current: Epoch
) -> Statistics:
    plan = make_plan(store.epochs(), current)
    names = [CHAMPION, *plan.arms]
    labels = read_labels(store)
    pairs = PairCounter(plan, labels, horizon)
    failures, without_unit, of_shadows = failed(store, names, plan, seen.until)
    parts = [failures]
    before: list[NDArray[np.float64]] = []  # time and latency of the champion's answers
    keyed = 0
    for page in pages(store, COLUMNS):
        pairs.take(page)
        settled = _of_page(page, page["time"] <= horizon)
        rows = assigned(settled, names, plan.split_epochs, labels)
        keyed += int((rows.unit != rows.text).sum())
        parts.append(rows)
        before.append(_latencies(settled, plan.champion))
    rows = join(parts, names)
    began = float(rows.time[0]) if len(rows.time) else None
    slow_ms, slow_since = _slow(
        settings.slow_ms, np.concatenate([np.empty((0, 2)), *before]), began
    )
    answers = int(((rows.flags & ANSWERED) > 0).sum())
    compared = pairs.counts(of_shadows)
    return Statistics(
        experiment=plan.experiment,
        champion=plan.champion,
        horizon=horizon,
        began=began,
        epochs=len(plan.split_epochs | plan.shadow_epochs),
        first=seen.first,
        rows=seen.rows,
        returned=seen.returned,
        lost=sum(store.losses().values()),
        ahead=seen.ahead,
        unsettled=seen.unsettled,
        without_epoch=seen.without_epoch,
        keyed_share=round(keyed / answers, 6) if answers else 0.0,
        slow_ms=slow_ms,
        several_epochs=seen.several,
        relabelled=labels.relabelled,
        challengers={
            name: _challenger(plan, name, rows, slow_ms, slow_since).model_copy(
                update={"pairs": compared.get(name), "failed_texts": without_unit[name]}
            )
            for name in plan.arms
        },
        labels=_by_day(labels),
    )


def _challenger(
    plan: Plan, name: str, rows: Rows, slow_ms: float | None, slow_since: float
) -> Challenger:
    digest, role, share = plan.arms[name]
    shares = plan.splits[name]
    arms = (0, rows.names.index(name))
    both = rows.of(np.isin(rows.epoch, np.array([*shares], np.int64)) & np.isin(rows.arm, arms))
    own = both.of(both.arm == arms[1])
    comparable = np.array([epoch for epoch, one in shares.items() if one < 1], np.int64)
    split = both.of(np.isin(both.epoch, comparable))
    step_began = _step_began(both, shares) if share > 0 else None
    slow = ((split.latency > slow_ms) if slow_ms is not None else split.latency < 0) | (
        split.flags & LATE > 0
    )
    events = {kind: split.flags & flag > 0 for kind, flag in FLAGS.items()}
    events["slow"] = slow & (split.time > slow_since)
    if slow_ms is None:
        events["slow"][:] = False
    return Challenger(
        digest=digest,
        role="shadow" if role == "shadow" else "challenger",
        share=share,
        began=float(both.time[0]) if len(both.time) else None,
        step_began=step_began,
        step_units=_distinct(own.unit[own.time >= step_began]) if step_began is not None else 0,
        texts=len(own.time),
        units=_distinct(own.unit),
        champion_units=_distinct(both.unit[both.arm == 0]),
        assigned=_first(split, np.ones(len(split.time), bool), shares),
        answered=_first(split, split.flags & ANSWERED > 0, shares),
        events={kind: _first(split, mask, shares) for kind, mask in sorted(events.items())},
        user_feedback=int((both.flags & FEEDBACK > 0).sum()),
        audited=_audited(both, arms),
    )


def _first(rows: Rows, mask: NDArray[np.bool_], shares: Mapping[int, float]) -> list[ByShare]:
    """First rows of a unit among the masked ones, by share: the champion's, the challenger's."""
    places = np.flatnonzero(mask)
    # Rows are in the order of time.
    places = places[np.unique(rows.unit[places], return_index=True)[1]]
    found: dict[float, list[int]] = {}
    for epoch in np.unique(rows.epoch[places]).tolist():
        here = places[rows.epoch[places] == epoch]
        challenger = int((rows.arm[here] > 0).sum())
        counts = found.setdefault(shares[epoch], [0, 0])
        counts[0] += len(here) - challenger
        counts[1] += challenger
    return [(share, first, second) for share, (first, second) in sorted(found.items())]


def _step_began(rows: Rows, shares: Mapping[int, float]) -> float | None:
    """Time of the first row after the last one under another share than the present one."""
    if not len(rows.time):
        return None
    by_row = np.array([shares[epoch] for epoch in rows.epoch.tolist()])
    others = np.flatnonzero(by_row != by_row[-1])
    start = int(others[-1]) + 1 if len(others) else 0
    return float(rows.time[start])


def _audited(rows: Rows, arms: tuple[int, int]) -> tuple[Audited, Audited] | None:
    found = []
    for arm in arms:
        places = np.flatnonzero((rows.arm == arm) & (rows.flags & AUDITED > 0))
        _, first = np.unique(rows.text[places], return_index=True)
        right = int((rows.flags[places[first]] & RIGHT > 0).sum())
        found.append(Audited(right=right, wrong=len(first) - right))
    champion, challenger = found
    labels = sum(one.right + one.wrong for one in found)
    return (champion, challenger) if labels else None


def _latencies(page: dict[str, Any], champion: str) -> NDArray[np.float64]:
    keep = ~page["shadow"]
    keep &= np.array([arm == CHAMPION for arm in page["arm"]], bool)
    keep &= np.array([digest == champion for digest in page["digest"]], bool)
    return np.column_stack([page["time"][keep], page["latency_ms"][keep]])


def _slow(
    asked: float, answers: NDArray[np.float64], began: float | None
) -> tuple[float | None, float]:
    """Milliseconds above which an answer is slow, and from when on that is judged."""
    if asked:
        return asked, -np.inf
    if began is None:
        return None, -np.inf
    answers = answers[np.argsort(answers[:, 0], kind="stable")]
    earlier = answers[answers[:, 0] < began][-LATENCIES:]
    since = -np.inf
    if len(earlier) < FEWEST_LATENCIES:
        earlier = answers[answers[:, 0] >= began][:FEWEST_LATENCIES]
        if len(earlier) < FEWEST_LATENCIES:
            return None, -np.inf
        since = float(earlier[-1, 0])
    ordered = np.sort(earlier[:, 1])
    return round(float(ordered[int(SLOW_QUANTILE * len(ordered))]), 3), since


def _of_page(page: dict[str, Any], mask: NDArray[np.bool_]) -> dict[str, Any]:
    if mask.all():
        return page
    places = np.flatnonzero(mask)
    return {
        name: values[mask] if isinstance(values, np.ndarray) else [values[k] for k in places]
        for name, values in page.items()
    }


def _by_day(labels: Labels) -> list[tuple[int, str, int]]:
    return [(day, source, labels.by_day[day, source]) for day, source in sorted(labels.by_day)]


def _distinct(units: NDArray[np.int64]) -> int:
    return len(np.unique(units))
