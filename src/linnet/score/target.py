"""The file to write: what its name says, packed. Knows nothing of rows."""

import gzip
import lzma
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from linnet.errors import UsageError
from linnet.tables.source import (
    CSV,
    JSON,
    JSON_LINES,
    LINES,
    PARQUET,
    STANDARD,
    TSV,
    Source,
)

WRITTEN = {
    CSV: (".csv",),
    TSV: (".tsv", ".tab"),
    JSON_LINES: (".jsonl", ".ndjson"),
    JSON: (".jsonl", ".ndjson"),
    LINES: (".csv",),
    PARQUET: (".parquet",),
}
# A table whose name says nothing, such as one of tabs in a .txt file, may be written under any of
# these.
ANY_TABLE = (".csv", ".tsv", ".tab", ".txt")
PACKED = ("", ".gz", ".xz")


@dataclass(frozen=True)
class Target:
    """The file to write, or standard output.

    Attributes:
        path: The file, or `-`.
        compression: `.gz`, `.xz` or an empty string.
    """

    path: Path
    compression: str = ""

    @classmethod
    def find(cls, path: Path, source: Source) -> "Target":
        """Look at a name.

        Raises:
            UsageError: It isn't that of a file of the rows to be written, or it is the source.
        """
        if str(path) == STANDARD:
            if source.format == PARQUET:
                raise UsageError(
                    "The rows of a Parquet file become a Parquet file. Name one with --out."
                )
            return cls(path)
        compression = path.suffix.lower() if path.suffix.lower() in PACKED else ""
        endings = _endings(source)
        inner = path.stem if compression else path.name
        if PurePosixPath(inner).suffix.lower() not in endings or (
            source.format == PARQUET and compression
        ):
            packed = "" if source.format == PARQUET else ", plain or followed by .gz or .xz"
            raise UsageError(
                f"The rows of {source.path} ({source.format}) can't be written to {path}. "
                f"Expected a name for --out that ends in {' or '.join(endings)}{packed}; "
                "or - for standard output."
            )
        if path.is_dir():
            raise UsageError(
                f"{path} is a folder, but --out must name a file. Choose another --out."
            )
        if path.exists() and not source.standard and path.samefile(source.path):
            raise UsageError(
                f"{path} is the file that is scored, and it is never changed. Choose another --out."
            )
        return cls(path, compression)

    @property
    def standard(self) -> bool:
        """Whether it is standard output."""
        return str(self.path) == STANDARD

    def pack(self, data: bytes) -> bytes:
        """Pack bytes for the file. Packed chunks can be concatenated."""
        if self.compression == ".gz":
            return gzip.compress(data, mtime=0)
        return lzma.compress(data) if self.compression == ".xz" else data

    def unpack(self, path: Path) -> IO[bytes]:
        """Open a written file and unpack it; the caller closes it."""
        if self.compression == ".gz":
            return cast(IO[bytes], gzip.open(path))
        return cast(IO[bytes], lzma.open(path)) if self.compression == ".xz" else path.open("rb")


def _endings(source: Source) -> tuple[str, ...]:
    endings = WRITTEN[source.format]
    if source.format in (CSV, TSV) and source.suffix not in (*WRITTEN[CSV], *WRITTEN[TSV]):
        own = (source.suffix,) if source.suffix not in ("", *ANY_TABLE) else ()
        return tuple(dict.fromkeys((*endings, *ANY_TABLE, *own)))
    return endings
