"""Whether an engine answers what torch does, on real rows: the same batches through both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from linnet.predict import Task
from linnet.predict.batching import pad
from linnet.predict.engine import Engine
from linnet.progress import progress

BATCH = 16
ALONE = 8


@dataclass(frozen=True, slots=True)
class Parity:
    """How far apart two ways to run one model are.

    Attributes:
        max_logit_difference: The largest absolute difference of any logit; NaN where either is no
            number.
        label_agreement: Share of the answers whose most probable label is the same; for
            multi-label, whose labels of a probability of 0.5 or more are the same.
        rows: Rows compared.
    """

    max_logit_difference: float
    label_agreement: float
    rows: int


def compare(
    model: PreTrainedModel,
    engine: Engine,
    rows: Sequence[Sequence[int]],
    pad_id: int,
    max_length: int,
    task: Task,
) -> Parity:
    """Run the same rows through torch and through an engine.

    They run as they come, sixteen at a time, so that lengths are mixed and rows padded; then some
    alone; then one batch filled to `max_length`.

    Args:
        model: In evaluation mode.
        engine: What is to be served.
        rows: Token ids of real texts; at least one.
        pad_id: The padding token.
        max_length: Tokens a text may have.
        task: Single-label or multi-label; see its `agree`.
    """
    largest: list[float] = []
    agreed: list[bool] = []
    batches = list(_batches(rows, max_length))
    with progress("compare with torch", len(batches), "batches") as bar:
        for batch in batches:
            input_ids, attention_mask = pad(batch, pad_id)
            expected = _torch_logits(model, input_ids, attention_mask)
            answered = engine.run(input_ids, attention_mask)
            with np.errstate(
                invalid="ignore"
            ):  # infinity less infinity is NaN, which passes no tolerance
                largest.append(float(np.abs(answered - expected).max()))
            agreed += task.agree(answered, expected).tolist()
            bar.advance()
    return Parity(float(np.max(largest)), float(np.mean(agreed)), len(rows))


def _batches(rows: Sequence[Sequence[int]], max_length: int) -> Iterator[Sequence[Sequence[int]]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
    by_length = sorted(rows, key=len)
    for index in np.linspace(0, len(rows) - 1, min(ALONE, len(rows)), dtype=int):
        yield [by_length[index]]
    repeated = chain.from_iterable(islice(rows, max_length))
    full = list(islice(chain(repeated, *[rows[0]] * max_length), max_length))
    yield [full, full[: max_length // 2]]


def _torch_logits(
    model: PreTrainedModel, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
) -> NDArray[np.float32]:
    with torch.inference_mode():
        output = model(
            input_ids=torch.from_numpy(input_ids), attention_mask=torch.from_numpy(attention_mask)
        )
    logits: NDArray[np.float32] = output.logits.numpy()
    return logits
