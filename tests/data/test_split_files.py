"""What is written is read back: one label or several, and what was masked; what is no split is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.split.files import SplitWriter, read_split
from linnet.errors import DataError, LabelError
from linnet.tables.parquet import METADATA

NAMES = ("anger", "joy", "fear")


def write(
    directory: Path, labels: list[object], *, multi_label: bool = True, mask: tuple[str, ...] = ()
) -> None:
    texts = [f"text {row}" for row in range(len(labels))]
    with SplitWriter(directory, "train", ["text", "label"], NAMES, multi_label, mask) as writer:
        writer.write(
            pa.table(
                {
                    "text": texts,
                    "label": pa.array(labels, pa.list_(pa.int64()) if multi_label else None),
                }
            )
        )


def test_several_labels_come_back_as_a_matrix(tmp_path: Path) -> None:
    write(tmp_path, [[0, 2], [], [1]], mask=("email", "phone"))
    split = read_split(tmp_path, "train")
    assert split.multi_label and split.mask == ("email", "phone") and split.label_names == NAMES
    assert split.labels.dtype == bool
    assert split.labels.tolist() == [
        [True, False, True],
        [False, False, False],
        [False, True, False],
    ]


def test_one_label_comes_back_as_ids(tmp_path: Path) -> None:
    write(tmp_path, [2, 0], multi_label=False)
    split = read_split(tmp_path, "train")
    assert not split.multi_label and split.mask == ()
    assert split.labels.dtype == np.int64 and split.labels.tolist() == [2, 0]


@given(st.lists(st.sets(st.integers(0, 2)), max_size=20))
def test_every_set_of_labels_survives(
    tmp_path_factory: pytest.TempPathFactory, sets: list[set[int]]
) -> None:
    directory = tmp_path_factory.mktemp("splits")
    write(directory, [sorted(ids) for ids in sets])
    assert [set(np.flatnonzero(row)) for row in read_split(directory, "train").labels] == sets


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_library_datasets_finds_the_labels_by_name(tmp_path: Path, multi_label: bool) -> None:
    """As its own `Dataset.to_parquet` writes a schema."""
    columns = ["text", "label", "user"]
    with SplitWriter(tmp_path, "train", columns, ["a", '日本 "b"'], multi_label) as writer:
        labels = pa.array([[0, 1]], pa.list_(pa.int64())) if multi_label else [1]
        writer.write(pa.table({"text": ["x"], "label": labels, "user": ["y"]}))
    class_label = {"names": ["a", '日本 "b"'], "_type": "ClassLabel"}
    text = {"dtype": "string", "_type": "Value"}
    found = json.loads(pq.read_schema(tmp_path / "train.parquet").metadata[b"huggingface"])
    label = {"feature": class_label, "_type": "List"} if multi_label else class_label
    assert found == {"info": {"features": {"text": text, "label": label, "user": text}}}


def test_rows_of_each_label(tmp_path: Path) -> None:
    write(tmp_path, [2, 0, 2], multi_label=False)
    counts = read_split(tmp_path, "train").label_counts
    assert counts == dict(zip(NAMES, [1, 0, 2], strict=True))
    write(tmp_path, [[0, 2], [], [2]])
    assert read_split(tmp_path, "train").label_counts == counts


def test_pieces_make_one_split(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, "train", ["text", "label"], NAMES, multi_label=True) as writer:
        for ids in ([0], [1, 2]):
            table = pa.table({"text": ["a"] * 40_000, "label": pa.array([ids] * 40_000)})
            writer.write(table.slice(10_000))  # a slice keeps the offsets of the whole
    labels = read_split(tmp_path, "train").labels
    assert labels.shape == (60_000, 3)
    assert labels[:30_000].all(axis=0).tolist() == [True, False, False]
    assert labels[30_000:].all(axis=0).tolist() == [False, True, True]


def test_the_former_format_is_read(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": pa.array([1, 0], pa.int64())})
    former = json.dumps({"format": 1, "labels": list(NAMES)}).encode()
    pq.write_table(table.replace_schema_metadata({METADATA: former}), tmp_path / "train.parquet")
    split = read_split(tmp_path, "train")
    assert (split.labels.tolist(), split.multi_label, split.mask) == ([1, 0], False, ())


@pytest.mark.parametrize("ids", [[0, 3], [-1]])
def test_a_label_without_a_name_is_refused(tmp_path: Path, ids: list[int]) -> None:
    write(tmp_path, [ids])
    with pytest.raises(
        LabelError, match=f"holds the label {max(ids, key=abs)}, .* only for 0 to 2"
    ):
        read_split(tmp_path, "train")


@pytest.mark.parametrize(("labels", "multi_label"), [([[0]], False), ([0], True)])
def test_labels_of_another_kind_are_refused(
    tmp_path: Path, labels: list[object], multi_label: bool
) -> None:
    content = json.dumps({"format": 2, "labels": list(NAMES), "multi_label": multi_label}).encode()
    table = pa.table({"text": ["a"], "label": pa.array(labels)})
    pq.write_table(table.replace_schema_metadata({METADATA: content}), tmp_path / "train.parquet")
    with pytest.raises(
        DataError, match=r"Its labels are .* Expected .* Run `linnet prepare` again"
    ):
        read_split(tmp_path, "train")


def test_a_missing_label_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [[0], None])
    with pytest.raises(DataError, match="with 1 missing"):
        read_split(tmp_path, "train")
