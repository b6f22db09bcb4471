"""Read unlabelled texts for distillation, without those that resemble held-out texts."""

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
        texts: Distinct clean texts, in the order of the file or of the draw.
        facts: The file's name and SHA-256, `rows_in`, `rows_used`, and `dropped` by reason.
    """

    texts: list[str]
    facts: dict[str, Any]


def read_unlabelled(
    settings: DataConfig, train: Split, held_out: Sequence[Split], sample: int = 0, seed: int = 0
) -> Unlabelled:
    """Read the texts of a file and ignore its labels.

    Args:
        settings: Their `source`, `text_column`, `encoding` and `repair` are used.
        train: Copies of its texts are left out. Personal data are masked as they are in it.
        held_out: The splits for evaluation. Texts that differ from theirs only in case, names,
            links or punctuation are left out.
        sample: Number of the remaining texts to draw at random; 0: all.
        seed: Seed of the draw.

    Raises:
        DataError: The file or its column can't be used, or no text is left.
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
            f"{named(settings.source)} has no text to learn from. "
            f"None of its {rows_in:,} rows is left ({reasons or 'it has none'}). "
            "Give it texts that the splits do not have."
        )
    if 0 < sample < len(texts):
        dropped["not_drawn"] = len(texts) - sample
        # With the same seed, a larger sample begins with a smaller one.
        chosen = np.random.default_rng(seed).permutation(len(texts))[:sample]
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
    """Yield the clean texts of a table in chunks; count the others by reason."""
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
    """Keep the texts that resemble no held-out text."""
    keys = _keys(texts)
    kept = np.ones(len(texts), dtype=bool)
    for name, others in held.items():
        like = kept & np.isin(keys, others)
        dropped[f"like_a_{name}_text"] += int(like.sum())
        kept &= ~like
    return [texts[place] for place in np.flatnonzero(kept)]


def _new(texts: list[str], others: Sequence[str], dropped: Counter[str]) -> list[str]:
    """Keep each text once, and none of the others."""
    keys = digests([text.encode() for text in texts])
    kept = np.zeros(len(texts), dtype=bool)
    kept[np.unique(keys, return_index=True)[1]] = True
    kept &= ~np.isin(keys, digests([text.encode() for text in others]))
    dropped["duplicate"] += len(texts) - int(kept.sum())
    return [texts[place] for place in np.flatnonzero(kept)]


def _keys(texts: Sequence[str]) -> np.ndarray:
    """Digests of the normalised texts, uint64 (n,)."""
    parts = [
        normalised(texts[start : start + TEXTS_AT_ONCE])
        for start in range(0, len(texts), TEXTS_AT_ONCE)
    ]
    return digests([key.encode() for part in parts for key in part])
