"""Is a challenger worse than the champion in any kind of event? One number for all kinds."""

from collections.abc import Mapping
from math import exp, log

from linnet.monitor.evidence.events import EventCounts

# The kinds of events, and the weight of each kind's evidence. Failures are the rarest kind and hurt
# most. With this weight, a doubled rate of failures is found about as fast as if it were tested
# alone.
GUARDRAIL_WEIGHTS = {"failures": 0.85, "slow": 0.05, "abstained": 0.05, "truncated": 0.05}


def log_evidence_of_any_harm(counts: Mapping[str, EventCounts]) -> float:
    """Evidence against "the challenger has no kind of event more often than the champion".

    The weighted mean of e-processes is one, however the kinds depend on each other (Vovk and Wang
    2021, E-values: calibration, combination and applications, section 3, arXiv 1912.06116).

    Args:
        counts: Kind to its events. A kind that is missing counts as no evidence.

    Returns:
        The natural logarithm of an e-process; see `EventCounts.log_evidence_of_harm`.
    """
    return combined_evidence({kind: one.log_evidence_of_harm() for kind, one in counts.items()})


def combined_evidence(evidence: Mapping[str, float]) -> float:
    """As `log_evidence_of_any_harm`, from the log evidence of each kind."""
    largest = max([0.0, *evidence.values()])
    total = sum(
        weight * exp(evidence.get(kind, 0.0) - largest)
        for kind, weight in GUARDRAIL_WEIGHTS.items()
    )
    return largest + log(total)


def log_limit(evidence: float, servers: int = 1) -> float:
    """The logarithm of the evidence that rolls a challenger back.

    Args:
        evidence: The limit of one server alone; its inverse is the probability of a false alarm.
        servers: How many act on counts of their own.
    """
    return log(evidence * servers)
