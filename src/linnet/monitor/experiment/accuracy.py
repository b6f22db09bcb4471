"""Is the challenger right as often as the champion? By pairs of a shadow, or by audited texts.

Labels come from audits and from looks at disagreements alone. Users correct what they saw, which
makes the model that they did not see look better; so their feedback never enters a comparison.
"""

from math import log
from typing import Any

from linnet.monitor.evidence import interval_at_any_look
from linnet.monitor.experiment.guardrails import log10
from linnet.monitor.experiment.statistics import Audited, Challenger, Pairs

ALPHA = 0.05
SHOWN = 20.0  # evidence that shows a challenger to be no worse, or better: 5 % false


def paired(pairs: Pairs, margin: float) -> dict[str, Any]:
    """The comparison on distinct texts that both arms answered; a pending label counts against.

    Args:
        pairs: The counts.
        margin: The loss of accuracy that counts as no worse.
    """
    counts = pairs.counts
    low, high = counts.interval(ALPHA)
    return {
        "texts": counts.texts,
        "same": counts.same,
        "better": counts.better,
        "worse": counts.worse,
        "pending": counts.pending,
        "difference": round(counts.difference(), 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "non_inferiority_log10": log10(counts.log_evidence_of_non_inferiority(margin)),
        "better_log10": log10(counts.log_evidence_of_non_inferiority()),
        "harm_log10": log10(counts.log_evidence_of_harm()),
        "labels_needed": counts.labels_needed(margin, log(SHOWN)),
        "margin": margin,
    }


def split_accuracy(audited: tuple[Audited, Audited]) -> dict[str, Any]:
    """The accuracy of both arms on their own audited texts, and their difference.

    Each interval has half of the error rate, so their difference holds at any look. It is far
    wider than that of pairs.
    """
    champion, challenger = map(_accuracy, audited)
    return {
        "champion": champion,
        "challenger": challenger,
        "difference": [
            round(challenger["low"] - champion["high"], 6),
            round(challenger["high"] - champion["low"], 6),
        ],
    }


def user_feedback_note(counts: Challenger) -> str | None:
    """Says that the feedback of users compares nothing; None where there is none."""
    if not counts.user_feedback:
        return None
    answers = (
        f"{counts.user_feedback:,} answers have" if counts.user_feedback > 1 else "1 answer has"
    )
    return (
        f"{answers} feedback of users. It is in no comparison of accuracies: users correct what "
        "they saw, so the arm that they did not see looks better. Label an audit or the "
        "disagreements with `linnet queue`."
    )


def _accuracy(audited: Audited) -> dict[str, Any]:
    labels = audited.right + audited.wrong
    low, high = interval_at_any_look(audited.right, audited.wrong, ALPHA / 2)
    return {
        "labels": labels,
        "right": audited.right,
        "value": round(audited.right / labels, 6) if labels else None,
        "low": round(low, 6),
        "high": round(high, 6),
    }
