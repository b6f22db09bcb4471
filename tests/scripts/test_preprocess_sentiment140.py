"""The shell script gives the very rows that `linnet prepare` trains and validates on."""

import csv
import gzip
import json
import lzma
import os
import random
import shutil
import subprocess
import zipfile
from html.entities import html5
from pathlib import Path

import pytest

from linnet.config import load_config
from linnet.data import prepare, read_split

SCRIPTS = Path(__file__).parents[2] / "scripts"
SCRIPT = SCRIPTS / "preprocess_sentiment140.sh"

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "awk", "iconv", "xz", "unzip"))),
    reason="needs sh, awk, iconv, xz and unzip",
)

# Texts on which two programs could part: numbers that are equal, quotes, entities, control characters, spaces.
ODD = [
    "1", "1.0", "+1", "01", "1e0", " 1 ",
    'say "hi", "you"', '","', '""', "a\\b", "\\", "\\n", "tab\there", "a\rb", "a\x0bb\x0cc", "a\x1cb\x1fc",
    "nbsp\xa0here", "next\x85line", "gone\x7fhere\x80\x9f", "\x01\x02", "\xa0", "\xad", "\xad \xad", "a\xad",
    "NUL\0here", "",
    "&lt;3", "&amp;lt;3", "&amp;amp;amp;quot;q&quot;", "&amp;#38;#38;gt;", "tom&jerry; &heart; &hearts;",
    "tired&not happy",
    "&amp;copy=2", "&copy;", "&#9829 &#9835; &#x266b;", "&#039;", "&#39", "&nbsp;", "x&nbsp;&nbsp;y",
    "&#160;&#32;", "&#173;",
    "&", "&&", "&;", "&#;", "&#x;", "& amp;", "&AMP;lt;", "&Eacute;t&eacute;", "&mdash;&hellip;", "&alpha;", "&#233;",
    "caf\xe9", "\xe3\x81\x82", "^$.*[]{}()|?+", "%s %d", "'single'", "$HOME `id`", "a  b   c", "-n", "# no comment",
]  # fmt: skip


def write(path: Path, rows: list[tuple[str, str]], end: str = "\n") -> Path:
    with path.open("w", encoding="latin-1", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end)
        writer.writerows(
            (label, str(place), "Mon", "NO_QUERY", "eve", text)
            for place, (label, text) in enumerate(rows)
        )
    return path


def make_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    draw = random.Random(seed)
    rows = [
        (draw.choice("04"), f"tweet {draw.randrange(count)} {draw.choice(ODD)}")
        for _ in range(count)
    ]
    rows += [("4", text) for text in ODD] + [
        ("04"[number % 2], text * 2) for number, text in enumerate(ODD)
    ]
    draw.shuffle(rows)
    return rows


def run(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | settings
    command = ["sh", SCRIPT, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=1500, env=environment
    )


def parsed(text: str) -> list[tuple[str, int]]:
    return [(row["text"], row["label"]) for row in map(json.loads, text.splitlines())]


def prepared(source: Path, directory: Path, sample: int, seed: int = 42) -> list[tuple[str, int]]:
    prepare(
        load_config(
            None,
            {
                "data.source": str(source),
                "data.sample": sample,
                "data.seed": seed,
                "data.repair": False,
            },
        ),
        directory,
    )
    names = ("train", "validation") if sample else ("train", "validation", "test")
    splits = [read_split(directory, name) for name in names]
    return [row for split in splits for row in zip(split.texts, split.labels.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("sample", "seed", "end"), [(0, 42, "\n"), (100, 42, "\n"), (300, 7, "\r\n"), (33, 10**9, "\n")]
)
def test_gives_the_rows_of_prepare(tmp_path: Path, sample: int, seed: int, end: str) -> None:
    source = write(tmp_path / "tweets.csv", make_rows(600), end)
    done = run("-n", sample, "-s", seed, "-o", tmp_path / "out.jsonl", source)
    assert done.returncode == 0, done.stderr
    rows = parsed((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert sorted(rows) == sorted(prepared(source, tmp_path / "splits", sample, seed))
    assert len(rows) == sample or not sample
    assert f"rows in: {len(make_rows(600))}\n" in done.stderr


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(tmp_path: Path) -> None:
    source = write(tmp_path / "tweets.csv", make_rows(600))
    small, large = (parsed(run("-n", size, source).stdout) for size in (100, 200))
    for label in (0, 1):
        first, second = ([row for row in rows if row[1] == label] for rows in (small, large))
        assert second[: len(first)] == first


def test_reads_every_packing(tmp_path: Path) -> None:
    source = write(tmp_path / "tweets.csv", make_rows(100))
    expected = run("-n", 50, source).stdout
    content = source.read_bytes()
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(content))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "c d.zip", "w") as archive:
        archive.writestr("tweets.csv", content)
        archive.writestr("__MACOSX/._tweets.csv", b"shadow")
    for name in ("a.csv.xz", "b.csv.gz", "c d.zip"):
        assert run("-n", 50, tmp_path / name).stdout == expected != ""


@pytest.mark.skipif(not shutil.which("gawk"), reason="needs a second awk, gawk")
def test_another_awk_gives_the_same(tmp_path: Path) -> None:
    source = write(tmp_path / "tweets.csv", make_rows(300))
    (tmp_path / "awk").symlink_to(str(shutil.which("gawk")))
    assert (
        run("-n", 100, source, PATH=f"{tmp_path}:{os.environ['PATH']}").stdout
        == run("-n", 100, source).stdout
    )


GOOD = "".join(
    f'"{number % 2 * 4}","1","d","q","u","text {number}"\n' for number in range(20)
).encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.txt", GOOD, "expected a .csv, .csv.gz, .csv.xz or .zip file"),
        ("a.csv", GOOD + b'"0","1","d","q","u"\n', "row 21: expected six quoted fields"),
        ("a.csv", GOOD + b'"0","1","d","q","u","never closed\n', "row 21: expected six quoted fields"),
        ("a.csv", GOOD + b'"0","1","d","q","u","a"b"\n', "row 21: expected six quoted fields"),
        ("a.csv", GOOD + b'0,1,d,q,u,text\n', "row 21: expected six quoted fields"),
        ("a.csv", b"text,label\na,0\n", "row 1: expected six quoted fields"),
        ("a.csv", GOOD + b'"2","1","d","q","u","neutral"\n', "row 21: expected the label 0 or 4, got 2"),
        ("a.csv", GOOD + b'"0","1","d","q","u","e&#769;"\n', "row 21: the entity of U+0301 needs more of Unicode"),
        ("a.csv", GOOD + b'"0","1","d","q","u","&bne;"\n', "row 21: the entity of U+20E5 needs more of Unicode"),
        ("a.csv", GOOD + b'"0","1","d","q","u","&#8203;"\n', "row 21: the entity of U+200B needs more of Unicode"),
        ("a.csv", GOOD.replace(b'"4"', b'"0"'), "expected at least 3 usable rows of the class positive, found 0"),
        ("a.csv.xz", lzma.compress(GOOD * 1000)[:-20], "stopped at: unpack"),
        ("a.csv.gz", gzip.compress(GOOD * 1000, mtime=0)[:-20], "stopped at: unpack"),
        ("a.zip", b"no zip", "expected exactly one file inside"),
    ],
)  # fmt: skip
def test_what_it_can_not_do_it_says_and_writes_nothing(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = run("-o", tmp_path / "out.jsonl", tmp_path / name, TMPDIR=str(tmp_path))
    assert done.returncode == 3
    assert message in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "arguments", [[], ["-n", "many", "a.csv"], ["-n", "-1", "a.csv"], ["-x", "a.csv"], ["a", "b"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_no_such_file(tmp_path: Path) -> None:
    done = run(tmp_path / "none.csv")
    assert (done.returncode, done.stdout) == (3, "")
    assert "does not exist" in done.stderr


def test_knows_every_entity() -> None:
    lines = (SCRIPTS / "entities.tsv").read_text().splitlines()
    table = {
        name: "".join(chr(int(code)) for code in codes.split())
        for name, codes in (line.split("\t") for line in lines)
    }
    assert table == {name: value for name, value in html5.items() if name.endswith(";")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    "LINNET_DATA" not in os.environ, reason="LINNET_DATA does not name the folder of real data"
)
@pytest.mark.parametrize("sample", [10_000, 0])
def test_gives_the_rows_of_prepare_on_the_real_file(tmp_path: Path, sample: int) -> None:
    source = Path(
        os.environ["LINNET_DATA"], "sentiment140", "training.1600000.processed.noemoticon.csv.xz"
    )
    done = run("-n", sample, "-o", tmp_path / "out.jsonl", source)
    assert done.returncode == 0, done.stderr
    rows = parsed((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    expected = prepared(source, tmp_path / "splits", sample)
    assert sorted(rows) == sorted(expected)
    filtering = [
        "sh",
        SCRIPTS / "filter.sh",
        "--label",
        "1",
        "--min-length",
        "40",
        "--pattern",
        "coffee",
    ]
    done = subprocess.run(
        [*filtering, tmp_path / "out.jsonl"], capture_output=True, encoding="utf-8", check=True
    )
    kept = [row for row in expected if row[1] == 1 and len(row[0]) >= 40 and "coffee" in row[0]]
    assert sorted(parsed(done.stdout)) == sorted(kept)
    assert kept
