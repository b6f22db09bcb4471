"""The audit: everything that is found out about the rows that were kept, but for wrong labels."""

from pathlib import Path
from typing import Any

from linnet.config import Config
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


def examine(directory: Path, config: Config) -> dict[str, Any]:
    """Audit the splits.

    Args:
        directory: The splits folder, with its three splits in it.
        config: Its `model` says which tokenizer; its `data.split_by` which column holds the dates.

    Returns:
        What each module of this folder found, under its name, and `warnings`, as sentences. Plain values alone, the
        same for the same splits.
    """
    with progress("audit", 7, "steps") as task:
        samples = {name: read_sample(directory, name, ROWS) for name in NAMES}
        train = samples["train"]
        audit: dict[str, Any] = {}
        task.advance()
        for name, look in (
            ("columns", lambda: examine_columns(train)),
            ("words", lambda: examine_words(train)),
            ("personal", lambda: examine_personal(directory)),
            ("language", lambda: examine_language(train)),
            ("tokens", lambda: examine_tokens(samples, config.model)),
            (
                "distribution",
                lambda: {name: examine_distribution(train, samples[name]) for name in NAMES[1:]},
            ),
            ("drift", lambda: examine_drift(samples, config.data.split_by)),
        ):
            audit[name] = look()
            task.advance()
    return {**audit, "warnings": warnings_of(audit, bool(config.data.split_by))}
