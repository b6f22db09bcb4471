"""Compare two data cards value by value, and test the shift of the classes against chance."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from linnet.data import card
from linnet.data.split.assign import NAMES
from linnet.errors import DataError

# Other sections of a card are compared too, under their own names.
TITLES = {
    "source": "Source",
    "columns": "Columns",
    "accounting": "Rows",
    "labels": "Labels",
    "found": "Duplicates, groups",
    "corrections": "Corrections",
    "noise": "Likely wrong labels",
    "lengths": "Characters of a text",
    "settings": "Settings",
    "notes": "Notes",
    "lineage": "Made with",
}
# Two cards of one file made an hour apart are the same card.
PASSING = {
    ("lineage", "created"),
    ("lineage", "cpu_count"),
    ("lineage", "platform"),
    ("lineage", "git"),
    ("noise", "sha256"),
}
CLASSES = "classes"
MAX_CLASSES = 10
MAX_LENGTH = 80
ABSENT = "–"
ORDER = [*NAMES, "rows_in", "rows_used", "rows_dropped", "used", *card.QUANTILES]
# Of random draws from one population of two classes, one pair in twenty is further apart than
# this multiple of the average. With more classes it is fewer.
BEYOND_CHANCE = 2.5
# In a large file even a tiny shift exceeds chance. Below one point in total it is called small.
SMALL = 0.01

Leaf = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """One value that differs.

    Attributes:
        name: Its name within the section.
        old: The formatted value in the first card; a dash if it has none.
        new: The same for the second card.
        by: The size of the change; empty if it has no size.
    """

    name: str
    old: str
    new: str
    by: str = ""


@dataclass(frozen=True)
class Section:
    """The changes in one part of the cards."""

    title: str
    changes: tuple[Change, ...]


def read_card(path: Path) -> dict[str, Any]:
    """Read a data card, given its file or its splits folder.

    Raises:
        DataError: There is no card, or it has another format.
    """
    file = path / card.NAME if path.is_dir() else path
    if not file.is_file():
        raise DataError(
            f"There is no data card at {file}. Expected a splits folder or its {card.NAME}."
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(
            f"{file} is no data card: {error}. Expected the {card.NAME} of a splits folder."
        ) from error
    if not isinstance(content, dict) or "format" not in content or "accounting" not in content:
        raise DataError(f"{file} is no data card. Expected the {card.NAME} of a splits folder.")
    if content["format"] != card.FORMAT:
        raise DataError(
            f"{file} has format {content['format']!r:.20}. "
            f"This version of Linnet compares format {card.FORMAT}. Prepare these data again."
        )
    return content


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Section]:
    """List the sections that differ, with their changes.

    Args:
        old: A data card.
        new: Another.
    """
    names = [*TITLES, *dict.fromkeys([*old, *new])]
    names.insert(names.index("found"), CLASSES)
    sections = []
    for name in dict.fromkeys(names):
        before = old.get(name)
        after = new.get(name)
        if name == CLASSES and _are_counts(before) and _are_counts(after):
            sections += [
                _classes(split, before.get(split, {}), after.get(split, {}))
                for split in _splits(before, after)
            ]
        else:
            title = TITLES.get(name, _printable(name).replace("_", " ").capitalize())
            sections.append(Section(title, tuple(_changes((name,), before, after))))
    return [section for section in sections if section.changes]


def _changes(path: Leaf, old: Any, new: Any) -> Iterator[Change]:
    before = dict(_leaves(path, old))
    after = dict(_leaves(path, new))
    for leaf in sorted({*before, *after}, key=_order):
        if leaf[:2] not in PASSING and not _same(before.get(leaf), after.get(leaf)):
            name = " ".join(_printable(part) for part in leaf[1:]) or _printable(leaf[0])
            by = _by(before.get(leaf), after.get(leaf)) if leaf[0] != "settings" else ""
            yield Change(name, _said(before.get(leaf)), _said(after.get(leaf)), by)


def _leaves(path: Leaf, value: Any) -> Iterator[tuple[Leaf, Any]]:
    """Yield each value of a tree with its path. An item of a list of strings is its own leaf."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves((*path, str(name)), inner)
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield from (((*path, item), True) for item in value)
    elif value not in (None, [], {}):
        yield path, value


def _order(leaf: Leaf) -> tuple[Any, ...]:
    return tuple((ORDER.index(part) if part in ORDER else len(ORDER), part) for part in leaf)


def _same(old: Any, new: Any) -> bool:
    # JSON knows true and 1 apart; Python does not.
    return type(old) is type(new) and bool(old == new)


def _said(value: Any) -> str:
    if value is None:
        return ABSENT
    if value is True:
        return "yes"
    if isinstance(value, int) and value is not False:
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return (
        _printable(value)
        if isinstance(value, str) and value
        else _printable(json.dumps(value, ensure_ascii=False))
    )


def _by(old: Any, new: Any) -> str:
    if not (_is_number(old) and _is_number(new)):
        return ""
    share = f" ({(new - old) / abs(old):+.1%})" if old else ""
    return (f"{new - old:+,}" if isinstance(new - old, int) else f"{new - old:+.4g}") + share


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _printable(text: str) -> str:
    """A name or a value as one line that a terminal only shows."""
    plain = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return plain if len(plain) <= MAX_LENGTH else plain[: MAX_LENGTH - 3] + "..."


def _are_counts(value: Any) -> TypeGuard[dict[str, dict[str, int]]]:
    return isinstance(value, dict) and all(
        isinstance(counts, dict) and all(_is_number(count) for count in counts.values())
        for counts in value.values()
    )


def _splits(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
    return sorted({*old, *new}, key=lambda name: _order((name,)))


def _classes(split: str, old: Mapping[str, int], new: Mapping[str, int]) -> Section:
    """The classes of a split whose share moved most, below how far the shares moved in all."""
    totals = sum(old.values()), sum(new.values())
    moved = {
        label: _share(new, label, totals[1]) - _share(old, label, totals[0])
        for label in {**old, **new}
    }
    differing = [label for label in moved if old.get(label) != new.get(label)]
    differing.sort(key=lambda label: (-abs(moved[label]), label))
    changes = [
        Change(
            _printable(label),
            _counted(old, label, totals[0]),
            _counted(new, label, totals[1]),
            f"{100 * moved[label]:+.2f} points",
        )
        for label in differing[:MAX_CLASSES]
    ]
    if len(differing) > MAX_CLASSES:
        changes.append(Change(f"and {len(differing) - MAX_CLASSES:,} more", "", ""))
    if differing and all(totals):
        distance, chance = _distance(old, new)
        verdict = (
            "chance"
            if distance <= BEYOND_CHANCE * chance
            else "small"
            if distance < SMALL
            else "a shift"
        )
        by = f"{100 * distance:.2f} points: {verdict}"
        name = f"all shares (chance: {100 * chance:.2f})"
        changes.insert(0, Change(name, f"{totals[0]:,}", f"{totals[1]:,}", by))
    return Section(f"Classes of {_printable(split)}", tuple(changes))


def _distance(old: Mapping[str, int], new: Mapping[str, int]) -> tuple[float, float]:
    """Total variation distance of the shares, and its average for two draws of these sizes.

    The average is that of two random draws from one population.
    """
    totals = sum(old.values()), sum(new.values())
    labels = {**old, **new}
    distance = (
        sum(abs(_share(new, label, totals[1]) - _share(old, label, totals[0])) for label in labels)
        / 2
    )
    pooled = [(old.get(label, 0) + new.get(label, 0)) / sum(totals) for label in labels]
    spread = sum(math.sqrt(share * (1 - share)) for share in pooled) * math.sqrt(
        1 / totals[0] + 1 / totals[1]
    )
    # The mean absolute deviation of a normal variable is sqrt(2 / pi) of its standard deviation.
    # It is halved, as the distance is.
    return distance, spread * math.sqrt(2 / math.pi) / 2


def _share(counts: Mapping[str, int], label: str, total: int) -> float:
    return counts.get(label, 0) / total if total else 0.0


def _counted(counts: Mapping[str, int], label: str, total: int) -> str:
    return f"{counts[label]:,} ({_share(counts, label, total):.2%})" if label in counts else ABSENT
