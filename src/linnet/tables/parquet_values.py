"""Values of a Parquet column: bytes as strings, ids of a Hugging Face ClassLabel as names."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

HUGGING_FACE = (
    b"huggingface"  # under which `datasets` keeps a table's features in the schema's metadata
)
NO_CLASS = -1  # what ClassLabel holds for a missing label, as in an unlabelled test part


def class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names by id of each column of class labels or lists of them, as `datasets` writes it.

    Args:
        metadata: Of the schema.
    """
    try:
        features = json.loads((metadata or {})[HUGGING_FACE])["info"]["features"]
        found = {column: _names(feature) for column, feature in features.items()}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return {}
    return {column: names for column, names in found.items() if names}


def named(value: Any, names: Sequence[str]) -> Any:
    """A class id as its name, or each of a list; None for a missing one. Other values stay."""
    if isinstance(value, list):
        return [named(one, names) for one in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == NO_CLASS:
        return None
    return names[value] if 0 <= value < len(names) else value


def decoded(value: Any) -> Any:
    """Bytes that are UTF-8 as a string, also in lists and structs; other bytes stay bytes."""
    if isinstance(value, list | tuple):
        return type(value)(map(decoded, value))
    if isinstance(value, dict):
        return {key: decoded(one) for key, one in value.items()}
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _names(feature: Any) -> list[str]:
    if isinstance(
        feature, list
    ):  # a list of class labels, as older versions of `datasets` write it
        feature = {"feature": feature[0]} if len(feature) == 1 else {}
    names = feature.get("feature", feature).get("names") or []
    return names if all(isinstance(name, str) for name in names) else []
