"""Measure the texts in tokens of the model to be trained, and how much of them it would not see.

Needs the model's tokenizer, but no network: it is in a folder or in the hub's local cache, or the
measurement is left out.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from linnet import mini
from linnet.config import AUTO, FIRST_CHOICE, ModelConfig
from linnet.data.audit.sample import Sample
from linnet.errors import BundleError, TextError
from linnet.text import Tokenizer

ROWS = 10_000  # of a split
CHARACTERS = 1_000_000
NO_LIMIT = 1_000_000  # tokens
LONG_WORD = 100  # characters; to WordPiece, a longer word is unknown
BINS = 40
SCRATCH = "scratch"


def examine_tokens(samples: dict[str, Sample], model: ModelConfig) -> dict[str, Any]:
    """Tokenize some texts of each split.

    Args:
        samples: One per split.
        model: The model; gives the tokenizer and the length limit.

    Returns:
        `tokenizer`: name of the model. `reason`: why its tokenizer is missing, else empty.
        `max_length`. `splits`: empty without a tokenizer, else for each split the `rows` measured,
        the `mean`, `median`, `p95` and `max` of tokens, the shares `truncated` and `long_words`
        (a word over 100 characters) of the texts, the share `unknown` of the tokens (None if the
        tokenizer has no such token), and `histogram`: shares of rows by length, in bins of
        `width`.
    """
    path, reason = find_tokenizer(model.name_or_path)
    found: dict[str, Any] = {
        "tokenizer": model.name_or_path,
        "reason": reason,
        "max_length": model.max_length,
        "splits": {},
    }
    if path is None:
        return found
    try:
        tokenizer = Tokenizer(path, NO_LIMIT)
        unknown = _unknown_id(path)
        counted = {
            name: _count(sample, tokenizer, unknown)
            for name, sample in samples.items()
            if len(sample)
        }
    except (BundleError, TextError) as error:
        return {**found, "reason": str(error)}
    longest = max((np.quantile(lengths, 0.99) for lengths, _, _ in counted.values()), default=1)
    found["width"] = max(1, int(np.ceil((max(longest, 1) + 1) / BINS)))
    for name, (lengths, share, long_words) in counted.items():
        bins = np.bincount(np.minimum(lengths // found["width"], BINS), minlength=BINS + 1)[:BINS]
        found["splits"][name] = {
            "rows": len(lengths),
            "mean": round(float(lengths.mean()), 1),
            "median": int(np.median(lengths)),
            "p95": int(np.quantile(lengths, 0.95, method="higher")),
            "max": int(lengths.max()),
            "truncated": round(float((lengths > model.max_length).mean()), 4),
            "long_words": round(long_words / len(lengths), 4),
            "unknown": None if share is None else round(share, 5),
            "histogram": [round(count / len(lengths), 4) for count in bins.tolist()],
        }
    return found


def find_tokenizer(name_or_path: str) -> tuple[Path | None, str]:
    """The tokenizer.json of an encoder, or the reason why it is not at hand, as a sentence."""
    if name_or_path == SCRATCH:
        return None, "The encoder is trained from nothing, and its vocabulary with it."
    if name_or_path == mini.NAME:
        return mini.FOLDER / "tokenizer.json", ""
    if name_or_path == AUTO:
        return find_tokenizer(FIRST_CHOICE)
    if Path(name_or_path).is_dir():
        path = Path(name_or_path) / "tokenizer.json"
        return (
            (path, "")
            if path.is_file()
            else (None, f"The folder {name_or_path} holds no tokenizer.json.")
        )
    try:
        cached = try_to_load_from_cache(name_or_path, "tokenizer.json")
    except HFValidationError:
        return (
            None,
            f"There is no folder {name_or_path!r}, and no encoder on the hub can have that name.",
        )
    if isinstance(cached, str):
        return Path(cached), ""
    return (
        None,
        f"The tokenizer of {name_or_path!r} is not on this machine yet; `linnet train` fetches it.",
    )


def _count(
    sample: Sample, tokenizer: Tokenizer, unknown: int | None
) -> tuple[np.ndarray, float | None, int]:
    """Lengths in tokens, int (n,), the share of unknown tokens, and texts with a too long word."""
    texts = sample.texts(ROWS, CHARACTERS)
    rows = [encoding.ids for encoding in tokenizer.encode(texts)]
    lengths = np.array([len(ids) for ids in rows])
    share = (
        None
        if unknown is None
        else sum(ids.count(unknown) for ids in rows) / max(int(lengths.sum()), 1)
    )
    long_words = sum(any(len(word) > LONG_WORD for word in text.split()) for text in texts)
    return lengths, share, long_words


def _unknown_id(path: Path) -> int | None:
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    if "unk_id" in model:
        return None if model["unk_id"] is None else int(model["unk_id"])
    vocabulary = model.get("vocab")
    unknown = model.get("unk_token")
    return vocabulary.get(unknown) if isinstance(vocabulary, dict) else None
