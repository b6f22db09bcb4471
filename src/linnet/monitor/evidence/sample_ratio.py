"""Did the arms get the share of units that they were to get?

Source: Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS
(arXiv 2011.03567), section 3: the Dirichlet mixture in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import lgamma, log
from typing import Self

CONCENTRATION = 100.0  # how near to the intended shares the mixture bets; the paper's choice


@dataclass
class SampleRatioTest:
    """Counts of units, by the shares that were in force when each was first seen.

    A unit is a user or, where no key names one, a distinct text. Requests are not units: one
    popular text alone would look like a mismatch.

    Attributes:
        counts: For each tuple of shares, which sums to 1, the units that each arm got.
    """

    counts: dict[tuple[float, ...], list[int]] = field(default_factory=dict)

    def add(self, shares: Sequence[float], arm: int, units: int = 1) -> None:
        """Count units.

        Args:
            shares: The share of each arm, all above 0, which sum to 1.
            arm: The index of the arm that got the units.
            units: How many.

        Raises:
            ValueError: The shares are not such.
        """
        key = tuple(shares)
        if min(key) <= 0 or abs(sum(key) - 1) > 1e-9:
            raise ValueError(f"Expected shares above 0 that sum to 1, got {list(key)}.")
        self.counts.setdefault(key, [0] * len(key))[arm] += units

    def log_evidence(self) -> float:
        """Evidence against "each unit falls to an arm with the probability of its share".

        One mixture for each tuple of shares; their product is an e-process again, because each
        bets only on the units that came under its own shares.

        Returns:
            The natural logarithm of an e-process.
        """
        return sum(_log_dirichlet(shares, units) for shares, units in self.counts.items())

    def to_json(self) -> list[list[list[float]]]:
        """Pairs of shares and units, in the order of shares."""
        return [[[*shares], [*self.counts[shares]]] for shares in sorted(self.counts)]

    @classmethod
    def from_json(cls, pairs: list[list[list[float]]]) -> Self:
        """Read what `to_json` wrote."""
        return cls({tuple(shares): [int(n) for n in units] for shares, units in pairs})


def _log_dirichlet(shares: tuple[float, ...], units: Sequence[int]) -> float:
    n = sum(units)
    total = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + n)
    for share, count in zip(shares, units, strict=True):
        prior = CONCENTRATION * share
        total += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return total
