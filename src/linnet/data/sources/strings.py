"""Raw values of any type as the strings that splits hold."""

import json
from typing import Any

MAX_WHOLE = 2**53  # beyond, not every whole number is a float


def strings(column: list[Any]) -> list[str | None]:
    """A column's values as strings; None for a missing one."""
    if set(map(type, column)) <= {str}:
        return column
    return [value if type(value) is str else as_string(value) for value in column]


def as_string(value: Any) -> str | None:
    """One value as a string, the same whatever format it was read from; None for a missing one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        # A whole number with gaps becomes a float in most tools; NaN is their gap.
        whole = value.is_integer() and abs(value) <= MAX_WHOLE
        return None if value != value else repr(int(value)) if whole else repr(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
