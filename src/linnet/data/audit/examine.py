"""The audit: everything that is found out about the rows that were kept, but for wrong labels."""

from pathlib import Path
from typing import Any

from linnet.config import ModelConfig
from linnet.data.audit.columns import examine_columns
from linnet.data.audit.distribution import examine_distribution
from linnet.data.audit.drift import examine_drift
from linnet.data.audit.language import examine_language
from linnet.data.audit.personal import examine_personal
from linnet.data.audit.sample import read_sample
from linnet.data.audit.tokens import examine_tokens
from linnet.data.audit.warnings import warnings_of
from linnet.data.audit.words import examine_words
from linnet.data.split.assign import NAMES
from linnet.progress import progress

ROWS = 60_000


def examine(directory: Path, model: ModelConfig, split_by: str) -> dict[str, Any]:
    """Audit the splits.

    Args:
        directory: The splits folder with its three splits.
        model: The model whose tokenizer measures the texts.
        split_by: The column of dates of a split by time, or empty.

    Returns:
        The findings of each module under its name, and `warnings` as sentences. They are plain
        values, and equal for equal splits.
    """
    with progress("audit", 3, "splits") as task:
        samples = {}
        for name in NAMES:
            samples[name] = read_sample(directory, name, ROWS)
            task.advance()
    train = samples["train"]
    audit: dict[str, Any] = {
        "columns": examine_columns(train),
        "words": examine_words(train),
        "personal": examine_personal(directory),
        "language": examine_language(train),
        "tokens": examine_tokens(samples, model),
        "distribution": {name: examine_distribution(train, samples[name]) for name in NAMES[1:]},
        "drift": examine_drift(samples, split_by),
    }
    return {**audit, "warnings": warnings_of(audit, bool(split_by))}
