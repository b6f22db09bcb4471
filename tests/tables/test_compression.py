"""Packed files give their bytes back, or are refused before they fill a memory or a disk."""

import errno
import gzip
import io
import lzma
import random
import string
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.config import load_config
from linnet.data.sources.open import open_table
from linnet.errors import DataError
from linnet.tables.compression import find_member, unpacked

MEGABYTE = b"text,label\n" + b"good day,1\n" * 95_324
PACK = {".gz": gzip.compress, ".xz": lzma.compress}
WAY_OUT = "unpacks to more than .*unpack it yourself and name the unpacked file"


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write(path: Path, content: bytes) -> Path:
    if path.suffix == ".zip":
        return zipped(path, {"rows.csv": content})
    path.write_bytes(PACK[path.suffix](content))
    return path


def read(path: Path) -> int:
    member = find_member(path) if path.suffix == ".zip" else ""
    size = 0
    with unpacked(path, path.suffix, member) as (stream, beneath):
        while chunk := stream.read(1 << 16):
            size += len(chunk)
        assert 0 < beneath.tell() <= path.stat().st_size
    return size


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.tables.compression.MAX_BYTES", 5 << 20)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_a_bomb_is_refused_and_what_only_resembles_one_is_read(
    tmp_path: Path, small_limits: None, suffix: str
) -> None:
    path = write(tmp_path / f"rows.csv{suffix}", MEGABYTE * 4)
    assert path.stat().st_size * 100 < 4 << 20  # packed as well as a bomb, and small
    assert read(path) == len(MEGABYTE) * 4
    path = write(tmp_path / f"rows.csv{suffix}", MEGABYTE * 6)
    with pytest.raises(DataError, match=WAY_OUT):
        read(path)
    texts = random.Random(0).randbytes(200_000).hex().encode() * 3
    assert read(write(tmp_path / f"rows.csv{suffix}", texts)) == len(texts)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_bomb_behind_an_honest_beginning(tmp_path: Path, small_limits: None, suffix: str) -> None:
    pack = PACK[suffix]
    path = tmp_path / f"rows.csv{suffix}"
    honest = random.Random(0).randbytes(30_000).hex().encode()
    # The rest has to be a hundred times the whole, which the honest part makes larger.
    path.write_bytes(pack(honest) + pack(MEGABYTE) * 20)
    limit = max(5 << 20, 100 * path.stat().st_size)
    total = len(honest) + 20 * len(MEGABYTE)
    assert total > limit
    with unpacked(path, suffix, "") as (stream, _), pytest.raises(DataError, match=WAY_OUT):
        while stream.read(1 << 16):
            assert stream.tell() <= limit + (2 << 20)


def test_a_parquet_file_packed_once_more_can_still_be_sought_in(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "rows.parquet")
    path = write(tmp_path / "rows.parquet.gz", (tmp_path / "rows.parquet").read_bytes())
    with unpacked(path, ".gz", "") as (stream, _):
        assert pq.ParquetFile(stream).read()["text"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_in_the_middle(tmp_path: Path, suffix: str, share: float) -> None:
    path = write(tmp_path / f"rows.csv{suffix}", random.Random(0).randbytes(200_000).hex().encode())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="is cut or damaged"):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip", ".parquet"])
def test_damage_anywhere_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    draw = random.Random(0)
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        pq.write_table(
            pa.table(
                {"text": [f"text {number}" for number in range(200)], "label": ["a", "b"] * 100}
            ),
            path,
        )
    elif suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:  # whose errors are OSErrors
            archive.writestr("rows.csv", MEGABYTE[:20_000])
    else:
        path = write(tmp_path / f"rows.csv{suffix}", MEGABYTE[:20_000])
    whole = path.read_bytes()
    for _ in range(300):
        content = bytearray(whole)
        for place in draw.choices(range(len(whole)), k=draw.randint(1, 3)):
            content[place] = draw.randrange(256)
        path.write_bytes(content[: draw.choice([len(whole), draw.randint(1, len(whole))])])
        try:
            with open_table(load_config(None, {"data.source": str(path)}).data) as opened:
                for _ in opened.table.rows:
                    pass
        except DataError as error:
            assert "\n" not in str(error)


def test_what_goes_wrong_beside_the_reading_is_not_the_files_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv.gz", MEGABYTE)
    with pytest.raises(OSError, match="No space left"), unpacked(path, ".gz", ""):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    path = zipped(tmp_path / "rows.zip", {"rows.csv": MEGABYTE})
    content = path.read_bytes()
    size = struct.pack("<I", len(MEGABYTE))
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<I", 1000)))
    with pytest.raises(DataError, match="is cut or damaged"):
        read(path)
    path.write_bytes(content.replace(size, struct.pack("<I", (1 << 32) - 2)))
    with pytest.raises(DataError, match=WAY_OUT):
        read(path)


def test_entries_of_a_zip_that_overlap(tmp_path: Path) -> None:
    path = zipped(tmp_path / "rows.zip", {"rows.csv": b"x" * 1000})
    with zipfile.ZipFile(path, "a") as archive:
        twin = zipfile.ZipInfo("other.csv")
        original = archive.getinfo("rows.csv")
        for name in (
            "compress_type",
            "CRC",
            "compress_size",
            "file_size",
            "header_offset",
            "flag_bits",
        ):
            setattr(twin, name, getattr(original, name))
        archive.filelist.append(twin)
        archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    with pytest.raises(DataError, match="expected exactly one data file inside, found 2"):
        read(path)


@pytest.mark.parametrize(
    "name", ["../a.csv", "/a.csv", "a/../../b.csv", "C:/a.csv", "\\\\host\\a.csv", "..\\a.csv"]
)
def test_a_path_that_leads_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="a path that leads out of it"):
        find_member(zipped(tmp_path / "rows.zip", {name: MEGABYTE}))


def test_a_zip_of_nothing(tmp_path: Path) -> None:
    for members in ({}, {".hidden.csv": MEGABYTE}, {"__MACOSX/rows.csv": MEGABYTE}):
        with pytest.raises(DataError, match="has no data file"):
            find_member(zipped(tmp_path / "rows.zip", members))


@pytest.mark.parametrize(
    ("place", "value", "message"), [(8, 1, "encrypted"), (10, 97, "a method that Python")]
)
def test_a_zip_that_can_not_be_unpacked(
    tmp_path: Path, place: int, value: int, message: str
) -> None:
    path = zipped(tmp_path / "rows.zip", {"rows.csv": MEGABYTE})
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02")
    content[start + place] = value
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"the file inside is .*{message}.*Unpack it first"):
        find_member(path)


SCRIPT = """
import sys
from linnet.cli.main import main
code = main(["prepare", "--data", sys.argv[1], "--out", sys.argv[2], "--set", "model.name_or_path='scratch'"])
# Not ru_maxrss, which begins with the size of the process that started this one.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak) // 1024, file=sys.stderr)
sys.exit(code)
"""


def run(source: Path) -> tuple[int, str, int]:
    command = [sys.executable, "-c", SCRIPT, source, source.parent / "splits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    said, peak = done.stderr.rsplit("peak", 1)
    return done.returncode, said, int(peak)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_real_bomb_takes_neither_memory_nor_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.csv{suffix}"
    path.write_bytes(PACK[suffix](MEGABYTE * 16) * 70)
    code, said, peak = run(path)
    assert (code, said.count("\n")) == (3, 1)
    assert "unpack it yourself" in said
    assert peak < 700
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_ten_million_commas_take_no_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("," * 10_000_000 + "\n")
    code, said, peak = run(path)
    assert (code, said.count("\n")) == (3, 1)
    assert "10,000,001 columns" in said
    assert peak < 1000
    lines = "".join(f"text {number},{number % 2}\n" for number in range(60))
    path.write_text("text,label\n" + lines + "," * 10_000_000 + "\n")
    code, said, peak = run(path)
    assert code == 0, said
    assert peak < 1000


@pytest.mark.slow
def test_texts_of_a_megabyte_take_no_gigabytes(tmp_path: Path) -> None:
    draw = random.Random(0)
    path = tmp_path / "rows.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for number in range(60):
            file.write(
                " ".join("".join(draw.choices(string.ascii_lowercase, k=8)) for _ in range(110_000))
                + f",{number % 2}\n"
            )
    code, said, peak = run(path)
    assert code == 0, said
    assert peak < 1200


def test_plain_files_are_not_wrapped(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(MEGABYTE)
    with unpacked(path, "", "") as (stream, beneath):
        assert stream is beneath
        assert isinstance(stream, io.BufferedReader)
