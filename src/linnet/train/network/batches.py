"""Splits as token ids, tokenised once and ahead, and batches of them without padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.data import Split
from linnet.errors import DataError, LabelError
from linnet.progress import progress
from linnet.text import Tokenizer
from linnet.train.network.functions import Layout

TEXTS_AT_ONCE = 8192


@dataclass(frozen=True)
class Encoded:
    """A split as the model sees it.

    Attributes:
        name: The split's name.
        ids: Token ids of all texts, one after the other, int32 (tokens,).
        ends: Where each text's ids end, with a leading 0, int64 (n + 1,).
        labels: Label ids, int64 (n,); of a multi-label split which labels apply, bool (n, C); or
            probabilities of the labels, float32 (n, C).
        truncated: Texts whose end was cut off.
    """

    name: str
    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    labels: NDArray[Any]
    truncated: int

    def __len__(self) -> int:
        return len(self.ends) - 1

    def row(self, index: int) -> list[int]:
        """Token ids of one text."""
        ids: list[int] = self.ids[self.ends[index] : self.ends[index + 1]].tolist()
        return ids

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, int64 (n,)."""
        return np.diff(self.ends)

    def within(self, vocabulary: NDArray[np.int64]) -> "Encoded":
        """The same with places in a sorted vocabulary for token ids."""
        return replace(self, ids=np.searchsorted(vocabulary, self.ids).astype(np.int32))


@dataclass(frozen=True)
class Batch:
    """Some texts, one after the other.

    Attributes:
        rows: Which texts of the split they are, int64 (rows,).
        ids: Token ids, int64 (tokens,).
        layout: Which of them are which text's.
        labels: int64 (rows,), or bool or float32 (rows, C).
    """

    rows: NDArray[np.int64]
    ids: torch.Tensor
    layout: Layout
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def padded(self, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
        """As a rectangle: `input_ids` and `attention_mask`, int64 (rows, longest) both."""
        mask = torch.zeros(self.layout.shape, dtype=torch.int64, device=self.ids.device)
        mask.view(-1)[self.layout.places] = 1
        input_ids = torch.full_like(mask, pad_id)
        input_ids.view(-1)[self.layout.places] = self.ids
        longest = int(self.layout.lengths.max())
        return input_ids[:, :longest], mask[:, :longest]


def check_rows(split: Split) -> None:
    """Refuse a split without rows, or with labels that have no names.

    Raises:
        DataError: It holds none.
        LabelError: A label id has no name.
    """
    if not len(split):
        raise DataError(f"The {split.name} split holds no rows. Prepare it from more.")
    unnamed = np.flatnonzero((split.labels < 0) | (split.labels >= len(split.label_names)))
    if len(unnamed) and not split.multi_label:
        raise LabelError(
            f"Row {unnamed[0]} of the {split.name} split has the label "
            f"{split.labels[unnamed[0]]}, but there are names "
            f"for 0 to {len(split.label_names) - 1} alone. Run `linnet prepare` again."
        )


def encode(split: Split, tokenizer: Tokenizer, shown: bool = True) -> Encoded:
    """Tokenise a split.

    Args:
        split: The split.
        tokenizer: The model's.
        shown: Whether progress is shown.

    Raises:
        DataError: The split holds no rows.
        LabelError: A label id has no name.
    """
    check_rows(split)
    parts = []
    lengths = [0]
    truncated = 0
    with progress(f"encode {split.name}", len(split), "texts", shown=shown) as task:
        for start in range(0, len(split), TEXTS_AT_ONCE):
            encodings = tokenizer.encode(split.texts[start : start + TEXTS_AT_ONCE])
            parts += [np.asarray(encoding.ids, np.int32) for encoding in encodings]
            lengths += [len(encoding.ids) for encoding in encodings]
            truncated += sum(encoding.truncated for encoding in encodings)
            task.advance(len(encodings))
    return Encoded(
        split.name,
        np.concatenate(parts),
        np.cumsum(lengths, dtype=np.int64),
        split.labels,
        truncated,
    )


def batches(
    split: Encoded, order: Sequence[int] | NDArray[np.int64], size: int, device: torch.device
) -> Iterator[Batch]:
    """Batches of a split, in an order.

    Args:
        split: The texts.
        order: Indices into them.
        size: Texts in a batch; the last may have fewer.
        device: Where the tensors are put.
    """
    indices = np.asarray(order, dtype=np.int64)
    for start in range(0, len(indices), size):
        yield batch(split, indices[start : start + size], device)


def batch(split: Encoded, rows: NDArray[np.int64], device: torch.device) -> Batch:
    """The batch of these rows of a split."""
    lengths = split.lengths[rows]
    starts = np.cumsum(lengths) - lengths
    places = np.arange(lengths.sum()) + np.repeat(split.ends[rows] - starts, lengths)
    ids = torch.from_numpy(split.ids[places].astype(np.int64)).to(device)
    return Batch(
        rows, ids, Layout(lengths, device), torch.from_numpy(split.labels[rows]).to(device)
    )
