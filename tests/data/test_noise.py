"""Wrong labels planted in a set whose right labels are known."""

import numpy as np
import pytest

from linnet.data.audit.noise import find_label_issues, out_of_fold_probabilities

TOPICS = [
    "goal match team league striker keeper penalty coach season stadium".split(),
    "market bank shares profit trade investor stocks earnings budget inflation".split(),
    "planet telescope orbit rocket galaxy launch astronaut satellite comet gravity".split(),
]
WORDS = [word for topic in TOPICS for word in topic]
COMMON = "the a of in and said today new after more people first week report".split()


def planted(rows, share, seed):
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, len(TOPICS), rows)
    texts = []
    for topic in truth:
        words = [*draw.choice(TOPICS[topic], 3), *draw.choice(WORDS, 1), *draw.choice(COMMON, 6)]
        draw.shuffle(words)
        texts.append(" ".join(words))
    labels = truth.copy()
    wrong = draw.random(rows) < share
    labels[wrong] = (truth[wrong] + draw.integers(1, len(TOPICS), wrong.sum())) % len(TOPICS)
    return texts, labels, truth, wrong


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_planted_noise_is_found_and_its_share_estimated(share):
    texts, labels, truth, wrong = planted(3000, share, seed=1)
    suspects = find_label_issues(
        labels, out_of_fold_probabilities(texts, labels, np.arange(3000, dtype=np.uint64))
    )
    flagged = np.isin(np.arange(3000), suspects.index)
    assert (wrong & flagged).sum() / wrong.sum() > 0.85
    assert (wrong & flagged).sum() / flagged.sum() > 0.75
    found = wrong[suspects.index]
    assert (suspects.suggested[found] == truth[suspects.index][found]).mean() > 0.95
    assert abs(suspects.share - share) < 0.05
    assert found[: int(len(found) / 2)].mean() >= found.mean()


def test_a_copy_does_not_answer_for_its_twin():
    texts, labels, _, _ = planted(300, 0.0, seed=2)
    texts = [*texts, *texts]
    labels = np.concatenate([labels, (labels + 1) % 3])
    apart = out_of_fold_probabilities(texts, labels, np.arange(600, dtype=np.uint64) * 7 % 601)
    together = out_of_fold_probabilities(texts, labels, np.tile(np.arange(300, dtype=np.uint64), 2))
    assert np.allclose(together[:300], together[300:])
    assert not np.allclose(apart[:300], apart[300:])


def test_clean_certain_labels_have_no_suspects():
    labels = np.array([0, 1, 0, 1])
    suspects = find_label_issues(labels, np.eye(2)[labels])
    assert len(suspects.index) == 0
    assert suspects.share == 0.0
