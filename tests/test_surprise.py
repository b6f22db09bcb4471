"""The surprise of a text is what its tokens' counts say, and a broken table is refused."""

import numpy as np
import pytest

from linnet.errors import BundleError
from linnet.surprise import SurpriseTable, read_values
from linnet.text import Tokenizer


def test_small_enough_to_count_by_hand():
    table = SurpriseTable.count([[0, 2, 2, 3, 1], [0, 2, 1]], 5, (0, 1))
    # 4 tokens count, and one more for each of 5 ids.
    assert table.values == pytest.approx(-np.log(np.array([1, 1, 4, 2, 1]) / 9), abs=2e-3)
    assert table.values.dtype == np.float16
    assert table.of([0, 2, 3, 1]) == pytest.approx((np.log(9 / 4) + np.log(9 / 2)) / 2, abs=2e-3)
    assert table.of([0, 1]) == 0.0
    assert table.of([]) == 0.0


def test_a_text_of_usual_words_surprises_less(tokenizer_path):
    tokenizer = Tokenizer(tokenizer_path, 64)
    usual = [encoding.ids for encoding in tokenizer.encode(["good day"] * 50)]
    table = SurpriseTable.count(usual, tokenizer.vocab_size, tokenizer.special_ids)
    common, rare = tokenizer.encode(["good day", "terrible night"])
    assert table.of(common.ids) < table.of(rare.ids)


def test_a_table_is_read_back(tmp_path):
    table = SurpriseTable.count([[1, 2]], 4, ())
    np.save(tmp_path / "surprise.npy", table.values, allow_pickle=False)
    again = SurpriseTable.read(tmp_path / "surprise.npy", 4)
    assert again.values.tolist() == table.values.tolist()
    assert again.of([1, 3]) == table.of([1, 3])
    with pytest.raises(BundleError, match="of 4 tokens, but the tokenizer has 5"):
        SurpriseTable.read(tmp_path / "surprise.npy", 5)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0], np.float32),
        np.zeros((2, 2), np.float16),
        np.array([], np.float16),
        np.array([np.nan], np.float16),
        np.array([-1.0], np.float16),
        np.array([{}], object),
        np.float16(1.0),
    ],
)
def test_another_array_is_refused(tmp_path, values):
    np.save(tmp_path / "surprise.npy", values, allow_pickle=True)
    with pytest.raises(BundleError, match=r"surprise\.npy can't be"):
        read_values(tmp_path / "surprise.npy")


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"hello", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr': 1}"]
)
def test_a_broken_file_is_refused(tmp_path, content):
    (tmp_path / "surprise.npy").write_bytes(content)
    with pytest.raises(BundleError, match=r"surprise\.npy can't be read as an array"):
        read_values(tmp_path / "surprise.npy")


def test_a_table_that_claims_more_than_it_holds_is_refused(tmp_path):
    np.save(tmp_path / "surprise.npy", np.zeros(9, np.float16))
    content = (tmp_path / "surprise.npy").read_bytes()
    for claimed in (b"(99,)", b"(999999999999,)"):
        (tmp_path / "surprise.npy").write_bytes(
            content.replace(b"(9,), }" + b" " * (len(claimed) - 4), claimed + b", }")
        )
        with pytest.raises(BundleError, match="can't be read"):
            read_values(tmp_path / "surprise.npy")
