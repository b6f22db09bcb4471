"""How often do the tests of an experiment raise a false alarm, and how fast do they find what is wrong?

    python benchmarks/experiments.py

simulates ramps of a challenger. Units (users) have Zipf activity and stay in their arm. Everybody looks after each
event, as with a dashboard. The tests are those of the running service and of `linnet experiment`. Next to them are the
usual ones on the same data: the chi-square test and the z-test of a fixed horizon, looked at again and again, and the
asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Time-uniform central limit
theory and asymptotic confidence sequences, Annals of Statistics 52, arXiv 2103.06476).
"""

import argparse
from collections.abc import Sequence
from math import lgamma, log
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.files import canonical_json, write_text
from linnet.monitor.evidence import GUARDRAIL_WEIGHTS, PairedCounts
from linnet.monitor.evidence.events import HARM, HARM_WEIGHTS
from linnet.monitor.evidence.sample_ratio import CONCENTRATION

RESULTS = Path(__file__).parent / "results" / "experiments.json"
SHARES = (0.01, 0.05, 0.2, 0.5)
ALPHA = 0.01
FAILURE_WEIGHT = GUARDRAIL_WEIGHTS["failures"]  # the other kinds raise no evidence here
CHI_SQUARE_LIMIT = 6.6349  # of one degree of freedom at 1 %
Array = NDArray[Any]


def evidence_of_harm(shares: Array, falls: Array) -> Array:
    """`EventCounts.log_evidence_of_harm` after each event, all at once.

    Args:
        shares: float (n,): the challenger's share at each event.
        falls: bool (n,): whether it fell to the challenger.

    Returns:
        float (n,), natural logarithms.
    """
    steps = falls[:, None] * HARM[None, :] - np.log1p(shares[:, None] * np.expm1(HARM)[None, :])
    total = np.cumsum(steps, axis=0)
    return np.logaddexp.reduce(total + np.log(HARM_WEIGHTS), axis=1)


def events_of_ramp(
    rng: np.random.Generator, requests: int, users: int = 20_000
) -> tuple[Array, Array, Array]:
    """All events of a ramp between equal arms: share, whether in the challenger, whether the unit's first.

    A unit's place in [0, 1) never changes, so the challenger's slot grows over it. 3 % of the users fail half of
    the time, the others in 0.2 % of their requests.
    """
    weights = 1 / np.arange(1, users + 1)
    weights /= weights.sum()
    place = rng.random(users)
    failing = np.where(rng.random(users) < 0.03, 0.5, 0.002)
    unit = rng.choice(users, requests, p=weights)
    share = np.repeat(SHARES, requests // len(SHARES))
    unit = unit[: len(share)]
    failed = rng.random(len(share)) < failing[unit]
    unit, share = unit[failed], share[failed]
    first = np.zeros(len(unit), bool)
    first[np.unique(unit, return_index=True)[1]] = True
    return share, place[unit] < share, first


def false_roll_backs(runs: int, requests: int, seed: int) -> dict[str, Any]:
    """How often equal arms are rolled back, and how often the usual tests would do it."""
    found = dict.fromkeys(["first_events", "all_events", "chi_square", "z_test", "asymptotic"], 0)
    looks = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        share, falls, first = events_of_ramp(rng, requests)
        looks.append(int(first.sum()))
        limit = log(1 / ALPHA)
        found["first_events"] += bool((evidence_of_harm(share[first], falls[first]) >= limit).any())
        found["all_events"] += bool((evidence_of_harm(share, falls) >= limit).any())
        s, x = share[first], falls[first].astype(float)
        found["chi_square"] += bool(_peeks(_chi_square_of_present_share(s, x)))
        found["z_test"] += bool(_peeks(_z(s, x) > NormalDist().inv_cdf(1 - ALPHA)))
        found["asymptotic"] += bool(_peeks(_asymptotic(s, x)))
    return {"runs": runs, "alpha": ALPHA, "looks_median": int(np.median(looks))} | {
        name: count / runs for name, count in found.items()
    }


def _peeks(rejected: Array) -> Any:
    """Looks each 50 events from the 50th on, as the usual tests are used."""
    return rejected[49::50].any()


def _z(share: Array, x: Array) -> Array:
    """One-sided z of the challenger's events against the shares of each moment."""
    return np.cumsum(x - share) / np.sqrt(np.cumsum(share * (1 - share)))


def _chi_square_of_present_share(share: Array, x: Array) -> Array:
    """The chi-square test as dashboards have it: all events against the present share."""
    n = np.arange(1, len(x) + 1)
    expected = n * share
    return (np.cumsum(x) - expected) ** 2 / (expected * (1 - share)) > CHI_SQUARE_LIMIT


def _asymptotic(share: Array, x: Array) -> Array:
    """Whether the asymptotic confidence sequence of the mean of x - share is above 0; tuned for 500 events."""
    n = np.arange(1, len(x) + 1)
    d = x - share
    mean = np.cumsum(d) / n
    variance = np.maximum(np.cumsum(d * d) / n - mean**2, 1e-12)
    rho2 = (2 * log(1 / ALPHA) + log(1 + 2 * log(1 / ALPHA))) / 500
    width = np.sqrt(
        2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(1 + np.sqrt(n * rho2 + 1) / (2 * ALPHA))
    )
    return mean - np.sqrt(variance) * width > 0


def roll_back_delay(
    ratio: float, runs: int, seed: int, share: float = 0.1, rate: float = 0.01
) -> dict[str, Any]:
    """Texts of the challenger until it is rolled back by the weighted mean of all guardrails, median."""
    limit = log(1 / ALPHA - (1 - FAILURE_WEIGHT)) - log(FAILURE_WEIGHT)  # the other kinds stay at 1
    texts = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        events = 6000
        odds = share * ratio / (1 - share + share * ratio)
        falls = rng.random(events) < odds
        crossed = np.flatnonzero(evidence_of_harm(np.full(events, share), falls) >= limit)
        event = int(crossed[0]) + 1 if len(crossed) else events
        # Between two events all texts of both arms pass; a tenth is the challenger's.
        rate_of_all = rate * (1 - share + share * ratio)
        texts.append(share * rng.negative_binomial(event, rate_of_all) + falls[:event].sum())
    return {
        "ratio": ratio,
        "share": share,
        "rate": rate,
        "runs": runs,
        "texts_median": int(np.median(texts)),
    }


def evidence_of_ratio(share: float, falls: Array) -> Array:
    """`SampleRatioTest.log_evidence` after each unit, natural logarithms."""
    x = np.cumsum(falls)
    n = np.arange(1, len(falls) + 1)
    gamma = np.vectorize(lgamma)
    a, b = CONCENTRATION * share, CONCENTRATION * (1 - share)
    whole = lgamma(CONCENTRATION) - lgamma(a) - lgamma(b)
    return (
        whole
        + gamma(a + x)
        + gamma(b + n - x)
        - gamma(CONCENTRATION + n)
        - x * log(share)
        - (n - x) * log(1 - share)
    )


def ratio_checks(runs: int, requests: int, seed: int) -> dict[str, Any]:
    """Zipf texts without keys: false mismatches on distinct texts and on requests; units until 8 % of 10 % is found."""
    weights = 1 / np.arange(1, 50_001)
    weights /= weights.sum()
    false = {"distinct_texts": 0, "requests": 0}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        text = rng.choice(len(weights), requests, p=weights)
        falls = rng.random(len(weights))[text] < 0.1
        first = np.sort(np.unique(text, return_index=True)[1])
        false["distinct_texts"] += _any_mismatch(falls[first])
        false["requests"] += _any_mismatch(falls)
    delays = []
    for run in range(min(runs, 200)):
        falls = np.random.default_rng([seed, 1, run]).random(10_000) < 0.08
        crossed = np.flatnonzero(evidence_of_ratio(0.1, falls) >= log(1 / ALPHA))
        delays.append(int(crossed[0]) + 1 if len(crossed) else len(falls))
    return {"runs": runs, "alpha": ALPHA, "units_until_8_of_10_median": int(np.median(delays))} | {
        f"false_on_{name}": count / runs for name, count in false.items()
    }


def _any_mismatch(falls: Array) -> bool:
    return bool((evidence_of_ratio(0.1, falls)[::10] >= log(1 / ALPHA)).any())


def paired(
    runs: int, seed: int, disagree: float = 0.06, margin: float = 0.01, most: int = 20_000
) -> dict[str, Any]:
    """Labels until an equal shadow is shown to be no worse, and how often one that is worse by the margin is."""
    labels = []
    pairs = []
    false = 0
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        shown = _first_shown(rng, disagree, 0.0, margin, most)
        labels.append(shown[1] if shown else most)
        pairs.append(shown[0] if shown else most)
        false += _first_shown(rng, disagree, -margin, margin, most) is not None
    return {
        "disagree": disagree,
        "margin": margin,
        "runs": runs,
        "labels_median": int(np.median(labels)),
        "pairs_median": int(np.median(pairs)),
        "false_non_inferior": false / runs,
    }


def _first_shown(
    rng: np.random.Generator, disagree: float, difference: float, margin: float, most: int
) -> Any:
    """Pairs and labels at the first look, each 20 pairs, that shows the shadow to be no worse; None: never."""
    draw = rng.random(most)
    better = np.cumsum(draw < (disagree + difference) / 2)
    worse = np.cumsum((draw >= (disagree + difference) / 2) & (draw < disagree))
    for n in range(20, most + 1, 20):
        counts = PairedCounts(
            n - int(better[n - 1]) - int(worse[n - 1]), int(better[n - 1]), int(worse[n - 1])
        )
        if counts.log_evidence_of_non_inferiority(margin) >= log(20):
            return n, counts.labelled
    return None


def largest_count(runs: int, rate: float, error: float = 1e-3) -> int:
    """The count of false alarms that a test with this rate exceeds with at most the probability `error`."""
    tail = 1.0
    for k in range(runs + 1):
        chance = lgamma(runs + 1) - lgamma(k + 1) - lgamma(runs - k + 1)
        tail -= np.exp(chance + k * log(rate) + (runs - k) * log(1 - rate))
        if tail <= error:
            return k
    return runs


def simulate(runs: int, requests: int, pairs: int, seed: int) -> dict[str, Any]:
    """All figures."""
    return {
        "roll_back_false": false_roll_backs(runs, requests, seed),
        "roll_back_delay": [
            roll_back_delay(ratio, min(runs, 1000), seed) for ratio in (1.5, 2.0, 5.0, 10.0)
        ],
        "sample_ratio": ratio_checks(runs, requests // 4, seed),
        "paired": paired(pairs, seed),
        "seed": seed,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="ramps (default: 2000)")
    parser.add_argument(
        "--requests", type=int, default=40_000, metavar="N", help="of a ramp (default: 40000)"
    )
    parser.add_argument(
        "--pairs", type=int, default=400, metavar="N", help="runs of the pairs (default: 400)"
    )
    parser.add_argument("--seed", type=int, default=20, metavar="N")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    arguments = parser.parse_args(argv)
    results = simulate(arguments.runs, arguments.requests, arguments.pairs, arguments.seed)
    write_text(arguments.out, canonical_json(results))
    print(canonical_json(results))


if __name__ == "__main__":
    main()
