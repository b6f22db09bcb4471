"""Parquet: every column stays as it is, types and all, and predictions stand behind them."""

import io
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linnet.errors import DataError, UsageError
from linnet.score import parquet


def packed(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def table(texts: list, kind: pa.DataType | None = None) -> pa.Table:
    count = len(texts)
    columns = {
        "id": pa.array(range(count), pa.int16()),
        "text": pa.array(texts, kind or pa.string()),
        "when": pa.array([None, *range(1, count)], pa.timestamp("ns")),
        "nested": pa.array([{"a": [1, None]}] * count, pa.struct([("a", pa.list_(pa.int8()))])),
        "kind": pa.array(["x", "y"] * (count // 2) + ["x"] * (count % 2)).dictionary_encode(),
    }
    return pa.table(columns).replace_schema_metadata({"made": "by a test"})


def test_columns_stay_as_they_are(scored) -> None:
    before = table(["good day", None, "", "a\0b", "bad " * 100, "hate rain"])
    content, done = scored("a.parquet", packed(before), chunk_size=4)
    after = pq.read_table(io.BytesIO(content))
    assert after.select(before.column_names).equals(before)
    assert after.schema.metadata[b"made"] == b"by a test"
    assert after.schema.names[5:] == ["predicted_label", "probability", "truncated", "reason"]
    assert after["predicted_label"].to_pylist() == [
        "positive",
        None,
        None,
        None,
        "negative",
        "negative",
    ]
    assert after["truncated"].to_pylist() == [False, None, None, None, True, False]
    assert after["reason"].to_pylist() == [
        None,
        "missing_text",
        "empty_text",
        "nul_byte",
        None,
        None,
    ]
    assert (done.rows, done.scored, done.truncated) == (6, 3, 1)


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_other_kinds_of_strings(scored, kind: pa.DataType) -> None:
    try:
        file = packed(table(["good day", "bad rain"], kind))
    except pa.ArrowNotImplementedError:
        pytest.skip(f"pyarrow {pa.__version__} can't write {kind} to Parquet")
    content, done = scored("a.parquet", file)
    assert pq.read_table(io.BytesIO(content))["predicted_label"].to_pylist() == [
        "positive",
        "negative",
    ]
    assert done.scored == 2


def test_bytes_that_are_no_utf8(scored) -> None:
    text = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\4\0\0\0\10\0\0\0"), pa.py_buffer(b"caf\xe9good")
    )
    content, done = scored("a.parquet", packed(pa.table({"text": text})))
    assert pq.read_table(io.BytesIO(content))["reason"].to_pylist() == ["wrong_encoding", None]
    assert done.scored == 1


def test_numbers_are_no_text(scored) -> None:
    content, _ = scored("a.parquet", packed(table([1, 2], pa.int64())))
    assert pq.read_table(io.BytesIO(content))["reason"].to_pylist() == ["not_text", "not_text"]


def test_several_labels_are_a_list(scored, tone_bundle: Path) -> None:
    content, _ = scored("a.parquet", packed(table(["bad rain hate", "the"])), bundle=tone_bundle)
    assert pq.read_table(io.BytesIO(content))["predicted_labels"].to_pylist() == [
        ["blame", "weather"],
        [],
    ]


def test_long_texts_make_small_parts(scored, monkeypatch: pytest.MonkeyPatch) -> None:
    before = table([f"good {number}" for number in range(50)])
    whole, _ = scored("a.parquet", packed(before))
    monkeypatch.setattr(parquet, "CHUNK_BYTES", 100)
    parts, done = scored("a.parquet", packed(before))
    assert pq.read_metadata(io.BytesIO(parts)).num_row_groups > 10
    names = ["id", "text", "predicted_label"]
    assert (
        pq.read_table(io.BytesIO(parts))
        .select(names)
        .equals(pq.read_table(io.BytesIO(whole)).select(names))
    )
    assert done.rows == 50


def test_no_rows(scored) -> None:
    content, done = scored("a.parquet", packed(table(["good"]).slice(0, 0)))
    assert pq.read_table(io.BytesIO(content)).num_rows == done.rows == 0


def damaged(content: bytes) -> bytes:
    return content[:4] + b"\xff" * 200 + content[204:]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"PAR1 but no more", DataError, "is not a Parquet file"),
        (b"", DataError, "is not a Parquet file"),
        (packed(pa.table({"reason": ["a"], "text": ["b"]})), UsageError, "already has a column 'reason'"),
        (packed(pa.table({"words": ["a"]})), DataError, "No column could be recognised as the text"),
        (damaged(packed(table([f"good {n}" for n in range(999)]))), DataError, "is damaged: .* Write it again"),
    ],
)  # fmt: skip
def test_what_is_refused(scored, content: bytes, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        scored("a.parquet", content)


def test_without_pyarrow_a_sentence(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(packed(table(["good"])))
    code = "import sys; sys.modules['pyarrow'] = None; from linnet.cli.main import main; sys.exit(main(sys.argv[1:]))"
    out = str(tmp_path / "out.parquet")
    command = [
        sys.executable,
        "-c",
        code,
        "score",
        str(bundle),
        str(tmp_path / "a.parquet"),
        "--out",
        out,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith("Install it with: pip install 'linnet-text[parquet]'\n")
