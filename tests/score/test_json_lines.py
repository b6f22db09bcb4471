"""JSON lines: every byte of an object stays, and its predictions are keys behind its own."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.errors import DataError, UsageError
from linnet.tables.json_lines import LosslessObjects

KEYS = ["predicted_label", "probability", "truncated", "reason"]


def test_objects_stay_as_they_are(scored) -> None:
    rows = [
        b'{"text": "a good day", "n": 1.0, "big": 12345678901234567890123}',
        b'{ "n":1e2 ,"text":"caf\\u00e9 \xf0\x9f\x98\x80" , "list": [1, {"a": null}] }',
        b'{"text": "' + b"x" * 1_000_000 + b'"}',
    ]
    content, done = scored("a.jsonl", b"\r\n".join(rows))
    lines = content.split(b"\r\n")
    assert len(lines) == 3
    for row, line in zip(rows, lines, strict=True):
        assert line.startswith(row.rstrip(b" }")[:-2])
        before = json.loads(row)
        after = json.loads(line)
        assert {key: after[key] for key in before} == before
        assert list(after)[len(before) :] == KEYS
        assert after["reason"] is None and 0.5 <= after["probability"] <= 1
    assert done.scored == 3


BAD = {
    b"{}": "missing_text",
    b'{"text": null}': "missing_text",
    b'{"text": 7}': "not_text",
    b'{"text": ["good"]}': "not_text",
    b'{"text": ""}': "empty_text",
    b'{"text": "\\ud83d"}': "lone_surrogate",
    b'{"text": "a\\u0000"}': "nul_byte",
    b'{"text": "caf\xe9"}': "wrong_encoding",
    b'{"text": "good", "text": "bad"}': "key_twice",
    b"": "blank_line",
    b"  ": "blank_line",
    b"{": "not_json",
    b'{"text": "good"} x': "not_json",
    b"[" * 100_000: "not_json",
    b"9" * 5000: "not_json",
    b'"\xff': "not_json",
    b"[1]": "not_an_object",
    b"null": "not_an_object",
}


@pytest.mark.parametrize(("row", "reason"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_row_is_kept_and_told(scored, row: bytes, reason: str) -> None:
    content, done = scored("a.jsonl", b'{"text": "good"}\n' + row + b'\n{"text": "bad"}')
    lines = content.split(b"\n")
    assert len(lines) == 3
    told = json.loads(lines[1].decode("utf-8", "surrogateescape"))
    assert [told[key] for key in KEYS] == [None, None, None, reason]
    if reason in ("not_json", "not_an_object", "blank_line"):
        assert told["line"].encode("utf-8", "surrogateescape") == row
    else:
        assert lines[1].startswith(row[:-1])
    assert (done.rows, done.scored, done.reasons) == (3, 2, {reason: 1})


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=8))
def test_any_bytes_give_as_many_objects(scored, lines: list[bytes]) -> None:
    content, done = scored(
        "a.jsonl", b'{"text": "good"}\n' + b"".join(line + b"\n" for line in lines), chunk_size=3
    )
    out = [
        json.loads(line.decode("utf-8", "surrogateescape")) for line in content.split(b"\n")[:-1]
    ]
    assert len(out) == done.rows == len(lines) + 1
    assert all(set(KEYS) <= set(value) for value in out)


def test_several_keys_are_one_text(scored) -> None:
    joined, _ = scored("a.jsonl", b'{"title": "good", "body": "film"}', text_column="title,body")
    plain, _ = scored("a.jsonl", b'{"text": "good film"}')
    assert json.loads(joined)["probability"] == json.loads(plain)["probability"]


def test_several_labels_are_a_list(scored, tone_bundle: Path) -> None:
    content, _ = scored("a.jsonl", b'{"text": "bad rain hate"}\n', bundle=tone_bundle)
    assert json.loads(content)["predicted_labels"] == ["blame", "weather"]


def test_nothing(scored) -> None:
    assert scored("a.jsonl", b"")[0] == b""


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"text,label\n1,2\n", DataError, "none of its first 2 lines is a JSON object"),
        (b'{"words": "good"}', DataError, "No column could be recognised as the text"),
        (b'{"text": "good", "reason": "so"}', UsageError, "already has a column 'reason'"),
        (
            b'{"text": "good"}\n' * 1500 + b'{"text": "good", "reason": "so"}',
            UsageError,
            "ends at byte 25,532,",
        ),
    ],
)
def test_what_is_refused(scored, content: bytes, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        scored("a.jsonl", content)


def test_long_rows_are_not_all_read_to_find_the_keys() -> None:
    row = b'{"text": "' + b"x" * 1_000_000 + b'"}\n'
    stream = io.BytesIO(row * 100)
    LosslessObjects(stream, Path("a.jsonl"), "jsonl", "utf-8")
    assert stream.tell() < 20_000_000
