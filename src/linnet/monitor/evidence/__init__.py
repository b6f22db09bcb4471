"""Statistics that stay valid however often somebody looks. Knows numbers and counts alone.

All of it rests on e-processes: running products of bets against a hypothesis. While the
hypothesis holds, such a product reaches 1 / alpha with probability at most alpha, at any time
(Ville's inequality; Ramdas et al. 2023, Game-theoretic statistics and safe anytime-valid
inference, arXiv 2210.01948). Evidence is kept as natural logarithms.
"""

from linnet.monitor.evidence.drift import DriftDetector, Zone, drifted_streams, evidence_limit
from linnet.monitor.evidence.events import EventCounts
from linnet.monitor.evidence.harm import (
    GUARDRAIL_WEIGHTS,
    combined_evidence,
    log_evidence_of_any_harm,
    log_limit,
)
from linnet.monitor.evidence.paired import PairedCounts
from linnet.monitor.evidence.proportion import interval_at_any_look, interval_of_one_look
from linnet.monitor.evidence.sample_ratio import SampleRatioTest

__all__ = [
    "GUARDRAIL_WEIGHTS",
    "DriftDetector",
    "EventCounts",
    "PairedCounts",
    "SampleRatioTest",
    "Zone",
    "combined_evidence",
    "drifted_streams",
    "evidence_limit",
    "interval_at_any_look",
    "interval_of_one_look",
    "log_evidence_of_any_harm",
    "log_limit",
]
