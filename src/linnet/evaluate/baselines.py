"""The two models anyone could have had instead: always the same answer, and a bag of words.

Both learn from the train split and answer the judged texts; a model that doesn't beat them earns no
service.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from linnet.data import Split
from linnet.evaluate import multilabel, thresholds
from linnet.progress import progress

# Punctuation and emoji count as words: they carry sentiment, and so no clean text is without a
# word.
TOKEN = r"\w+|[^\w\s]"  # noqa: S105, a pattern, no secret
MAX_ITERATIONS = 1000
SMALL = 1000  # train rows
WORDS = "TF-IDF + logistic regression"


@dataclass(frozen=True)
class Baseline:
    """What a baseline answered.

    Attributes:
        name: Stable, for programs.
        title: For people.
        predictions: Class ids, int64 (n,); if the task is multi-label, which labels apply, bool
            (n, C).
        seconds: What learning and answering took.
    """

    name: str
    title: str
    predictions: NDArray[Any]
    seconds: float


def majority_class(train: Split, texts: Sequence[str]) -> Baseline:
    """Answer every text with the train split's commonest label."""
    commonest = int(np.bincount(train.labels).argmax())
    return Baseline(
        "majority_class", "majority class", np.full(len(texts), commonest, np.int64), 0.0
    )


def tfidf_logistic_regression(train: Split, texts: Sequence[str]) -> Baseline:
    """Answer with logistic regression on TF-IDF weights of words and pairs of words.

    It is trained on all train rows.

    scikit-learn's defaults but for sublinear term frequencies and terms that occur in one text
    only, which are left out where there are 1,000 texts or more.
    """
    started = time.perf_counter()
    with progress(f"judge {WORDS}", 3, "steps") as task:
        vectorizer = words_of(train)
        features = vectorizer.fit_transform(train.texts)
        task.advance()
        model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(features, train.labels)
        task.advance()
        predictions = model.predict(vectorizer.transform(texts))
        task.advance()
    seconds = time.perf_counter() - started
    return Baseline("tfidf_logistic_regression", WORDS, predictions.astype(np.int64), seconds)


def best_constant(train: Split, texts: Sequence[str]) -> Baseline:
    """Answer every text with the set of labels that has the best micro F1 on the train split."""
    chosen = multilabel.best_constant(train.labels)
    return Baseline("best_constant", "best constant set", np.tile(chosen, (len(texts), 1)), 0.0)


def one_vs_rest_logistic_regression(
    train: Split, validation: Split, texts: Sequence[str]
) -> Baseline:
    """Answer each label by its own logistic regression.

    The features are those of `tfidf_logistic_regression`.

    Its thresholds are tuned on the validation rows as the model's are, so that it competes on even
    terms; without validation rows they are 0.5.
    """
    started = time.perf_counter()
    labels = train.labels.shape[1]
    with progress(f"judge {WORDS}", labels + 2, "steps") as task:
        vectorizer = words_of(train)
        features = vectorizer.fit_transform(train.texts)
        task.advance()
        judged, held_out = (
            vectorizer.transform(some) if len(some) else None for some in (texts, validation.texts)
        )
        task.advance()
        answers = np.zeros((len(texts), labels))
        tuning = np.zeros((len(validation), labels))
        for k in range(labels):
            column = train.labels[:, k]
            if column.all() or not column.any():  # nothing to tell apart
                answers[:, k] = tuning[:, k] = column[0]
            else:
                model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(features, column)
                answers[:, k] = model.predict_proba(judged)[:, 1]
                if held_out is not None:
                    tuning[:, k] = model.predict_proba(held_out)[:, 1]
            task.advance()
    cutoffs = (
        thresholds.tune(tuning, validation.labels)
        if len(validation)
        else np.full(labels, thresholds.EVEN)
    )
    seconds = time.perf_counter() - started
    return Baseline("tfidf_logistic_regression", WORDS, answers >= cutoffs, seconds)


def words_of(train: Split) -> TfidfVectorizer:
    """What turns texts into features, not yet fitted."""
    return TfidfVectorizer(
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=_min_df(train),
        dtype=np.float32,
    )


def _min_df(train: Split) -> int:
    # In a handful of texts every term may occur once, and leaving those out would leave nothing.
    return 2 if len(train) >= SMALL else 1
