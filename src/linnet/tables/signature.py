"""Files that are not what their names say, recognised by their first bytes."""

import re
import shlex
from pathlib import Path, PurePosixPath

from linnet.errors import DataError

# As many as show what a zip archive holds: a workbook names its parts in the first of them.
LOOKED_AT = 4096
WORKBOOK = "an Excel workbook"
SAVE_AS = "Save it as CSV UTF-8 in the program that made it"
PACKED = "Name it by what it is: mv {name} {name}{suffix}"
UNPACK = "Unpack it first: {command} {name}"
ENDINGS = {
    ".xlsx": WORKBOOK,
    ".xlsm": WORKBOOK,
    ".ods": "an OpenDocument spreadsheet",
    ".docx": "a Word document",
}
# The first bytes, what such a file is, and what to do; the first that fits counts.
SIGNATURES: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), what, advice)
    for pattern, what, advice in (
        (
            rb"version https://git-lfs\.github\.com/spec/",
            "a pointer of Git LFS, not the file itself",
            "Fetch the file: git lfs pull",
        ),
        (
            rb"[^\n]{0,500}/annex/objects/",
            "a pointer of git-annex, not the file itself",
            "Fetch the file: git annex get {name}",
        ),
        (rb"PK\x03\x04.*(xl/|docProps/.*sheet)", WORKBOOK, SAVE_AS),
        (rb"PK\x03\x04.*word/", "a Word document", SAVE_AS),
        (
            rb"PK\x03\x04.*application/vnd\.oasis\.opendocument",
            "an OpenDocument file",
            SAVE_AS,
        ),
        (rb"PK\x03\x04.*docProps/", WORKBOOK, SAVE_AS),
        (rb"PK(\x03\x04|\x05\x06)", "a zip archive", PACKED.replace("{suffix}", ".zip")),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", SAVE_AS),
        (rb"\x1f\x8b\x08", "packed by gzip", PACKED.replace("{suffix}", ".gz")),
        (rb"\xfd7zXZ\x00", "packed by xz", PACKED.replace("{suffix}", ".xz")),
        (rb"BZh[1-9]1AY&SY", "packed by bzip2", UNPACK.replace("{command}", "bunzip2")),
        (rb"\x28\xb5\x2f\xfd", "packed by zstd", UNPACK.replace("{command}", "unzstd")),
        (rb"\x04\x22\x4d\x18", "packed by lz4", UNPACK.replace("{command}", "unlz4")),
        (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK.replace("{command}", "7z x")),
        (rb"Rar!\x1a\x07", "a RAR archive", UNPACK.replace("{command}", "unrar x")),
        (rb".{257}ustar", "a tar archive", UNPACK.replace("{command}", "tar -xf")),
        (
            rb"PAR1[\x00-\x1f\x80-\xff]",
            "a Parquet file",
            "Name it by what it is: mv {name} {stem}.parquet",
        ),
        (rb"ARROW1\x00\x00", "an Arrow file", "Write it as Parquet."),
        (rb"Obj\x01", "an Avro file", "Write it as Parquet or JSON lines."),
        (rb"ORC[\x00-\x08\x0e-\x1f\x80-\xff]", "an ORC file", "Write it as Parquet."),
        (rb"SQLite format 3\x00", "an SQLite database", "Export its table as CSV."),
        (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", "Write its table as Parquet or CSV."),
        (rb"\x93NUMPY", "a NumPy array", "Write the texts as CSV or JSON lines."),
        (rb"\x80[\x02-\x05][\x95c}\]]", "a Python pickle", "Write the texts as CSV or Parquet."),
        (rb"%PDF-", "a PDF document", "Copy the texts into a CSV file."),
        (rb"\{\\rtf", "an RTF document", "Save it as plain text in UTF-8."),
        (rb"(\x89PNG|\xff\xd8\xff|GIF8[79]a)", "an image", "Name the file with the texts."),
        (
            rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)\b",
            "a web page (HTML)",
            "Download the file itself, such as by its Raw or Download button.",
        ),
        (rb"(\xef\xbb\xbf)?\s*<\?xml\b", "an XML file", "Write its texts as CSV or JSON lines."),
    )
)


def what_is(start: bytes) -> tuple[str, str]:
    """The kind of file by its first bytes, and advice with {name} and {stem} in it; empty for text.

    Args:
        start: The first `LOOKED_AT` bytes, or all of a shorter file.
    """
    start = start[:LOOKED_AT]
    lowered = start.lower()
    for pattern, what, advice in SIGNATURES:
        if pattern.match(start) or ("HTML" in what and pattern.match(lowered)):
            return what, advice
    return "", ""


def check_signature(start: bytes, path: Path, name: str = "") -> None:
    """Refuse a file of text that is something else by its first bytes.

    Args:
        start: The first bytes of its unpacked content.
        path: The file.
        name: The file inside of it, where it is packed.

    Raises:
        DataError: Says what it is, and what to do.
    """
    what, advice = what_is(start)
    inner = name or path.name
    if what.startswith("a zip") or what == WORKBOOK:
        ending = PurePosixPath(inner).suffix.lower()
        what, advice = (ENDINGS[ending], SAVE_AS) if ending in ENDINGS else (what, advice)
    if name and advice.startswith("Name it"):
        advice = "Unpack it, and name the file that it holds"
    if what:
        bare = path.with_suffix("") if path.suffix else path
        step = advice.format(name=shlex.quote(str(path)), stem=shlex.quote(str(bare)))
        where = f"{path}: the file {inner!r} inside" if name and name != path.name else f"{path}"
        raise DataError(f"{where} is {what} by its first bytes. {step.rstrip('.')}.")
