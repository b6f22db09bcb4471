"""Find likely wrong labels: confident learning on out-of-fold predictions of a bag of words.

Source: Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset
Labels, JAIR 70. The authors' package cleanlab has the AGPL, which many users can't accept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

FOLDS = 5
WORD = r"\w+|[^\w\s]"


@dataclass(frozen=True)
class LabelIssues:
    """Rows whose label is likely wrong, the likeliest first.

    Attributes:
        index: Rows, int (n,).
        suggested: The class each row more likely has, int (n,).
        given: Out-of-fold probability of the label each row has, float (n,).
        probability: Out-of-fold probability of the suggested class, float (n,).
        share: Estimated share of wrong labels among all rows, as good as the probabilities.
    """

    index: np.ndarray
    suggested: np.ndarray
    given: np.ndarray
    probability: np.ndarray
    share: float


def out_of_fold_probabilities(
    texts: Sequence[str], labels: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Predict each row by TF-IDF and logistic regression, trained on the other folds.

    Args:
        texts: n clean texts.
        labels: int (n,), at least two classes.
        groups: uint64 (n,). Rows of one group share a fold, so that no copy predicts its twin.

    Returns:
        float (n, C); 0 for a class that is missing in the other folds.
    """
    # The weights of words come from all rows, because they use no label.
    features = TfidfVectorizer(
        token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32
    ).fit_transform(texts)
    fold = (groups % np.uint64(FOLDS)).astype(np.int64)
    probabilities = np.zeros((len(texts), int(labels.max()) + 1))
    for held_out in range(FOLDS):
        train = np.flatnonzero(fold != held_out)
        test = np.flatnonzero(fold == held_out)
        if not len(test) or len(np.unique(labels[train])) < 2:
            continue
        model = LogisticRegression(max_iter=200, tol=1e-3).fit(features[train], labels[train])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(features[test])
    return probabilities


def find_label_issues(labels: np.ndarray, probabilities: np.ndarray) -> LabelIssues:
    """Find rows that more likely belong to another class than to their label.

    A class's threshold is its mean probability among the rows with this label. Rows above another
    class's threshold are counted per label and class. The counts, scaled to each label's share,
    estimate how many rows of each label belong to each class (equations 1 to 3 of the source).
    That many rows are taken, the largest gap between the two probabilities first (the source's
    "prune by noise rate").

    Args:
        labels: int (n,).
        probabilities: Out-of-fold probabilities, float (n, C).
    """
    joint = _confident_joint(labels, probabilities)
    gaps = np.full(len(labels), -np.inf)
    suggested = labels.copy()
    for label, into in zip(*np.nonzero(joint), strict=True):
        if label == into:
            continue
        rows = np.flatnonzero(labels == label)
        gap = probabilities[rows, into] - probabilities[rows, label]
        chosen = np.argsort(-gap, kind="stable")[: round(joint[label, into])]
        better = gap[chosen] > np.maximum(gaps[rows[chosen]], 0)
        gaps[rows[chosen][better]] = gap[chosen][better]
        suggested[rows[chosen][better]] = into
    index = np.flatnonzero(np.isfinite(gaps))
    index = index[np.argsort(-gaps[index], kind="stable")]
    return LabelIssues(
        index=index,
        suggested=suggested[index],
        given=probabilities[index, labels[index]],
        probability=probabilities[index, suggested[index]],
        share=float(1 - np.trace(joint) / len(labels)),
    )


def _confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Estimated rows of each label that belong to each class, float (C, C); it sums to the rows."""
    classes = probabilities.shape[1]
    sizes = np.bincount(labels, minlength=classes)
    own = np.bincount(
        labels, weights=probabilities[np.arange(len(labels)), labels], minlength=classes
    )
    thresholds = np.divide(own, sizes, out=np.full(classes, np.inf), where=sizes > 0)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    counted = confident.max(axis=1) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], confident.argmax(axis=1)[counted]), 1)
    # A label none of whose rows is confident says nothing of itself; it is taken to be right.
    lonely = joint.sum(axis=1) == 0
    joint[lonely, lonely] = 1
    return np.asarray(joint * (sizes / joint.sum(axis=1))[:, None])
