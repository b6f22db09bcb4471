"""How far annotators agree beyond chance: Cohen's kappa for two, Fleiss' for more."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Agreement on the texts that several annotators answered.

    Attributes:
        kind: `Cohen` or `Fleiss`.
        kappa: 1 is perfect, 0 is chance; None if all answers are one label, so that chance alone
            agrees.
        texts: How many texts several annotators answered.
        annotators: How many of them there are.
    """

    kind: str
    kappa: float | None
    texts: int
    annotators: int


def agreement(votes: Sequence[Mapping[str, Hashable]]) -> Agreement | None:
    """The agreement; None if no text has two answers.

    Sources: Cohen 1960, A Coefficient of Agreement for Nominal Scales. Fleiss 1971, Measuring
    Nominal Scale Agreement Among Many Raters, with the mean over texts of unequal numbers of
    answers.

    Args:
        votes: Of each text, the label by annotator. A set of labels counts as one label.
    """
    shared = [each for each in votes if len(each) > 1]
    if not shared:
        return None
    annotators = sorted({name for each in shared for name in each})
    if len(annotators) == 2:
        first, second = annotators
        pairs = [(each[first], each[second]) for each in shared]
        return Agreement("Cohen", cohen(pairs), len(shared), 2)
    rows = [Counter(each.values()) for each in shared]
    return Agreement("Fleiss", fleiss(rows), len(shared), len(annotators))


def cohen(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa of two annotators' labels of the same texts."""
    count = len(pairs)
    left = Counter(first for first, _ in pairs)
    right = Counter(second for _, second in pairs)
    chance = sum(left[label] * right[label] for label in left) / count**2
    agreed = sum(first == second for first, second in pairs) / count
    return _beyond(agreed, chance)


def fleiss(rows: Sequence[Mapping[Hashable, int]]) -> float | None:
    """Fleiss' kappa of how often each label was given to each text, at least twice in all."""
    sizes = [sum(row.values()) for row in rows]
    agreed = sum(
        sum(count * (count - 1) for count in row.values()) / (size * (size - 1))
        for row, size in zip(rows, sizes, strict=True)
    ) / len(rows)
    total: Counter[Hashable] = Counter()
    for row in rows:
        total.update(row)
    chance = sum((count / sum(sizes)) ** 2 for count in total.values())
    return _beyond(agreed, chance)


def _beyond(agreed: float, chance: float) -> float | None:
    return None if chance >= 1 else (agreed - chance) / (1 - chance)
