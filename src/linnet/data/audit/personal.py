"""Count texts with personal data: e-mail addresses, telephone numbers, handles, links.

All rows are counted. For rare kinds, fast Arrow patterns select candidates first (a million texts
per second), and the exact patterns run only on these.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linnet.data.split.assign import NAMES
from linnet.pii import mask

ROUGH = {"email": r"[^\s@]@[^\s@]+\.[^\s@]{2}", "phone": r"[0-9](?:[ .()/-]{0,3}[0-9]){6}"}
HANDLE = r"(?:^|[^\w@.%+-])@\w"
LINK = r"(?i)(?:https?://|www\.)\S"
SHOWN = {"email": "<email>", "phone": "<phone>"}


def examine_personal(directory: Path) -> dict[str, Any]:
    """Count personal data in every split.

    Args:
        directory: The splits folder.

    Returns:
        By split and kind (email, phone, handle, link), the number of `texts` and of `occurrences`.
    """
    return {name: _count(directory / f"{name}.parquet") for name in NAMES}


def _count(path: Path) -> dict[str, dict[str, int]]:
    found = {kind: {"texts": 0, "occurrences": 0} for kind in ("email", "phone", "handle", "link")}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            texts = file.read_row_group(group, columns=["text"])["text"]
            with_at = texts.filter(pc.match_substring(texts, "@"))
            _add(found["email"], _exactly(with_at, "email"))
            _add(found["phone"], _exactly(texts, "phone"))
            _add(found["handle"], pc.count_substring_regex(with_at, HANDLE))
            _add(found["link"], pc.count_substring_regex(texts, LINK))
    return found


def _exactly(texts: pa.ChunkedArray, kind: str) -> pa.Array:
    """How many of a kind each candidate holds: as many as masking would put behind its name."""
    candidates = texts.filter(pc.match_substring_regex(texts, ROUGH[kind])).to_pylist()
    shown = SHOWN[kind]
    return pa.array(
        [mask(text, (kind,)).count(shown) - text.count(shown) for text in candidates], pa.int64()
    )


def _add(found: dict[str, int], counts: pa.Array) -> None:
    found["texts"] += int(pc.sum(pc.greater(counts, 0)).as_py() or 0)
    found["occurrences"] += int(pc.sum(counts).as_py() or 0)
