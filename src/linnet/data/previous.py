"""Keep the rows of earlier splits in their split, and report the changes for the card."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linnet.config import DataConfig
from linnet.data import card
from linnet.data.audit import label_issues
from linnet.data.group.texts import digests
from linnet.data.split.assign import NAMES, NOWHERE
from linnet.errors import UsageError
from linnet.files import digest
from linnet.links import plain

# These settings may change while old rows keep their split.
FREE = {"source", "added_file", "previous_splits", "corrections", "noise_sample", "keep_splits"}
TEXTS_AT_ONCE = 65_536


def check_review(directory: Path) -> None:
    """Refuse to replace a suspects.csv that somebody has edited.

    Args:
        directory: Where new splits will go.

    Raises:
        UsageError: The list is not the one that was written.
    """
    path = directory / label_issues.NAME
    try:
        written = json.loads((directory / card.NAME).read_text(encoding="utf-8"))["noise"]["sha256"]
        edited = digest(path) != written
    except (OSError, ValueError, KeyError, TypeError):
        return  # there is no list, or an older version recorded no digest
    if edited:
        raise UsageError(
            f"{path} was edited, and preparing again would replace it. "
            "Move it elsewhere, and name it with --corrections."
        )


@dataclass(frozen=True)
class Previous:
    """The splits that the folder held before.

    Attributes:
        split: Where each row's text was, or `NOWHERE`, int8 (n,).
        text: Digests of the clean texts, uint64 (n,).
        texts: Digests of the texts of each old split; empty if old splits are missing or ignored.
        card_sha256: SHA-256 of their card.
        ancestors: The same of the splits that those grew out of, the latest first.
        notes: One sentence that says why they are ignored.
    """

    split: np.ndarray
    text: np.ndarray
    texts: dict[str, np.ndarray] = field(default_factory=dict)
    card_sha256: str = ""
    ancestors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def find(cls, directory: Path, settings: DataConfig, text: np.ndarray) -> "Previous":
        """Look for splits in a folder.

        Args:
            directory: Where new splits will go. `settings.previous_splits` may name another folder.
            settings: Those of the new splits. If they differ, old splits are ignored.
            text: Digests of the clean texts, uint64 (n,).

        Raises:
            UsageError: The settings name a folder whose splits can't be kept.
        """
        named = Path(settings.previous_splits) if settings.previous_splits else None
        found = cls._find(named or directory, settings, text)
        if named and not found.texts and not settings.split_by:
            why = found.notes[0] if found.notes else f"{named} holds no {card.NAME}."
            raise UsageError(
                f"The splits that data.previous_splits names can't be kept. {why} "
                "Use the settings of the old run, or take the setting away."
            )
        return found

    @classmethod
    def _find(cls, directory: Path, settings: DataConfig, text: np.ndarray) -> "Previous":
        nowhere = np.full(len(text), NOWHERE, dtype=np.int8)
        file = directory / card.NAME
        if not settings.keep_splits or not file.is_file():
            return cls(nowhere, text)
        try:
            card_before = json.loads(file.read_text(encoding="utf-8"))
            before = card_before["settings"]
            old = [_digests(plain(directory) / f"{name}.parquet") for name in NAMES]
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            return cls(
                nowhere,
                text,
                notes=(f"The previous splits can't be read and are ignored: {error}.",),
            )
        now = settings.model_dump(mode="json")
        changed = sorted(key for key in now.keys() - FREE if before.get(key) != now[key])
        if settings.split_by or changed:
            why = f"data.{changed[0]} has changed" if changed else "the split is by time"
            return cls(nowhere, text, notes=(f"The previous splits are ignored: {why}.",))
        split = nowhere
        for index, texts in enumerate(old):
            split[np.isin(text, texts)] = index
        since = card_before.get("since") or {}
        ancestors = tuple(filter(None, [since.get("card_sha256"), *since.get("ancestors", ())]))
        texts_of = dict(zip(NAMES, old, strict=True))
        return cls(split, text, texts_of, digest(file), ancestors)

    def changes(self, split: np.ndarray) -> dict[str, Any] | None:
        """Count kept, new and gone rows of each split for the card; None without old splits.

        Args:
            split: Where each row is now, int8 (n,).
        """
        if not self.texts:
            return None
        moved = (self.split != NOWHERE) & (split != NOWHERE) & (self.split != split)
        return {
            "card_sha256": self.card_sha256,
            "ancestors": [*self.ancestors],
            "splits": {
                name: {
                    "before": len(self.texts[name]),
                    "kept": (kept := _in_both(self.texts[name], self.text[split == index])),
                    "gone": len(self.texts[name]) - kept,
                    "new": int(((split == index) & ~moved).sum()) - kept,
                }
                for index, name in enumerate(NAMES)
            },
            "moved": int(moved.sum()),
        }


def _in_both(before: np.ndarray, now: np.ndarray) -> int:
    """Count the rows that both have. A repeated text counts as often as both have it."""
    texts, counts = np.unique(before, return_counts=True)
    texts_now, counts_now = np.unique(now, return_counts=True)
    _, places, places_now = np.intersect1d(
        texts, texts_now, assume_unique=True, return_indices=True
    )
    return int(np.minimum(counts[places], counts_now[places_now]).sum())


def _digests(path: Path) -> np.ndarray:
    parts = [np.empty(0, dtype=np.uint64)]
    for batch in pq.ParquetFile(path).iter_batches(TEXTS_AT_ONCE, columns=["text"]):
        parts.append(digests(pc.cast(batch["text"], pa.binary()).to_pylist()))
    return np.concatenate(parts)
