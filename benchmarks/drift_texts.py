"""Real texts for `alarms.py`: a stand-in model, and the monitor of Linnet on what it answers.

The model is logistic regression on words, trained on tweets of Sentiment140. So delays are of this
model; an encoder's confidence and labels would differ.
"""

import csv
import gzip
import hashlib
import json
import lzma
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from linnet.monitor.drift.adopt import KnownBundle, adopt
from linnet.monitor.drift.hours import Stretch
from linnet.monitor.drift.monitor import Monitor, Plan
from linnet.monitor.drift.references import References
from linnet.monitor.drift.state import State
from linnet.monitor.drift.streams import Texts

PLAN = Plan(3600, 90, 0.05, 0.02, 0.05)
BLOCK = 100  # texts of one block
PART = 20_000  # texts of Sentiment140: to train, to adopt, and to judge
REPEATS = 20
SHUFFLES = 200
DIGEST = "0" * 64
KEY = ("champion", DIGEST)


class StandIn:
    """A model and a tokenizer, both trained on the same texts."""

    def __init__(self, texts: Sequence[str], labels: Sequence[str]):
        self._words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
        self._model = LogisticRegression(C=3.0, max_iter=200)
        self._model.fit(self._words.fit_transform(texts), labels)
        self._tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        self._tokenizer.normalizer = normalizers.BertNormalizer()
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=8000, special_tokens=["[UNK]"], show_progress=False
        )
        self._tokenizer.train_from_iterator(texts, trainer)
        counts = np.ones(self._tokenizer.get_vocab_size())
        for encoding in self._tokenizer.encode_batch(list(texts)):
            np.add.at(counts, encoding.ids, 1)
        self._surprise = -np.log(counts / counts.sum())

    def answer(self, texts: Sequence[str]) -> Texts:
        """What a log would hold of the answers to texts."""
        probabilities = self._model.predict_proba(self._words.transform(texts))
        labels = self._model.classes_[probabilities.argmax(axis=1)]
        encodings = self._tokenizer.encode_batch(list(texts))
        tokens = np.array([max(1, len(one.ids)) for one in encodings], float)
        words = np.array([len({w for w in one.word_ids if w is not None}) for one in encodings])
        values = {
            "confidence": probabilities.max(axis=1),
            "tokens": tokens,
            "surprise": np.array([self._surprise[one.ids].mean() for one in encodings]),
            "pieces": 1 - words / tokens,
        }
        values |= {name: np.zeros(len(texts)) for name in ("truncated", "abstained", "fast")}
        hashes = [
            int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)
            for text in texts
        ]
        return Texts(np.array(hashes), [json.dumps([label]) for label in labels], values)

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels."""
        return tuple(self._model.classes_)


def stretches(texts: Texts, first: int = 0) -> Iterator[Stretch]:
    """Texts in blocks of `BLOCK`, as if each were an hour; the rest is left out."""
    for number in range(len(texts) // BLOCK):
        rows = np.arange(number * BLOCK, (number + 1) * BLOCK)
        block = first + number
        part = texts.take(rows).distinct()
        yield Stretch(block, block + 1, block, block * 3600.0, BLOCK, 0, {KEY: BLOCK}, {KEY: part})


def watch(reference: Texts, traffic: Texts, labels: tuple[str, ...]) -> tuple[int | None, str]:
    """Adopt the first and judge the second: texts until the first alarm, and its stream."""
    blocks = len(reference) // BLOCK
    known = {DIGEST: KnownBundle(labels, ())}
    adopted = adopt(stretches(reference), 0, blocks * 3600, 3600, known, PLAN.tolerances)
    monitor = Monitor(PLAN, References(adopted), State({}, adopted.digest))
    for number, stretch in enumerate(stretches(traffic, blocks), 1):
        monitor.take(stretch)
        if alarms := monitor.alarms():
            return number * BLOCK, min(alarms)[1]
    return None, ""


def foreign_delays(data: Path) -> dict[str, Any]:
    """Texts until any alarm, if a share of the traffic comes from elsewhere; medians."""
    rows = sentiment140(data)
    model = StandIn(*zip(*rows[:PART], strict=True))
    reference = model.answer([text for text, _ in rows[PART : 2 * PART]])
    home = model.answer([text for text, _ in rows[2 * PART : 3 * PART]])
    draw = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for name, texts in foreign_sets(data).items():
        strange = model.answer(texts)
        for share in (1.0, 0.5, 0.25):
            delays = [
                watch(reference, mixed(home, strange, share, draw), model.labels)
                for _ in range(REPEATS)
            ]
            texts_needed = [10**9 if delay is None else delay for delay, _ in delays]
            streams = statistics.mode(stream for _, stream in delays)
            median = int(statistics.median(texts_needed))
            shown = f"{median:,} texts" if median < 10**9 else "not within 12,000 texts"
            found[f"{name}, {share:.0%} foreign"] = f"{shown}, mostly by {streams or 'none'}"
    return found


def mixed(home: Texts, strange: Texts, share: float, draw: np.random.Generator) -> Texts:
    """12,000 texts, each from elsewhere with a probability; drawn with replacement there."""
    n = 12_000
    away = draw.random(n) < share
    ours = home.take(draw.permutation(len(home))[:n])
    theirs = strange.take(draw.integers(0, len(strange), n))
    return Texts(
        np.where(away, theirs.hashes, ours.hashes),
        [b if one else a for one, a, b in zip(away, ours.labels, theirs.labels, strict=True)],
        {name: np.where(away, theirs.values[name], ours.values[name]) for name in ours.values},
    )


def real_years(data: Path) -> dict[str, Any]:
    """SemEval's tweets by their true times: those until 2013 are adopted, later ones judged."""
    rows = sentiment140(data)
    model = StandIn(*zip(*rows[:PART], strict=True))
    dated = sorted(semeval(data))
    answers = model.answer([text for _, text in dated])
    usual = sum(time < "2014" for time, _ in dated)
    first, stream = watch(
        answers.take(np.arange(usual)), answers.take(np.arange(usual, len(dated))), model.labels
    )
    draw = np.random.default_rng(1)
    alarmed = 0
    for _ in range(SHUFFLES):
        order = draw.permutation(len(dated))
        delay, _ = watch(answers.take(order[:usual]), answers.take(order[usual:]), model.labels)
        alarmed += delay is not None
    return {
        "adopted texts (2011 to 2013)": usual,
        "judged texts (2014 to 2016)": len(dated) - usual,
        "first alarm": "none" if first is None else dated[usual + first - 1][0],
        "by": stream,
        "texts until then": first,
        f"alarms in {SHUFFLES} shuffled copies": alarmed,
    }


def sentiment140(data: Path) -> list[tuple[str, str]]:
    """Texts and labels: each 25th row of the training file, in a fixed random order."""
    file = data / "sentiment140" / "training.1600000.processed.noemoticon.csv.xz"
    with lzma.open(file, "rt", encoding="latin-1", newline="") as lines:
        rows = [
            (row[5], "positive" if row[0] == "4" else "negative")
            for number, row in enumerate(csv.reader(lines))
            if number % 25 == 0
        ]
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[k] for k in order]


def semeval(data: Path) -> list[tuple[str, str]]:
    """Times and texts."""
    with gzip.open(data / "drift" / "semeval_2013_2017_dated.csv.gz", "rt", newline="") as lines:
        return [(row["created_utc"], row["text"]) for row in csv.DictReader(lines)]


def foreign_sets(data: Path) -> dict[str, list[str]]:
    """Texts from elsewhere, up to 10,000 of each set."""
    with gzip.open(data / "drift" / "us_airline_2015.csv.gz", "rt", newline="") as lines:
        airline = [row["text"] for row in csv.DictReader(lines)]
    found = {"airline": airline, "SemEval": [text for _, text in semeval(data)]}
    sst2 = (data / "classification/sst2/stsa.binary.train").read_text(encoding="utf-8")
    found["SST-2"] = [line.partition(" ")[2] for line in sst2.splitlines()]
    with (data / "classification/ag_news/test.csv").open(encoding="utf-8", newline="") as lines:
        found["AG News"] = [f"{title} {text}" for _, title, text in csv.reader(lines)]
    return {name: texts[:10_000] for name, texts in found.items()}
