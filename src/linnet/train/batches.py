"""Splits as token ids, tokenised once and ahead, and batches of them padded to the longest text of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from linnet.data import Split
from linnet.errors import DataError, LabelError
from linnet.predict.batching import pad
from linnet.text import Tokenizer

TEXTS_AT_ONCE = 8192


@dataclass(frozen=True)
class Encoded:
    """A split as the model sees it.

    Attributes:
        name: The split's name.
        ids: Token ids of all texts, one after the other, int32 (tokens,).
        ends: Where each text's ids end, with a leading 0, int64 (n + 1,).
        labels: Label ids, int64 (n,); of a multi-label split which labels apply, bool (n, C).
        pad_id: What shorter texts of a batch are filled with.
        truncated: Texts whose end was cut off.
    """

    name: str
    ids: NDArray[np.int32]
    ends: NDArray[np.int64]
    labels: NDArray[Any]
    pad_id: int
    truncated: int

    def __len__(self) -> int:
        return len(self.labels)

    def row(self, index: int) -> list[int]:
        """Token ids of one text."""
        ids: list[int] = self.ids[self.ends[index] : self.ends[index + 1]].tolist()
        return ids

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, int64 (n,)."""
        return np.diff(self.ends)


@dataclass(frozen=True)
class Batch:
    """Some texts, padded to the longest.

    Attributes:
        input_ids: int64 (rows, longest).
        attention_mask: 1 where there is a token, int64 (rows, longest).
        labels: int64 (rows,), or bool (rows, C).
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


def encode(split: Split, tokenizer: Tokenizer) -> Encoded:
    """Tokenise a split.

    Raises:
        DataError: The split holds no rows.
        LabelError: A label id has no name.
    """
    if not len(split):
        raise DataError(f"The {split.name} split holds no rows. Prepare it from more.")
    unnamed = np.flatnonzero((split.labels < 0) | (split.labels >= len(split.label_names)))
    if len(unnamed) and not split.multi_label:
        raise LabelError(
            f"Row {unnamed[0]} of the {split.name} split has the label {split.labels[unnamed[0]]}, but there are names "
            f"for 0 to {len(split.label_names) - 1} alone. Run `linnet prepare` again."
        )
    parts, lengths, truncated = [], [0], 0
    for start in range(0, len(split), TEXTS_AT_ONCE):
        encodings = tokenizer.encode(split.texts[start : start + TEXTS_AT_ONCE])
        parts += [np.asarray(encoding.ids, np.int32) for encoding in encodings]
        lengths += [len(encoding.ids) for encoding in encodings]
        truncated += sum(encoding.truncated for encoding in encodings)
    ends = np.cumsum(lengths, dtype=np.int64)
    return Encoded(split.name, np.concatenate(parts), ends, split.labels, tokenizer.pad_id, truncated)


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
        chosen = indices[start : start + size]
        input_ids, attention_mask = pad([split.row(i) for i in chosen], split.pad_id)
        yield Batch(
            *(torch.from_numpy(array).to(device) for array in (input_ids, attention_mask, split.labels[chosen]))
        )
