"""How unusual the words of a text are: the mean of -ln p(token), counted on the training split.

The table is surprise.npy of a bundle: float16, one value per id of the vocabulary. Adding one to
each count (Laplace smoothing) gives a token that was never seen a finite surprise.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from linnet.errors import BundleError


class SurpriseTable:
    """The surprise of each token, in nats.

    Args:
        values: Float16 (vocabulary size,).
        special_ids: The ids that the tokenizer adds to each text; they don't count.
    """

    def __init__(self, values: NDArray[np.float16], special_ids: Sequence[int] = ()):
        self.values = values
        counted = values.astype(float)
        counted[list(special_ids)] = 0.0
        # A list: summing a few of its numbers takes a tenth of the time that numpy needs.
        self._counted: list[float] = counted.tolist()
        self._special = len(special_ids)

    @classmethod
    def count(cls, rows: Iterable[Sequence[int]], size: int, special_ids: Sequence[int]) -> Self:
        """Count the tokens of texts.

        Args:
            rows: The ids of each text, special tokens included.
            size: Of the vocabulary.
            special_ids: The ids that the tokenizer adds to each text.
        """
        counts = np.zeros(size, np.int64)
        for row in rows:
            np.add.at(counts, np.asarray(row, np.int64), 1)
        counts[list(special_ids)] = 0
        shares = (counts + 1) / (counts.sum() + size)
        return cls((-np.log(shares)).astype(np.float16), special_ids)

    @classmethod
    def read(cls, path: Path, size: int, special_ids: Sequence[int] = ()) -> Self:
        """Read the table of a tokenizer.

        Raises:
            BundleError: The file is no such table, or that of another vocabulary.
        """
        values = read_values(path)
        if len(values) != size:
            raise BundleError(
                f"{path} has the surprise of {len(values):,} tokens, but the tokenizer has "
                f"{size:,}. Export the checkpoint again."
            )
        return cls(values, special_ids)

    def of(self, ids: Sequence[int]) -> float:
        """The mean surprise of a text, by its ids with special tokens; 0 where it has no other."""
        counted = self._counted
        return sum([counted[token] for token in ids]) / max(len(ids) - self._special, 1)


def read_values(path: Path) -> NDArray[np.float16]:
    """Read surprise.npy, float16 (vocabulary size,).

    Raises:
        BundleError: The file can't be read, or doesn't hold such an array.
    """
    try:
        with path.open("rb") as file:
            values: NDArray[np.float16] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise BundleError(f"{path} can't be read as an array of numpy: {error}.") from None
    if values.dtype != np.float16 or values.ndim != 1:
        raise BundleError(f"{path} can't be used: expected one row of float16.")
    if not len(values) or not np.isfinite(values).all() or values.min() < 0:
        raise BundleError(f"{path} can't be used: expected finite values of at least 0.")
    return values
