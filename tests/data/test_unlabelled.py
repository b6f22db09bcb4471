"""Texts without labels: read from any file, each once, none like those held out, every row accounted for."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.config import load_config
from linnet.data import Split, read_unlabelled
from linnet.errors import DataError
from linnet.text import clean


def split(name, *texts, mask=()):
    return Split(name, list(texts), np.zeros(len(texts), np.int64), ("no", "yes"), mask=mask)


def read(file, train=(), test=(), sample=0, mask=(), **data):
    overrides = {"data.source": str(file)} | {f"data.{key}": value for key, value in data.items()}
    config = load_config(overrides=overrides)
    return read_unlabelled(
        config.data, split("train", *train, mask=mask), [split("test", *test)], sample, 3
    )


def written(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "data"),
    [
        ("a.csv", "id,tweet\n1,one text\n2,another\n", {}),
        ("a.csv", "id,body,target\n1,one text,\n2,another,x\n", {"text_column": "body"}),
        ("a.csv", "1,one text\n2,another\n", {"text_column": "1"}),
        ("a.csv", "t,b\none,text\nanother,\n", {"text_column": "t,b"}),
        ("a.tsv", "text\tn\none text\t1\nanother\t2\n", {}),
        ("a.jsonl", '{"text": "one text"}\n{"text": "another", "label": ["x"]}\n', {}),
        ("a.txt", "one text\r\n  another\n", {}),
        (
            "a.csv",
            '"0","9","Mon","NO_QUERY","me","one text"\n"4","9","Mon","NO_QUERY","you","another"\n',
            {},
        ),
        ("a.txt", "__label__x one text\n__label__y __label__x another\n", {}),
        ("texts", "one text\nanother", {}),
        ("a.txt.gz", gzip.compress(b"one text\nanother\n", mtime=0), {}),
        ("a.txt", "one text\nanother\n".encode("utf-8-sig"), {}),
        ("a.csv", "text,label\none text,0\nanother,\n", {"label_column": "nowhere"}),
    ],
)
def test_any_file_that_prepare_reads_and_a_text_a_line(tmp_path, name, content, data):
    found = read(written(tmp_path / name, content), **data)
    assert found.texts == ["one text", "another"]
    assert found.facts["name"] == name
    assert found.facts["rows_in"] == found.facts["rows_used"] == 2


def test_a_name_is_read_like_a_file():
    found = read("generated", sample=10)
    assert len(found.texts) == 10
    assert (found.facts["name"], found.facts["sha256"]) == ("generated", None)


def test_parquet_with_gaps(tmp_path):
    pq.write_table(
        pa.table({"text": ["one text", None, "another"], "x": [1, 2, 3]}), tmp_path / "a.parquet"
    )
    found = read(tmp_path / "a.parquet")
    assert found.texts == ["one text", "another"]
    assert found.facts["dropped"]["not_text"] == 1


def test_a_first_word_is_not_taken_for_a_label(tmp_path):
    lines = [f"{'RT' if n % 3 else 'hey'} message {n} of many" for n in range(30)]
    assert read(written(tmp_path / "a.txt", "\n".join(lines))).texts == lines


def test_each_text_is_there_once_and_none_is_like_one_held_out(tmp_path):
    lines = [
        "new",
        "New",
        "new",
        "known",
        "Held   out",
        "@me HELD out!!! http://x.y",
        "held outside",
        "",
    ]
    found = read(
        written(tmp_path / "a.txt", "\n".join(lines) + "\n"), train=["known"], test=["held out"]
    )
    assert found.texts == ["new", "New", "held outside"]
    assert found.facts["dropped"] == {"blank_line": 1, "duplicate": 2, "like_a_test_text": 2}
    assert found.facts["rows_in"] == len(lines)


def test_personal_data_are_masked_as_in_the_splits(tmp_path):
    file = written(tmp_path / "a.txt", "mail a@b.org\nmail c@d.org\nhello\n")
    found = read(file, mask=("email",))
    assert found.texts == ["mail <email>", "hello"]
    assert read(file, test=["mail <email>"], mask=("email",)).texts == ["hello"]


def test_a_larger_draw_begins_with_a_smaller_one(tmp_path):
    file = written(tmp_path / "a.txt", "\n".join(f"text {n}" for n in range(200)))
    few = read(file, sample=20)
    more = read(file, sample=50)
    assert more.texts[:20] == few.texts
    assert len(set(more.texts)) == 50
    assert more.facts["dropped"]["not_drawn"] == 150
    assert read(file, sample=200).texts == read(file).texts == [f"text {n}" for n in range(200)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty: 0 bytes"),
        ("\n", "None of its 1 rows is left"),
        ("known\n", r"\(duplicate: 1\)"),
    ],
)
def test_a_file_with_nothing_new_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read(written(tmp_path / "a.txt", content), train=["known"])


def test_a_table_without_a_text_or_a_file_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(DataError, match="No column could be recognised as the text"):
        read(written(tmp_path / "a.csv", "n,m\n1,2\n"))
    with pytest.raises(DataError, match="is not utf-8"):
        read(written(tmp_path / "a.txt", "caf\xe9 au lait\n".encode("latin-1")))
    assert read(tmp_path / "a.txt", encoding="latin-1").texts == ["café au lait"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=1, max_size=30),
    data=st.data(),
)
def test_every_row_is_accounted_for(tmp_path, values, data):
    file = tmp_path / "a.jsonl"
    file.write_text(
        "".join(json.dumps({"text": value}) + "\n" for value in [*values, "a last one"])
    )
    held = data.draw(
        st.lists(st.sampled_from([v for v in values if isinstance(v, str)] or ["x"]), max_size=3)
    )
    held = [clean(text) for text in held if text.strip() and text.isprintable() and text.isascii()]
    found = read(file, test=held)
    assert found.facts["rows_in"] == len(values) + 1
    assert found.facts["rows_in"] == found.facts["rows_used"] + sum(found.facts["dropped"].values())
    assert len(set(found.texts)) == len(found.texts) == found.facts["rows_used"]
    assert not set(found.texts) & set(held)
    assert all(clean(text) == text for text in found.texts)
