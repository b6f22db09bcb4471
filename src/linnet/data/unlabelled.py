"""Texts without labels, to learn from what a model answers to them; none that it will be judged on is among them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnet.config import DataConfig, named
from linnet.data.clean.collect import chunks_of
from linnet.data.clean.values import clean_value
from linnet.data.group.texts import digests, normalised
from linnet.data.sources import catalog
from linnet.data.sources.open import Opened, open_table
from linnet.data.split.files import Split
from linnet.errors import DataError, TextError
from linnet.progress import progress
from linnet.tables.columns import find_column
from linnet.tables.table import misfit

TEXTS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Unlabelled:
    """The texts of a file.

    Attributes:
        texts: Clean texts, each once, in the file's order or in that in which they were drawn.
        facts: The file's name and SHA-256, `rows_in`, `rows_used`, and `dropped`: reason to number of rows.
    """

    texts: list[str]
    facts: dict[str, Any]


def read_unlabelled(
    settings: DataConfig, train: Split, held_out: Sequence[Split], sample: int = 0, seed: int = 0
) -> Unlabelled:
    """Read the texts of a file; whatever labels it has are not looked at.

    Args:
        settings: Their `source` names the file; the column of the text, the encoding and the mending of mojibake count.
        train: Its texts are left out as copies; personal data are masked as in it.
        held_out: What will be judged on. Texts like theirs, up to case, names, links and punctuation, are left out.
        sample: Texts to draw at random of those that are left; 0: all.
        seed: Of the draw.

    Raises:
        DataError: The file, or its column, can't be used, or no text is left.
    """
    settings = catalog.resolve(settings)
    dropped: Counter[str] = Counter()
    held = {split.name: _keys(split.texts) for split in held_out}
    with open_table(settings, labelled=False) as opened:
        texts: list[str] = []
        for cleaned in _clean_texts(opened, settings, train.mask, dropped):
            texts += _apart(cleaned, held, dropped)
    rows_in = len(texts) + dropped.total()
    texts = _new(texts, train.texts, dropped)
    if not texts:
        reasons = ", ".join(
            f"{reason}: {count:,}" for reason, count in dropped.most_common() if count
        )
        raise DataError(
            f"{named(settings.source)} holds no text to learn from: of its {rows_in:,} rows none is left "
            f"({reasons or 'it has none'}). Expected texts that the splits do not have."
        )
    if 0 < sample < len(texts):
        dropped["not_drawn"] = len(texts) - sample
        chosen = np.random.default_rng(seed).permutation(len(texts))[
            :sample
        ]  # a larger one begins with a smaller
        texts = [texts[place] for place in chosen]
    facts: dict[str, Any] = {
        "name": opened.source.name if opened.source else named(settings.source),
        "sha256": opened.source.digest() if opened.source else None,
        "rows_in": rows_in,
        "rows_used": len(texts),
        "dropped": dict(sorted(dropped.items())),
    }
    return Unlabelled(texts, facts)


def _clean_texts(
    opened: Opened, settings: DataConfig, mask: Sequence[str], dropped: Counter[str]
) -> Iterator[list[str]]:
    """The clean texts of a table, some at a time; why others can't be used is counted."""
    table = opened.table
    done = 0
    column = find_column(table.columns, settings.text_column, "text")
    width = len(table.columns)
    name = opened.source.name if opened.source else named(settings.source)
    with progress(f"read {name}", opened.size, "bytes") as task:
        for rows in chunks_of(table.rows):
            texts = []
            for _, values in rows:
                try:
                    if len(values) != width:
                        raise TextError(misfit(len(values), width), "Not a row of this table.")
                    texts.append(clean_value(values[column], mask, settings.repair)[0])
                except TextError as error:
                    dropped[error.reason] += 1
            yield texts
            task.advance(opened.position() - done)
            done = opened.position()


def _apart(texts: list[str], held: dict[str, np.ndarray], dropped: Counter[str]) -> list[str]:
    """The texts that are not like one of those held out."""
    keys = _keys(texts)
    kept = np.ones(len(texts), dtype=bool)
    for name, others in held.items():
        like = kept & np.isin(keys, others)
        dropped[f"like_a_{name}_text"] += int(like.sum())
        kept &= ~like
    return [texts[place] for place in np.flatnonzero(kept)]


def _new(texts: list[str], others: Sequence[str], dropped: Counter[str]) -> list[str]:
    """Each text once, and none of the others."""
    keys = digests([text.encode() for text in texts])
    kept = np.zeros(len(texts), dtype=bool)
    kept[np.unique(keys, return_index=True)[1]] = True
    kept &= ~np.isin(keys, digests([text.encode() for text in others]))
    dropped["duplicate"] += len(texts) - int(kept.sum())
    return [texts[place] for place in np.flatnonzero(kept)]


def _keys(texts: Sequence[str]) -> np.ndarray:
    """Digests of what texts say, uint64 (n,)."""
    parts = [
        normalised(texts[start : start + TEXTS_AT_ONCE])
        for start in range(0, len(texts), TEXTS_AT_ONCE)
    ]
    return digests([key.encode() for part in parts for key in part])
