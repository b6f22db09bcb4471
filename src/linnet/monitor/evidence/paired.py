"""Two models on the same texts, where only their disagreements need a label.

Source: betting as in Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables
by betting, Journal of the Royal Statistical Society B 86 (arXiv 2010.09686), section 4, with a
fixed mixture of bets in place of adaptive ones, so that counts are all that is needed.
"""

from dataclasses import asdict, dataclass, replace
from math import ceil, log
from typing import Self

import numpy as np

from linnet.monitor.evidence.mixture import last_inside, log_mean

BETS = np.geomspace(0.01, 0.9, 24)
MOST_TIMES = 1_000_000  # beyond so many times today's texts, nothing is foretold


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """What is known of two models on distinct texts that both were given.

    With d = 1 where only the challenger is right, -1 where only the champion is, and 0 otherwise,
    the mean of d is the difference of their accuracies. Where both give the same answer d is 0
    whatever the truth, so no label is needed.

    Attributes:
        same: Texts on which d is 0: the same answer, or two different wrong ones.
        better: Texts on which only the challenger is right.
        worse: Texts on which only the champion is right.
        pending: Texts with different answers that wait for a label. Each counts against whatever
            is to be shown, or else the agreements would run ahead of the disagreements.
        unasked: Texts with different answers that were left out at random, where only a share of
            the disagreements is labelled.
        rate: The share of disagreements that is labelled, drawn at random: in (0, 1].
    """

    same: int = 0
    better: int = 0
    worse: int = 0
    pending: int = 0
    unasked: int = 0
    rate: float = 1.0

    @property
    def texts(self) -> int:
        """All texts."""
        return self.same + self.better + self.worse + self.pending + self.unasked

    @property
    def labelled(self) -> int:
        """Disagreements with a label that says which model is right, if any."""
        return self.better + self.worse

    def difference(self) -> float:
        """The challenger's accuracy less the champion's, over the texts without a pending label."""
        n = self.texts - self.pending
        return (self.better - self.worse) / (self.rate * n) if n else 0.0

    def log_evidence_of_non_inferiority(self, margin: float = 0.0) -> float:
        """Evidence against "the challenger's accuracy is lower by the margin, or by more".

        Args:
            margin: In accuracy, such as 0.01. With 0 it is evidence that the challenger is better.

        Returns:
            The natural logarithm of an e-process.
        """
        return self._log_evidence(self.better, self.worse + self.pending, margin)

    def log_evidence_of_harm(self, margin: float = 0.0) -> float:
        """Evidence against "the challenger's accuracy is lower by less than the margin, if at all".

        Args:
            margin: In accuracy. With 0 it is evidence that the challenger is worse.

        Returns:
            The natural logarithm of an e-process.
        """
        return self._log_evidence(self.worse, self.better + self.pending, -margin)

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """A confidence sequence of the difference of the two accuracies.

        Args:
            alpha: The probability that the truth is ever outside, at most; half for each side.

        Returns:
            Low and high end, in [-1, 1].
        """
        limit = log(2 / alpha)

        def may_be_lower(value: float) -> bool:
            return self.log_evidence_of_non_inferiority(-value) < limit

        def may_be_higher(value: float) -> bool:
            return self.log_evidence_of_harm(-value) < limit

        return last_inside(may_be_lower, 1.0, -1.0), last_inside(may_be_higher, -1.0, 1.0)

    def labels_needed(self, margin: float, log_limit: float) -> int | None:
        """How many more labelled disagreements would show non-inferiority at the present rates.

        Args:
            margin: In accuracy.
            log_limit: The evidence that is asked for, as a natural logarithm.

        Returns:
            The number, 0 if it is shown; None if no number of texts would show it.
        """
        if self.log_evidence_of_non_inferiority(margin) >= log_limit:
            return 0
        # Half a disagreement of each kind, so that a lucky beginning promises little.
        better = self.better + 0.5
        worse = self.worse + 0.5
        same = self.same + self.unasked + 1.0

        def shows(times: float) -> bool:
            evidence = _log_mixture(same * times, better * times, worse * times, margin, self.rate)
            return evidence >= log_limit

        if not shows(MOST_TIMES):
            return None
        times = last_inside(lambda value: not shows(value), 0.0, MOST_TIMES)
        return max(1, self.pending, ceil((better + worse) * times) - self.labelled)

    def to_json(self) -> dict[str, float]:
        """The counts by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, counts: dict[str, float]) -> Self:
        """Read what `to_json` wrote."""
        whole = {name: int(n) for name, n in counts.items() if name != "rate"}
        return cls(**whole, rate=counts["rate"])

    def plus(self, **more: int) -> Self:
        """The counts with some of them raised."""
        return replace(self, **{name: getattr(self, name) + n for name, n in more.items()})

    def _log_evidence(self, gains: int, losses: int, margin: float) -> float:
        return _log_mixture(self.same + self.unasked, gains, losses, margin, self.rate)


def _log_mixture(zeros: float, gains: float, losses: float, margin: float, rate: float) -> float:
    """The log of the mean over bets b of the product of 1 + b (d + margin), b below 1 / most d."""
    bets = BETS * rate / (1 + max(0.0, -margin * rate))
    step = 1 / rate
    log_products = (
        zeros * np.log1p(bets * margin)
        + gains * np.log1p(bets * (margin + step))
        + losses * np.log1p(bets * (margin - step))
    )
    return log_mean(log_products)
