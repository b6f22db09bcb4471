"""What would a leak have been worth? The same model on naive splits and on Linnet's.

    python benchmarks/leaks.py --data training.1600000.processed.noemoticon.csv.xz

The naive way draws rows by chance, as scikit-learn's train_test_split does, from the rows as they stand in the
file; Linnet's way drops copies and keeps like texts together. TF-IDF with logistic regression learns from each
train split. The table tells how many test rows have a twin in train, and how accurate the model is on those and on
the others: the leak is worth the difference between all test rows and those without a twin.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.data.group.hashing import hash_texts
from linnet.data.group.near import NearDuplicates
from linnet.evaluate.intervals import proportion
from linnet.files import canonical_json, write_text

RESULTS = Path(__file__).parent / "results" / "leaks.json"
CHUNK = 16_384
SEED = 42


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FILE", required=True, help="a labelled file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another setting"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        lines = _lines(arguments.data, arguments.set, Path(folder))
    write_text(
        arguments.out,
        canonical_json({"file": Path(arguments.data).name, "seed": SEED, "lines": lines}),
    )
    _show(Path(arguments.data).name, lines)


def _lines(data: str, settings: list[str], folder: Path) -> list[dict[str, Any]]:
    quick = ["data.noise_sample=0", f'data.source="{data}"', f"data.seed={SEED}", *settings]
    # As the file has them: copies and texts with several labels stay.
    prepare(
        load_config(None, [*quick, "data.duplicates=keep", "data.conflicts=keep"]), folder / "all"
    )
    whole = [read_split(folder / "all", name) for name in ("train", "validation", "test")]
    texts = [text for split in whole for text in split.texts]
    labels = np.concatenate([split.labels for split in whole])
    exact, near = _groups(texts, folder)
    train, test = train_test_split(
        np.arange(len(texts)), test_size=0.1, stratify=labels, random_state=SEED
    )
    answers = _learn(texts, labels, train, test)
    right = answers == labels[test]
    lines = [_line("naive: all test rows", right)]
    for name, groups in (("an exact or normalised twin", exact), ("any twin, near ones too", near)):
        twin = np.isin(groups[test], groups[train])
        lines += [
            _line(f"naive: with {name} in train", right[twin]),
            _line(f"naive: without {name}", right[~twin]),
        ]
    prepare(load_config(None, quick), folder / "ours")
    learn, judge = read_split(folder / "ours", "train"), read_split(folder / "ours", "test")
    place = np.arange(len(learn)), len(learn) + np.arange(len(judge))
    labels = np.concatenate([learn.labels, judge.labels])
    answers = _learn(learn.texts + judge.texts, labels, *place)
    return [*lines, _line("linnet: all test rows", answers == judge.labels)]


def _groups(texts: Sequence[str], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Digest of each text's normalised form, and the group of its near-duplicates; uint64 (n,) each."""
    near, parts = NearDuplicates(folder / "words"), []
    for start in range(0, len(texts), CHUNK):
        hashes = hash_texts(texts[start : start + CHUNK], SEED)
        near.add(hashes.sketches)
        parts.append(hashes.normal)
    exact = np.concatenate(parts)
    return exact, near.join(exact)


def _learn(
    texts: Sequence[str], labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32)
    features = vectorizer.fit_transform([texts[place] for place in train])
    model = LogisticRegression(max_iter=500).fit(features, labels[train])
    return np.asarray(model.predict(vectorizer.transform([texts[place] for place in test])))


def _line(name: str, right: np.ndarray) -> dict[str, Any]:
    share = proportion(int(right.sum()), max(len(right), 1), 0.95)
    return {
        "name": name,
        "rows": len(right),
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
    }


def _show(file: str, lines: list[dict[str, Any]]) -> None:
    table = Table(
        title=f"{file}: TF-IDF + logistic regression on {os.cpu_count()} cores",
        title_justify="left",
    )
    for header in ("judged on", "rows", "accuracy", "95 % interval"):
        table.add_column(header, justify="left" if header == "judged on" else "right")
    for line in lines:
        interval = f"{100 * line['low']:.2f} to {100 * line['high']:.2f} %"
        table.add_row(
            line["name"], f"{line['rows']:,}", f"{100 * line['accuracy']:.2f} %", interval
        )
    Console().print(table)


if __name__ == "__main__":
    main()
