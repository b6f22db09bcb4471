"""How many texts hold what may name a person or lead to one: addresses, telephone numbers, handles, links.

All rows are counted. What is rare is found roughly first, by patterns that Arrow matches a million texts a second
with, and exactly in those.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linnet.data.split.assign import NAMES

ROUGH_EMAIL = r"[^\s@]@[^\s@]+\.[^\s@]{2}"
ROUGH_PHONE = r"[0-9](?:[ .()/-]{0,3}[0-9]){6}"
HANDLE = r"(?:^|[^\w@.%+-])@\w"
LINK = r"(?i)(?:https?://|www\.)\S"
EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@(?:[\w-]+\.)+[^\W\d_][\w-]+")
DIGITS = re.compile(r"(?<![\w@#$€£¥/=.,:+-])\+?\(?[0-9]+(?:[ .()/-]{1,3}[0-9]+)*(?![\w@%€£°]|[,:.][0-9])")
NO_PHONE = re.compile(r"[0-9]{4}([-/. ])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-/.])[0-9]{1,2}\2[0-9]{4}|[0-9.]{7,15}")


def examine_personal(directory: Path) -> dict[str, Any]:
    """Count them in every split.

    Args:
        directory: The splits folder.

    Returns:
        By split and kind (email, phone, handle, link), the `texts` that have any, and the `occurrences`.
    """
    return {name: _count(directory / f"{name}.parquet") for name in NAMES}


def _count(path: Path) -> dict[str, dict[str, int]]:
    found = {kind: {"texts": 0, "occurrences": 0} for kind in ("email", "phone", "handle", "link")}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            texts = file.read_row_group(group, columns=["text"])["text"]
            with_at = texts.filter(pc.match_substring(texts, "@"))
            _add(found["email"], _exactly(with_at, ROUGH_EMAIL, emails))
            _add(found["phone"], _exactly(texts, ROUGH_PHONE, phones))
            _add(found["handle"], pc.count_substring_regex(with_at, HANDLE))
            _add(found["link"], pc.count_substring_regex(texts, LINK))
    return found


def emails(text: str) -> int:
    """How many e-mail addresses a text holds."""
    return len(EMAIL.findall(text)) if "@" in text else 0


def phones(text: str) -> int:
    """How many telephone numbers a text holds, as far as a number's shape tells."""
    return sum(_is_phone(run[0]) for run in DIGITS.finditer(text))


def _is_phone(run: str) -> bool:
    groups = re.findall("[0-9]+", run)
    digits = sum(map(len, groups))
    if not 7 <= digits <= 15:
        return False
    if run.startswith("+") or len(groups) == 1:
        return run.startswith("+") or digits in {10, 11}
    return not NO_PHONE.fullmatch(run) and max(map(len, groups)) >= 3 and min(map(len, groups[1:])) >= 2


def _exactly(texts: pa.ChunkedArray, rough: str, count: Callable[[str], int]) -> pa.Array:
    candidates = texts.filter(pc.match_substring_regex(texts, rough))
    return pa.array([count(text) for text in candidates.to_pylist()], pa.int64())


def _add(found: dict[str, int], counts: pa.Array) -> None:
    found["texts"] += int(pc.sum(pc.greater(counts, 0)).as_py() or 0)
    found["occurrences"] += int(pc.sum(counts).as_py() or 0)
