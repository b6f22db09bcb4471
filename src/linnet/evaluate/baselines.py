"""The two models anyone could have had instead: always the commonest label, and a bag of words.

Both learn from the train split and answer the judged texts; a model that doesn't beat them earns no service.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from linnet.data import Split
from linnet.progress import progress

# Punctuation and emoji count as words: they carry sentiment, and so no clean text is without a word.
TOKEN = r"\w+|[^\w\s]"  # noqa: S105, a pattern, no secret
MAX_ITERATIONS = 1000
SMALL = 1000  # train rows


@dataclass(frozen=True)
class Baseline:
    """What a baseline answered.

    Attributes:
        name: Stable, for programs.
        title: For people.
        predictions: Class ids, int64 (n,).
        seconds: What learning and answering took.
    """

    name: str
    title: str
    predictions: NDArray[np.int64]
    seconds: float


def majority_class(train: Split, texts: Sequence[str]) -> Baseline:
    """Answer every text with the train split's commonest label."""
    commonest = int(np.bincount(train.labels).argmax())
    return Baseline("majority_class", "majority class", np.full(len(texts), commonest, np.int64), 0.0)


def tfidf_logistic_regression(train: Split, texts: Sequence[str]) -> Baseline:
    """Answer with logistic regression on TF-IDF weights of words and pairs of words, learned on all train rows.

    scikit-learn's defaults but for sublinear term frequencies and terms that occur in one text only,
    which are left out where there are 1,000 texts or more.
    """
    started = time.perf_counter()
    with progress("judge TF-IDF + logistic regression", 3, "steps") as task:
        vectorizer = TfidfVectorizer(
            token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True, min_df=_min_df(train), dtype=np.float32
        )
        features = vectorizer.fit_transform(train.texts)
        task.advance()
        model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(features, train.labels)
        task.advance()
        predictions = model.predict(vectorizer.transform(texts))
        task.advance()
    seconds = time.perf_counter() - started
    title = "TF-IDF + logistic regression"
    return Baseline("tfidf_logistic_regression", title, predictions.astype(np.int64), seconds)


def _min_df(train: Split) -> int:
    # In a handful of texts every term may occur once, and leaving those out would leave nothing.
    return 2 if len(train) >= SMALL else 1
