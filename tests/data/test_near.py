"""Near-duplicates: planted ones are found, others are left apart, and the order of rows changes nothing."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.data.group.near import FEWEST_WORDS, THRESHOLD, NearDuplicates, sketch
from linnet.data.group.texts import digests

WORDS = [f"w{number}" for number in range(3000)]


def joined(texts, path, chunk=1000):
    near = NearDuplicates(path)
    for start in range(0, len(texts), chunk):
        near.add(sketch(texts[start : start + chunk]))
    groups = near.join(digests([text.encode() for text in texts]))
    near.remove()
    assert not path.exists()
    return groups


def jaccard(first, second):
    first = set(first.split())
    second = set(second.split())
    return len(first & second) / len(first | second)


def test_planted_pairs_are_found_and_nothing_else(tmp_path):
    draw = random.Random(0)
    originals = [" ".join(draw.sample(WORDS, draw.randint(8, 25))) for _ in range(2000)]
    copies = []
    for text in originals[:1000]:
        words = text.split()
        words[draw.randrange(len(words))] = (
            "changed"  # of 9 words or more, 80 % and more are shared
        )
        copies.append(" ".join(words))
    groups = joined(originals + copies, tmp_path / "words")
    near = [jaccard(a, b) >= THRESHOLD for a, b in zip(originals, copies, strict=False)]
    found = groups[:1000] == groups[2000:]
    assert sum(near) > 700
    assert found[near].mean() > 0.97
    assert not found[~np.array(near)].any()
    assert len(np.unique(groups)) == 3000 - found.sum()


def test_the_order_of_rows_changes_nothing(tmp_path):
    draw = random.Random(1)
    texts = [" ".join(draw.choices(WORDS[:12], k=6)) for _ in range(400)]
    order = draw.sample(range(400), 400)
    forth = joined(texts, tmp_path / "forth", chunk=64)
    shuffled = joined([texts[i] for i in order], tmp_path / "shuffled")
    assert len(np.unique(forth)) < 400
    assert shuffled.tolist() == forth[order].tolist()


def test_word_order_and_repetition_count_for_nothing(tmp_path):
    groups = joined(["a b c d", "d c b a", "a a b c d", "a b c e"], tmp_path / "words")
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_short_and_empty_texts_stay_apart(tmp_path):
    texts = ["", "a", "a b", "b a", "c"]
    assert len(np.unique(joined(texts, tmp_path / "words"))) == len(texts)
    assert FEWEST_WORDS / (FEWEST_WORDS + 1) >= THRESHOLD


@given(st.lists(st.text(max_size=40), min_size=1, max_size=30))
def test_equal_texts_always_share_a_group(texts):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        groups = joined([*texts, *texts], Path(folder) / "words", chunk=7)
    assert groups[: len(texts)].tolist() == groups[len(texts) :].tolist()


@pytest.mark.parametrize("level, least", [(0.85, 0.99), (0.8, 0.96)])
def test_the_bands_miss_as_rarely_as_they_say(level, least, tmp_path):
    draw = random.Random(2)
    shared = 40
    apart = round(shared / level - shared)
    texts = []
    for _ in range(1500):
        words = draw.sample(WORDS, shared + apart)
        texts += [
            " ".join(words[:shared] + words[shared : shared + apart // 2]),
            " ".join(words[:shared] + words[shared + apart // 2 :]),
        ]
    groups = joined(texts, tmp_path / "words").reshape(-1, 2)
    assert (groups[:, 0] == groups[:, 1]).mean() > least
