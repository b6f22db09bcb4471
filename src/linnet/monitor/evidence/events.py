"""Which arm do events fall to? One test for failures, timeouts, abstentions and corrections.

Source: Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS
(arXiv 2011.03567), section 4: of two Poisson processes, the next event belongs to the second
with a probability that depends on the ratio of their rates alone.
"""

from dataclasses import dataclass, field
from math import exp, log
from typing import Self

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.evidence.mixture import last_inside, log_mean

HARM = np.linspace(0.1, 2.3, 23)  # log ratios of rates that the test bets on: 1.1 to 10 times
WIDEST = log(1000)  # the largest log ratio that an interval can end at


def _weights(log_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(-np.abs(log_ratios))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


HARM_WEIGHTS = _weights(HARM)
BOTH = np.concatenate([-HARM[::-1], HARM])
BOTH_WEIGHTS = _weights(BOTH)


@dataclass
class EventCounts:
    """How many events of one kind fell to a challenger, at each share that it had.

    An event counts once for each unit, its first, because a unit stays in its arm. While both
    arms have events at the same rate, an event falls to the challenger with the probability of
    its share at that moment. The order of events does not matter, so counts are enough.

    Attributes:
        counts: For each share in (0, 1): events of the champion, events of the challenger.
    """

    counts: dict[float, tuple[int, int]] = field(default_factory=dict)

    def add(self, share: float, in_challenger: bool, events: int = 1) -> None:
        """Count events.

        Args:
            share: The challenger's share of the two arms' traffic when the events happened.
            in_challenger: Whether they fell to the challenger.
            events: How many.

        Raises:
            ValueError: The share is not strictly between 0 and 1, where nothing can be compared.
        """
        if not 0 < share < 1:
            raise ValueError(f"Expected a share between 0 and 1, got {share}.")
        champion, challenger = self.counts.get(share, (0, 0))
        if in_challenger:
            challenger += events
        else:
            champion += events
        self.counts[share] = champion, challenger

    @property
    def champion(self) -> int:
        """Events of the champion."""
        return sum(champion for champion, _ in self.counts.values())

    @property
    def challenger(self) -> int:
        """Events of the challenger."""
        return sum(challenger for _, challenger in self.counts.values())

    def log_evidence_of_harm(self) -> float:
        """Evidence against "the challenger has events at most as often as the champion".

        Returns:
            The natural logarithm of an e-process. It ever reaches log(1 / alpha) with a
            probability of at most alpha while the hypothesis holds.
        """
        return log_mean(self._log_likelihood_ratio(HARM), HARM_WEIGHTS)

    def ratio_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """A confidence sequence of the challenger's rate of events over the champion's.

        Args:
            alpha: The probability that the truth is ever outside, at most.

        Returns:
            Low and high end, within 1/1000 and 1000. (0, infinity) where nothing was counted.
        """
        if not self.champion + self.challenger:
            return 0.0, float("inf")
        mixture = log_mean(self._log_likelihood_ratio(BOTH), BOTH_WEIGHTS)

        def is_inside(log_ratio: float) -> bool:
            likelihood = self._log_likelihood_ratio(np.array([log_ratio]))[0]
            return mixture - float(likelihood) < -log(alpha)

        best = self._most_likely()
        if not is_inside(best):  # beyond the ratios that the mixture bets on
            return (0.0, exp(-WIDEST)) if best < 0 else (exp(WIDEST), float("inf"))
        low = last_inside(is_inside, best, -WIDEST)
        high = last_inside(is_inside, best, WIDEST)
        return (
            0.0 if low == -WIDEST else exp(low),
            float("inf") if high == WIDEST else exp(high),
        )

    def to_json(self) -> list[list[float]]:
        """Share, champion's events, challenger's events, in the order of shares."""
        return [[share, *self.counts[share]] for share in sorted(self.counts)]

    @classmethod
    def from_json(cls, rows: list[list[float]]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            {share: (int(champion), int(challenger)) for share, champion, challenger in rows}
        )

    def _log_likelihood_ratio(self, log_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
        """The log likelihood of each log ratio of rates, less that of equal rates; (n,) to (n,)."""
        result = self.challenger * log_ratios
        for share, (champion, challenger) in self.counts.items():
            result = result - (champion + challenger) * np.log1p(share * np.expm1(log_ratios))
        return result

    def _most_likely(self) -> float:
        low = -WIDEST
        high = WIDEST
        for _ in range(60):  # the likelihood is concave, and this is the sign of its slope
            middle = (low + high) / 2
            expected = sum(
                (champion + challenger) * share * exp(middle) / (1 + share * (exp(middle) - 1))
                for share, (champion, challenger) in self.counts.items()
            )
            if expected < self.challenger:
                low = middle
            else:
                high = middle
        return (low + high) / 2
