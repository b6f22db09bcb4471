"""Files as people have them: each kind is read rightly by `prepare` and by `score`, or refused with advice."""

import gzip
import io
import json
import lzma
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.config import load_config
from linnet.data.clean.values import clean_value
from linnet.data.sources.columns import find_columns
from linnet.data.sources.open import open_table as open_raw
from linnet.errors import DataError, UsageError
from linnet.score.columns import Column
from linnet.score.table import open_table
from linnet.score.target import Target
from linnet.tables.columns import Asked
from linnet.tables.identify import identify
from linnet.tables.lines import plain_encoding
from linnet.tables.source import Reading, Source

ADDED = [Column("predicted_label", str, str)]
TEXTS = [f"the film number {n} was good" for n in range(30)]
LABELS = [("neg", "pos")[n % 2] for n in range(30)]
PAIRS = list(zip(TEXTS, LABELS, strict=True))
MARK = b"\xef\xbb\xbf"


def table(separator: str = ",", header: str = "text,label", end: str = "\n", **write) -> bytes:
    """Rows of text and label; `row` formats one."""
    row = write.get("row", "{text}{separator}{label}")
    lines = [
        row.format(n=n + 1, text=text, label=label, separator=separator)
        for n, (text, label) in enumerate(PAIRS)
    ]
    return "".join(line + end for line in ([header] if header else []) + lines).encode()


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def prepared(path: Path, **data: str) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Pairs of text and label as `prepare` reads them, and the notes."""
    overrides = {"source": str(path), **data}
    settings = load_config(overrides={f"data.{key}": value for key, value in overrides.items()})
    with open_raw(settings.data) as opened:
        columns = opened.table.columns
        places = find_columns(columns, data.get("text_column", ""), data.get("label_column", ""))
        rows = [
            (clean_value(row[places[0]], (), False)[0], row[places[1][0]])
            for _, row in opened.table.rows
        ]
        return rows, opened.table.notes


@dataclass
class Scored:
    texts: list[str]
    reasons: list[str]
    written: bytes
    notes: tuple[str, ...]


def scored(path: Path, out: str = "", labels: tuple[str, ...] = ("neg", "pos"), **score) -> Scored:
    """What `score` reads and writes; every answer is "x"."""
    config = load_config(overrides={f"score.{key}": value for key, value in score.items()}).score
    encoding = plain_encoding(config.encoding, "score.encoding")
    source = Source.find(path, config.format, empty=True)
    source = identify(source, Asked.of(config.text_column), encoding)
    target = Target.find(path.with_name("out") / out, source) if out else Target(Path("-"))
    with Reading(ahead=False).open(source) as stream:
        found = open_table(source, stream, target, config, ADDED, labels)
        parts = list(found.chunks(found.start))
        dumped = [found.dump(part, [["x"]] * len(part.texts)) for part in parts]
        written = found.head() + b"".join(dumped)
    texts = [text for part in parts for text in part.texts]
    rows = next(folder for folder in path.parents if folder.is_dir()) / "written"
    rows.write_bytes(written)
    if source.format != "parquet":
        assert found.count(rows) == len(texts)
    reasons = [reason for part in parts for reason in part.reasons]
    return Scored(texts, reasons, written, found.notes)


def check_both(path: Path, text: str = "", label: str = "") -> Scored:
    """Both modes read the pairs; gives what `score` wrote."""
    assert prepared(path, text_column=text, label_column=label)[0] == PAIRS
    found = scored(path, text_column=text)
    assert [" ".join(one.split()) for one in found.texts] == TEXTS
    assert set(found.reasons) == {""}
    return found


WELL_READ = {
    "pandas index": ("a.csv", table(header=",text,label", row="{n},{text},{label}")),
    "no name in the middle": ("a.csv", table(header="text,,label", row="{text},{n},{label}")),
    "no names behind": ("a.csv", table(header="text,label,,", row="{text},{label},,")),
    "marks": ("a.csv", MARK + table(end="\r\n")),
    "two marks": ("a.csv", MARK + MARK + table()),
    "a mark and quotes": ("a.csv", MARK + table(header='"text","label"', row='"{text}","{label}"')),
    "spaces in the header": ("a.csv", table(header='" text "," label "')),
    "CR CR LF": ("a.csv", table(end="\r\r\n")),
    "blank lines first": ("a.csv", b"\n  \r\n" + table()),
    "no last end": ("a.csv", table().rstrip(b"\n")),
    "mixed ends": ("a.csv", table().replace(b"\n", b"\r\n", 9)),
    "sep line": ("a.csv", b"sep=;\r\n" + table(";", "text;label", "\r\n")),
    "sep line with a mark": ("a.csv", MARK + b"sep=;\n" + table(";", "text;label")),
    "sep line of a tab": ("a.csv", b"sep=\t\n" + table("\t", "text\tlabel")),
    "sep line of a written tab": ("a.csv", b"sep=\\t\n" + table("\t", "text\tlabel")),
    "quoted sep line": ("a.csv", b'"sep=|"\n' + table("|", "text|label")),
    "sep line that a tool padded": ("a.csv", b"sep=,,\n" + table()),
    "a comma in a name": (
        "a.csv",
        table(";", "text;label;note, free", row="{text};{label};x"),
    ),
    "decimal commas": ("a.csv", table(";", "text;label;p", row="{text};{label};0,{n}")),
    "bars": ("a.csv", table("|", "text|label")),
    "tabs in a csv": ("a.csv", table("\t", "text\tlabel")),
    "commas in a tsv": ("a.tsv", table()),
    "space before quotes": ("a.csv", table(header="text, label", row='"{text}", "{label}"')),
    "R's row names": ("a.csv", table(header='"text","label"', row='"{n}","{text}","{label}"')),
    "R's row names, tabs": ("a.tsv", table("\t", "text\tlabel", row="r{n}\t{text}\t{label}")),
    "R's defaults": (
        "a.csv",
        table(header='"text" "label"', row='"{n}" "{text}" "{label}"'),
    ),
    "an end that the header lacks": ("a.csv", table(row="{text},{label},")),
    "tabs in a text file": ("a.txt", table("\t", "text\tlabel")),
    "tabs in a data file": ("a.data", table("\t", "label\ttext", row="{label}\t{text}")),
    "commas in a text file": ("a.txt", table()),
    "commas in a text file, names asked for": (
        "a.txt",
        table(header="body,kind"),
        "body",
        "kind",
    ),
    "an ending in capitals": ("A.CSV", table()),
    "no ending": ("rows", table("\t", "label\ttext", row="{label}\t{text}")),
    "a member with backslashes": ("a.zip", {"export\\train.csv": table()}),
    "a member among shadows": (
        "a.zip",
        {"data/": b"", "data\\": b"", "__MACOSX/data/._a.csv": b"x", "data/a.csv": table()},
    ),
    "gzip of another name": ("a.csv.gz", gzip.compress(table())),
    "a list": ("a.json", json.dumps([{"text": t, "label": n} for t, n in PAIRS]).encode()),
    "a list over lines": (
        "a.jsonl",
        MARK + json.dumps([{"text": t, "label": n} for t, n in PAIRS], indent=2).encode(),
    ),
    "objects over lines": (
        "a.json",
        "\n".join(json.dumps({"text": t, "label": n}, indent=1) for t, n in PAIRS).encode(),
    ),
    "objects on lines in .json": (
        "a.json",
        "\r\n".join(json.dumps({"text": t, "label": n}) for t, n in PAIRS).encode(),
    ),
    "objects in a text file": (
        "a.txt",
        "\n".join(json.dumps({"text": t, "label": n}) for t, n in PAIRS).encode(),
    ),
    "a packed list": (
        "a.json.xz",
        lzma.compress(json.dumps([{"text": t, "label": n} for t, n in PAIRS]).encode()),
    ),
}


@pytest.mark.parametrize("kind", WELL_READ)
def test_what_people_have_is_read_alike(tmp_path: Path, kind: str) -> None:
    name, content, *asked = WELL_READ[kind]
    path = tmp_path / name
    if isinstance(content, dict):
        with zipfile.ZipFile(path, "w") as archive:
            for member, one in content.items():
                archive.writestr(member, one)
    else:
        path.write_bytes(content)
    check_both(path, *asked)


def test_lines_of_text_are_no_table(tmp_path: Path) -> None:
    poem = put(tmp_path, "a.txt", b"a comment, so\nanother, well\na third, no\n")
    assert scored(poem).texts == ["a comment, so", "another, well", "a third, no"]
    assert scored(poem, "a.csv").written.startswith(b'text,predicted_label\n"a comment, so",x\n')
    ids = put(tmp_path, "b.txt", table(header="id,text", row="{n},{text}"))
    assert scored(ids).texts == TEXTS
    messages = put(tmp_path, "c.txt", table("\t", header="", row='{label}\t"{text}'))
    assert prepared(messages)[0] == [(f'"{text}', label) for text, label in PAIRS]
    notes = put(tmp_path, "d.txt", b"[note] one\n[note] two\n{three}\n")
    assert scored(notes).texts == ["[note] one", "[note] two", "{three}"]


def test_quotes_written_with_a_backslash(tmp_path: Path) -> None:
    row = '"she said \\"{text}\\", \\\\o/ twice",{label}'
    path = put(tmp_path, "a.csv", table(row=row))
    expected = [f'she said "{text}", \\o/ twice' for text in TEXTS]
    assert [text for text, _ in prepared(path)[0]] == expected
    found = scored(path, labels=('say "hi"', "pos"))
    assert found.texts == expected
    assert (
        found.written.splitlines()[1] == row.format(text=TEXTS[0], label=LABELS[0]).encode() + b",x"
    )
    # A backslash at the end of a quoted text of the usual kind is one.
    path = put(tmp_path, "b.csv", table(row='"C:\\{text}\\",{label}'))
    assert prepared(path)[0][0] == (f"C:\\{TEXTS[0]}\\", "neg")
    assert scored(path).texts[0] == f"C:\\{TEXTS[0]}\\"


@pytest.mark.parametrize(
    ("kind", "header", "first"),
    [
        ("sep line", b"sep=;\r\ntext;label;predicted_label\r\n", b"{};neg;x\r\n"),
        ("marks", MARK + b"text,label,predicted_label\r\n", b"{},neg,x\r\n"),
        ("two marks", MARK + b"text,label,predicted_label\n", b"{},neg,x\n"),
        ("CR CR LF", b"text,label,predicted_label\r\r\n", b"{},neg,x\r\r\n"),
        ("R's row names", b',"text","label",predicted_label\n', b'"1","{}","neg",x\n'),
        ("an end that the header lacks", b"text,label,,predicted_label\n", b"{},neg,,x\n"),
        ("tabs in a text file", b"text\tlabel\tpredicted_label\n", b"{}\tneg\tx\n"),
        ("blank lines first", b"\n  \r\ntext,label,predicted_label\n", b"{},neg,x\n"),
    ],
)
def test_what_is_written_is_as_it_was(
    tmp_path: Path, kind: str, header: bytes, first: bytes
) -> None:
    found = scored(put(tmp_path, *WELL_READ[kind]))
    assert found.written.startswith(header + first.replace(b"{}", TEXTS[0].encode()))


def test_a_mark_is_written_once_whatever_the_encoding_is_called(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", MARK + table(end="\r\n"))
    found = scored(path, encoding="utf-8-sig")
    assert found.written.count(MARK) == 1 and found.written.startswith(MARK + b"text,label")
    assert found.texts == TEXTS
    assert prepared(path, encoding="UTF-8-SIG")[0] == PAIRS


def test_a_header_or_none_where_there_is_no_name(tmp_path: Path) -> None:
    numbers = put(tmp_path, "numbers.csv", table(header="1,0"))
    check_both(numbers, "1", "0")
    bare = put(tmp_path, "bare.csv", table(header=""))
    check_both(bare, "0", "1")
    # The number of a label is no header.
    labels = put(tmp_path, "labels.csv", table(header="", row="1,{text}"))
    assert scored(labels, text_column="1").texts == TEXTS
    named = put(tmp_path, "named.csv", table())
    pairs, notes = prepared(named, text_column="0", label_column="1")
    assert pairs[0] == ("text", "label") and "looks like a header: it has 'text'" in notes[0]
    found = scored(named, text_column="0")
    assert found.texts[0] == "text" and found.notes == notes


def test_a_file_without_a_header_has_its_own_separator(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table(";", header=""))
    check_both(path, "0", "1")


def test_one_column_may_hold_commas(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", b"text\nwell, good\nno\nyes, very, good\n")
    found = scored(path)
    assert found.texts == ["well, good", "no", "yes, very, good"]
    assert found.written == b'text,predicted_label\n"well, good",x\nno,x\n"yes, very, good",x\n'


def test_names_of_rows_are_no_unquoted_commas(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", b"text,label\nwell, good,pos\nno, bad,neg\n")
    assert scored(path).reasons == ["too_many_fields"] * 2
    path = put(tmp_path, "a.csv", b"text,label\n" + b"well, good,pos\n" * 30)
    for read in (prepared, scored):
        with pytest.raises(DataError, match="every row has one field more than the header"):
            read(path)


def test_names_that_two_columns_have(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", table(header="id,text,id,label", row="1,{text},2,{label}"))
    with pytest.raises(DataError, match="'id' is in the header more than once"):
        prepared(path)
    assert scored(path).texts == TEXTS
    path = put(tmp_path, "a.csv", table(header="text,text", row="{text},{label}"))
    with pytest.raises(DataError, match="There are 2 columns 'text'"):
        scored(path)


def test_labelled_lines(tmp_path: Path) -> None:
    fasttext = put(tmp_path, "a.txt", table(header="", row="__label__{label} {text}"))
    found = scored(fasttext)
    assert found.texts == TEXTS and "begin with their labels (fasttext)" in found.notes[0]
    assert found.written.startswith(
        b"line,predicted_label\n__label__neg " + TEXTS[0].encode() + b",x\n"
    )
    trec = put(tmp_path, "b.txt", table(header="", row="NUM:date {text}"))
    assert scored(trec).texts == TEXTS
    words = put(tmp_path, "c.txt", table(header="", row="{label} {text}"))
    assert scored(words).texts == TEXTS
    # First words that are no labels of the model are part of the text.
    assert scored(words, labels=("a", "b")).texts[0] == f"neg {TEXTS[0]}"
    assert scored(fasttext, format="lines", labels=()).texts == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            table(end="\r"),
            r"carriage returns alone.*tr '\\r' '\\n' < .*a\.csv > lf-a\.csv",
        ),
        ("a.jsonl", b'{"text": "a"}\r{"text": "b"}\r', "carriage returns alone"),
        ("a.csv", b"PK\x03\x04 docProps/app.xml xl/workbook.xml", "is an Excel workbook"),
        ("a.xlsx", b"PK\x03\x04 whatever", "is an Excel workbook"),
        ("a.ods", b"PK\x03\x04 whatever", "is an OpenDocument spreadsheet"),
        ("a.csv", b"PK\x03\x04 rows.csv", r"is a zip archive.*mv .*a\.csv .*a\.csv\.zip"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "is an old Excel workbook"),
        ("a.csv", gzip.compress(table()), r"is packed by gzip.*mv .*a\.csv .*a\.csv\.gz"),
        ("a.csv", lzma.compress(table()), r"is packed by xz.*mv .*a\.csv .*a\.csv\.xz"),
        ("a.csv.bz2", b"BZh91AY&SY123", r"is packed by bzip2.*bunzip2 .*a\.csv\.bz2"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd123", r"is packed by zstd.*unzstd"),
        ("a.csv", b"PAR1\x15\x04 and more PAR1", r"is a Parquet file.*mv .*a\.csv .*a\.parquet"),
        ("a.csv", b"%PDF-1.7\n", "is a PDF document"),
        ("a.csv", b"\n<!DOCTYPE html>\n<html>", "is a web page"),
        (
            "a.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 2\n",
            "is a pointer of Git LFS.*git lfs pull",
        ),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 2\n",
            "is a pointer of Git LFS",
        ),
        ("a.jsonl", b"SQLite format 3\0", "is an SQLite database"),
        ("a.txt", b"\x80\x04\x95\x12", "is a Python pickle"),
        ("a.csv.gz", table(), r"is plain text, whatever its name says.*mv .*a\.csv\.gz .*a\.csv"),
        ("a.csv.gz", b"PK\x03\x04 rows.csv", "is a zip archive by its first bytes, not .gz"),
        ("a.json", '[{"text": "a"}]'.encode("utf-16"), "is UTF-16. Convert it: iconv -f UTF-16"),
        ("a.csv", b" \n \n\n", "is empty: it holds no row"),
        ("a.csv", MARK, "is empty: it holds no row"),
        ("a.json", b'[{"text": "a"}, {"text": "b', "value 2: not JSON"),
        (
            "a.json",
            b'{"data": [{"text": "a"}, {"text": "b"}]}',
            r"jq -c '\.\[\"data\"\]\[\]' .*a\.json > a\.jsonl",
        ),
        (
            "a.json",
            b'{"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}',
            "orient='records', lines=True",
        ),
    ],
)
def test_what_is_refused_by_both(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = put(tmp_path, name, content)
    for read in (prepared, scored):
        with pytest.raises(DataError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_the_advice_for_carriage_returns_works(tmp_path: Path) -> None:
    path = put(tmp_path, "a b.csv", table(end="\r"))
    with pytest.raises(DataError) as caught:
        prepared(path)
    command = str(caught.value).partition("Convert it: ")[2]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    check_both(tmp_path / "lf-a b.csv")


def test_a_zip_of_several_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("days\\1.csv", table())
        archive.writestr("days\\2.csv", table())
    for read in (prepared, scored):
        with pytest.raises(DataError, match=r"found 2 .*The first is .*a\.zip/days/1\.csv"):
            read(path)
    check_both(path / "days/1.csv")
    with pytest.raises(DataError, match=r"there is no 'days/3\.csv' inside"):
        scored(path / "days/3.csv")


def test_the_rows_of_a_document_become_lines(tmp_path: Path) -> None:
    rows = [{"text": "good {day}", "n": 1.50}, {"text": 'bad\n[so], "x"', "list": [1, {"a": []}]}]
    path = put(tmp_path, "a.json", json.dumps([*rows, 7, "x"], indent=4).encode())
    found = scored(path, "a.jsonl")
    assert found.texts == ["good {day}", 'bad\n[so], "x"', None, None]
    assert found.reasons == ["", "", "not_an_object", "not_an_object"]
    written = [json.loads(line) for line in found.written.splitlines()]
    assert written[:2] == [{**row, "predicted_label": "x"} for row in rows]
    assert written[2:] == [
        {"line": "7", "predicted_label": "x"},
        {"line": '"x"', "predicted_label": "x"},
    ]
    with pytest.raises(UsageError, match=r"ends in \.jsonl or \.ndjson"):
        scored(path, "a.csv")


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_document_is_read_in_pieces_and_from_any_position(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linnet.tables import json_values

    monkeypatch.setattr(json_values, "CHUNK", piece)
    content = (
        MARK
        + json.dumps(
            [{"text": f"é{n} [1], {{", "n": n} for n in range(40)], ensure_ascii=False, indent=1
        ).encode()
    )
    every = list(json_values.read_values(io.BytesIO(content), Path("a.json")))
    assert [json.loads(raw)["n"] for raw, _ in every] == list(range(40))
    for place in (0, 13, 38):
        end = every[place][1]
        rest = json_values.read_values(io.BytesIO(content[end:]), Path("a.json"), end)
        assert list(rest) == every[place + 1 :]


def test_parquet_moments_and_bytes_anywhere(tmp_path: Path) -> None:
    columns = {
        "text": pa.array([text.encode() for text in TEXTS], pa.binary()),
        "label": pa.array([label.encode() for label in LABELS], pa.large_binary()),
        "when": pa.array([{"at": None}] * 30, pa.struct([("at", pa.timestamp("ns"))])),
        "tags": pa.array([[b"x"]] * 30, pa.list_(pa.binary())),
    }
    values = pa.array([1_700_000_000_000_000_001] * 30, pa.int64()).cast(pa.timestamp("ns"))
    columns["seen"] = pa.ListArray.from_arrays(pa.array(range(31), pa.int32()), values)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    config = load_config(overrides={"data.source": str(path)})
    with open_raw(config.data) as opened:
        _, first = next(opened.table.rows)
    assert first == (TEXTS[0], "neg", {"at": None}, ["x"], ["2023-11-14 22:13:20.000000001"])
    check_both(path)
    pq.write_table(pa.table({"text": pa.array([b"caf\xe9", b"good"])}), path)
    found = scored(path)
    assert found.reasons == ["wrong_encoding", ""] and found.texts[1] == "good"


def test_sentiment140_is_latin_1_only_where_it_is_not_utf_8(tmp_path: Path) -> None:
    row = '"0","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","n\xe90","caf\xe9 {}"\n'
    content = "".join(row.format(n) for n in range(30))
    for encoding in ("utf-8", "latin-1"):
        path = put(tmp_path, f"{encoding}.csv", content.encode(encoding))
        config = load_config(overrides={"data.source": str(path)})
        with open_raw(config.data) as opened:
            assert opened.table.dialect["encoding"] == encoding
            assert next(opened.table.rows)[1][4:] == ["n\xe90", "caf\xe9 0"]
