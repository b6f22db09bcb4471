"""reference.json is read in both formats, and a broken one is refused with a sentence."""

import json
import shutil

import pytest

from linnet.bundle import Bundle
from linnet.errors import BundleError
from linnet.files import canonical_json
from linnet.monitor.reference import read_reference


@pytest.fixture
def edited(bundle, tmp_path):
    """A bundle whose reference.json says something else."""

    def edit(change):
        copy = tmp_path / "copy"
        shutil.copytree(bundle, copy)
        content = json.loads((copy / "reference.json").read_text())
        change(content)
        (copy / "reference.json").write_text(canonical_json(content))
        return Bundle.read(copy)

    return edit


def test_what_export_writes_is_read(bundle):
    read = read_reference(Bundle.read(bundle).verify())
    assert read.format == 2 and read.missing_streams == ()
    assert sum(cell.n for cell in read.accuracy_table) == read.rows
    assert sum(cell.right for cell in read.accuracy_table) == round(read.rows * read.accuracy)
    assert sum(one.n for one in read.confusion) == read.rows
    right = sum(one.n for one in read.confusion if one.true == one.predicted)
    assert right == round(read.rows * read.accuracy)
    assert 0 < read.streams["surprise"].grid[50] < 12
    assert set(read.labels) == {"negative", "positive"}


def test_format_1_has_fewer_streams(edited):
    def shorten(content):
        for key in (
            "labels",
            "rates",
            "streams",
            "accuracy_bins",
            "accuracy_table",
            "confusion",
        ):
            del content[key]
        content["format"] = 1

    read = read_reference(edited(shorten))
    assert read.missing_streams == ("confidence", "surprise", "pieces")
    assert read.rates.keys() == {"truncated", "abstained"}
    assert sum(read.labels.values()) == pytest.approx(1)
    assert read.accuracy_table == () and read.confusion is None
    assert read.streams["tokens"].grid[0] >= 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.update(format=3), "is of format 3.*Upgrade"),
        (lambda content: content.update(format="2"), "is of format '2'.*Export it again"),
        (lambda content: content.pop("format"), "is of format None"),
        (lambda content: content.pop("streams") and content.pop("rates"), "rates: Field required"),
        (lambda content: content["streams"]["tokens"]["grid"].pop(), "streams.tokens.grid"),
        (lambda content: content["streams"]["tokens"]["grid"].reverse(), "don't ascend"),
        (lambda content: content["accuracy_table"][0].update(right=10**6), "larger than n"),
        (lambda content: content["accuracy_table"][0].update(bin=77), "a bin that doesn't exist"),
        (lambda content: content["accuracy_table"][0].update(label="x"), "doesn't have 'x'"),
        (lambda content: content.update(true_labels={"x": 1.0}, accuracy_table=[], confusion=None),
         "not those of the manifest"),
        (lambda content: content.update(rows=-1), "rows"),
    ],
)  # fmt: skip
def test_a_broken_reference_is_refused(edited, change, says):
    with pytest.raises(BundleError, match=says):
        read_reference(edited(change))


@pytest.mark.parametrize("counts", ["many", ["x"], [-1, 2], [[1], [2]], [2**70], [0.5, None]])
def test_broken_counts_of_format_1_are_refused(edited, counts):
    def change(content):
        content["format"] = 1
        content["token_length"]["counts"] = counts

    bundle = edited(change)
    try:
        read = read_reference(bundle)
    except BundleError as error:
        assert "can't be used" in str(error)
    else:
        assert "tokens" in read.missing_streams or len(read.streams["tokens"].grid) == 101
