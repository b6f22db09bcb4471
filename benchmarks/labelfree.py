"""Does an estimate of accuracy without labels hold the truth, near home and far from it?

    linnet run --data SEMEVAL_2011_2012 --model ENCODER --name semeval
    linnet run --data sentiment140 --model ENCODER --name sentiment140
    python benchmarks/labelfree.py --runs runs --data DATA

`--data` holds the SemEval tweets with dates, the airline tweets, SST-2 and Rotten Tomatoes as
docs/results.md names them (default: the environment variable LINNET_DATA). Each set is cut into
chunks of 500 texts. For each chunk the table of reference.json, label shift, the mean confidence,
ATC, DoC and, with `--nannyml PYTHON`, NannyML's CBPE estimate the accuracy. The table's estimate
is shown only if no gate closes. `shown_and_wrong` is the share of all chunks whose shown interval
does not hold the truth.

All chunks of a home set share one draw of validation rows, so their errors go together. Therefore
the near-home figures come from `--redraws` further draws: validation rows and test rows, none of
them trained on, are mixed, and the table is counted on another 3,000 of them each time.

ATC: Garg et al. 2022, arXiv 2201.04234. DoC: Guillory et al. 2021, arXiv 2107.03315.
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import linnet
from linnet.data import read_split
from linnet.errors import TextError
from linnet.export.reference import ReferenceRows, describe
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.monitor.accuracy import AccuracyTable, Answers, assess, estimate_under_label_shift
from linnet.monitor.reference import Reference, read_reference
from linnet.predict import Classifier
from linnet.text import Encoding

RESULTS = Path(__file__).parent / "results" / "labelfree.json"
CHUNK = 500
MOST_CHUNKS = 12  # of one set
NEAR_HOME = ("semeval home", "sentiment140 home")
BARS = {
    "near_home_coverage": 0.93,
    "near_home_error_points": 1.5,
    "shown_and_wrong": 0.10,
    "home_shown": 0.80,
}
CBPE = """
import json, sys
import nannyml, numpy, pandas
asked = json.load(open(sys.argv[1]))
def frame(part):
    columns = {"p_%d" % k: [row[k] for row in part["p"]] for k in range(len(part["p"][0]))}
    columns.update(pred=part["pred"], y=part["y"])
    return pandas.DataFrame(columns)
labels = len(asked["reference"]["p"][0])
several = {k: "p_%d" % k for k in range(labels)}
cbpe = nannyml.CBPE(
    metrics=["accuracy"], y_pred="pred", y_true="y", chunk_size=asked["chunk"],
    y_pred_proba=several if labels > 2 else "p_1",
    problem_type="classification_multiclass" if labels > 2 else "classification_binary")
cbpe.fit(frame(asked["reference"]))
found = cbpe.estimate(frame(asked["traffic"])).filter(period="analysis").to_df()["accuracy"]
rows = found[["value", "lower_confidence_boundary", "upper_confidence_boundary"]]
json.dump(rows.values.tolist(), open(sys.argv[2], "w"))
"""

Rows = list[tuple[str, str]]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, required=True, help="holds semeval and sentiment140")
    parser.add_argument("--data", type=Path, default=os.environ.get("LINNET_DATA"))
    parser.add_argument("--nannyml", metavar="PYTHON", help="a Python that has NannyML")
    parser.add_argument("--redraws", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    if not arguments.data:
        parser.error("name the folder of the data with --data or LINNET_DATA")
    results = []
    encoders = {}
    for name, sets in (("semeval", semeval_sets), ("sentiment140", sentiment140_sets)):
        folder = arguments.runs / name
        model = linnet.load(folder / "bundle", engine="onnxruntime", variant="fp32", num_threads=1)
        encoders[name] = Path(
            str(model.bundle.manifest.lineage["settings"]["model"]["name_or_path"])
        ).name
        reference = read_reference(model.bundle)
        home = _split_rows(folder / "splits", "validation")
        fitted = _answered(model, home)
        test = _split_rows(folder / "splits", "test")
        for title, rows in ({f"{name} home": test} | sets(Path(arguments.data))).items():
            found = measure(model, reference, fitted, rows, arguments.nannyml)
            if rows is test:
                found["redrawn"] = redraw(model, fitted, _answered(model, test), arguments.redraws)
            results.append({"set": title, "trained_on": name, **found})
            print(title, found["chunks"], flush=True)
    found = summary(results)
    for one in results:
        one.pop("redrawn", None)
    content = {
        "sets": results,
        "summary": found,
        "bars": BARS,
        "encoders": encoders,
        "chunk": CHUNK,
        "nannyml": bool(arguments.nannyml),
        "lineage": lineage(),
    }
    write_text(arguments.out, canonical_json(content))
    show(content)


def semeval_sets(data: Path) -> dict[str, Rows]:
    """SemEval's later years, and the airline tweets with three labels."""
    with gzip.open(data / "drift/semeval_2013_2017_dated.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    years = {
        f"semeval {year}": [
            (row["text"], row["label"]) for row in rows if row["created_utc"].startswith(year)
        ]
        for year in ("2014", "2015", "2016")
    }
    return years | {"airline, 3 labels": _airline(data)}


def sentiment140_sets(data: Path) -> dict[str, Rows]:
    """Texts with a clear sentiment: airline and SemEval tweets, SST-2 and Rotten Tomatoes."""
    clear = ("negative", "positive")
    airline = [row for row in _airline(data) if row[1] in clear]
    with gzip.open(data / "drift/semeval_2013_2017_dated.csv.gz", "rt", encoding="utf-8") as file:
        semeval = [
            (row["text"], row["label"]) for row in csv.DictReader(file) if row["label"] in clear
        ]
    folder = data / "classification"
    sst = [
        (line[2:], clear[int(line[0])])
        for part in ("train", "dev", "test")
        for line in _lines(folder / "sst2" / f"stsa.binary.{part}", "utf-8")
    ]
    tomatoes = [
        (line, label)
        for end, label in (("neg", "negative"), ("pos", "positive"))
        for line in _lines(folder / "rotten_tomatoes" / f"rt-polarity.{end}", "latin-1")
    ]
    return {
        "airline, 2 labels": airline,
        "semeval, 2 labels": semeval,
        "SST-2": sst,
        "Rotten Tomatoes": tomatoes,
    }


def _airline(data: Path) -> Rows:
    with gzip.open(data / "drift/us_airline_2015.csv.gz", "rt", encoding="utf-8") as file:
        return [(row["text"], row["airline_sentiment"]) for row in csv.DictReader(file)]


def _lines(path: Path, encoding: str) -> list[str]:
    return [line for line in path.read_text(encoding).split("\n") if line.strip()]


def _split_rows(splits: Path, name: str) -> Rows:
    split = read_split(splits, name)
    return [
        (text, split.label_names[label])
        for text, label in zip(split.texts, split.labels, strict=True)
    ]


def _answered(model: Classifier, rows: Rows) -> tuple[Answers, np.ndarray, np.ndarray]:
    """The answers to rows, which are right, and the ids of the true labels."""
    kept = []
    for text, label in rows:
        try:
            kept.append((model.codec.clean(text), label))
        except TextError:
            continue
    texts = [text for text, _ in kept]
    probabilities = model.predict_proba(texts)
    encodings = model.codec.tokenizers[0].encode(texts)
    given = probabilities.argmax(axis=1)
    true = np.array([model.labels.index(label) for _, label in kept])
    surprise = model.codec.surprise
    assert surprise
    lengths = np.array([len(encoding.ids) for encoding in encodings], float)
    words = np.array([encoding.words for encoding in encodings], float)
    confidence = probabilities.max(axis=1)
    streams = {
        "confidence": confidence,
        "tokens": lengths,
        "surprise": np.array([surprise.of(encoding.ids) for encoding in encodings]),
        "pieces": 1 - words / lengths,
    }
    nothing = np.zeros(len(kept), bool)
    answers = Answers(
        confidence, [model.labels[k] for k in given], nothing, nothing, probabilities, streams
    )
    return answers, given == true, true


def measure(
    model: Classifier,
    reference: Reference,
    fitted: tuple[Answers, np.ndarray, np.ndarray],
    rows: Rows,
    nannyml: str | None,
) -> dict[str, Any]:
    """All estimates of the chunks of one set, and what is true.

    Args:
        model: The classifier.
        reference: Of its bundle.
        fitted: The answers to the validation rows.
        rows: The set; a sample of it without order.
        nannyml: A Python that has NannyML; None: its estimates are left out.
    """
    most = CHUNK * MOST_CHUNKS
    order = np.random.default_rng(7).permutation(len(rows))[: most + CHUNK]
    answers, right, true = _answered(model, [rows[k] for k in order])
    chunks = [
        slice(start, start + CHUNK) for start in range(0, min(len(right), most) - CHUNK + 1, CHUNK)
    ]
    table = AccuracyTable(reference)
    home, home_right, home_true = fitted
    threshold = np.quantile(home.confidence, 1 - home_right.mean())
    gap = home_right.mean() - home.confidence.mean()
    found = []
    for chunk in chunks:
        part = _part(answers, chunk)
        estimate = table.estimate(part)
        shifted = estimate_under_label_shift(reference, part, model.labels)
        assert estimate and shifted
        state = assess(reference, model.labels, part)
        found.append(
            {
                "true": float(right[chunk].mean()),
                "table": [estimate.value, estimate.low, estimate.high],
                "label_shift": [shifted.value, shifted.low, shifted.high],
                "confidence": [float(part.confidence.mean())],
                "ATC": [float((part.confidence >= threshold).mean())],
                "DoC": [float(part.confidence.mean() + gap)],
                "state": state["state"],
                "reason": state["reason"],
            }
        )
    if nannyml:
        end = len(chunks) * CHUNK
        pairs = _cbpe(
            nannyml,
            {"p": home.probabilities, "true": home_true},
            {"p": _array(answers.probabilities)[:end], "true": true[:end]},
        )
        for one, values in zip(found, pairs, strict=True):
            one["CBPE"] = values
    return {"chunks": len(chunks), "found": found} | _figures(found)


def redraw(
    model: Classifier,
    fitted: tuple[Answers, np.ndarray, np.ndarray],
    test: tuple[Answers, np.ndarray, np.ndarray],
    draws: int,
) -> list[dict[str, Any]]:
    """Error and coverage of chunks at home, with other validation rows in each draw."""
    split = len(fitted[1])
    right = np.concatenate([fitted[1], test[1]])
    true = np.concatenate([fitted[2], test[2]])
    probabilities = np.concatenate([_array(fitted[0].probabilities), _array(test[0].probabilities)])
    found = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(right))
        table = AccuracyTable(_table_of(model, probabilities[order[:split]], true[order[:split]]))
        for start in range(split, len(right) - CHUNK + 1, CHUNK):
            chunk = order[start : start + CHUNK]
            estimate = table.estimate(_bare(model, probabilities[chunk]))
            assert estimate
            truth = float(right[chunk].mean())
            found.append(
                {
                    "true": truth,
                    "table": [estimate.value, estimate.low, estimate.high],
                    "error": abs(estimate.value - truth),
                    "holds": bool(estimate.low <= truth <= estimate.high),
                }
            )
    return found


def _bare(model: Classifier, probabilities: np.ndarray) -> Answers:
    nothing = np.zeros(len(probabilities), bool)
    labels = [model.labels[k] for k in probabilities.argmax(axis=1)]
    return Answers(probabilities.max(axis=1), labels, nothing, nothing, probabilities)


def _table_of(model: Classifier, probabilities: np.ndarray, true: np.ndarray) -> Reference:
    n = len(true)
    given = model.task.decide(probabilities, None)
    encodings = [Encoding([0], False)] * n
    nothing = np.zeros(n)
    rows = ReferenceRows(
        model.task,
        model.labels,
        1,
        true,
        encodings,
        probabilities,
        given,
        given,
        nothing.astype(bool),
        nothing,
    )
    return Reference.model_validate(describe(rows))


def _array(values: Any) -> Any:
    assert values is not None
    return values


def _part(answers: Answers, chunk: slice) -> Answers:
    return Answers(
        answers.confidence[chunk],
        answers.labels[chunk],
        answers.abstained[chunk],
        answers.fast[chunk],
        _array(answers.probabilities)[chunk],
        {name: values[chunk] for name, values in answers.streams.items()},
    )


def _cbpe(python: str, reference: Mapping[str, Any], traffic: Mapping[str, Any]) -> Any:
    """NannyML's estimates: value, low and high of each chunk."""
    asked = {
        name: {
            "p": part["p"].tolist(),
            "pred": part["p"].argmax(axis=1).tolist(),
            "y": part["true"].tolist(),
        }
        for name, part in (("reference", reference), ("traffic", traffic))
    }
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "asked.json", Path(folder) / "found.json"
        given.write_text(json.dumps(asked | {"chunk": CHUNK}))
        subprocess.run(
            [python, "-c", CBPE, given, answer],
            check=True,
            env=os.environ | {"NML_DISABLE_USAGE_LOGGING": "1"},
        )
        return json.loads(answer.read_text())


def _figures(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    methods = [name for name, value in found[0].items() if isinstance(value, list)]
    true = np.array([one["true"] for one in found])
    shown = np.array([one["state"] == "estimated" for one in found])
    figures: dict[str, Any] = {"true": float(true.mean()), "shown": float(shown.mean())}
    errors = {}
    coverage = {}
    for name in methods:
        values = np.array([one[name] for one in found])
        errors[name] = float(100 * np.abs(values[:, 0] - true).mean())
        if values.shape[1] == 3:
            holds = (values[:, 1] <= true) & (true <= values[:, 2])
            coverage[name] = float(holds.mean())
            if name == "table":
                figures["shown_and_wrong"] = float((shown & ~holds).mean())
    return figures | {"error_points": errors, "coverage": coverage}


def summary(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The figures of the bars."""
    home = [one for one in results if one["set"] in NEAR_HOME]
    redrawn = [chunk for one in home for chunk in one["redrawn"]]
    shares = [one["true"] for one in home]

    def mean(sets: Sequence[Mapping[str, Any]], figure: Any) -> float:
        return float(np.average([figure(one) for one in sets], weights=[s["chunks"] for s in sets]))

    return {
        "near_home_coverage": float(np.mean([one["holds"] for one in redrawn])),
        "near_home_error_points": float(100 * np.mean([one["error"] for one in redrawn])),
        "near_home_chunks": len(redrawn),
        # Of a perfect estimate of p, for the truth of a chunk is a sample itself.
        "error_points_of_the_true_share": float(
            np.mean([100 * (2 * p * (1 - p) / (np.pi * CHUNK)) ** 0.5 for p in shares])
        ),
        "near_home_coverage_of_one_draw": mean(home, lambda one: one["coverage"]["table"]),
        "near_home_error_points_of_one_draw": mean(home, lambda one: one["error_points"]["table"]),
        "shown_and_wrong": mean(results, lambda one: one["shown_and_wrong"]),
        "shown_and_wrong_worst_set": max(one["shown_and_wrong"] for one in results),
        "ungated_wrong": mean(results, lambda one: 1 - one["coverage"]["table"]),
        "home_shown": mean(home, lambda one: one["shown"]),
    }


def show(content: Mapping[str, Any]) -> None:
    """Print the table of the sets, and the summary."""
    methods = list(content["sets"][0]["error_points"])
    table = Table("set", "true", "shown", "shown, wrong", *methods, "cover table")
    for one in content["sets"]:
        table.add_row(
            one["set"],
            f"{one['true']:.1%}",
            f"{one['shown']:.0%}",
            f"{one['shown_and_wrong']:.0%}",
            *(f"{one['error_points'][name]:.1f}" for name in methods),
            f"{one['coverage']['table']:.2f}",
        )
    Console(width=140).print(table)
    for name, value in content["summary"].items():
        print(f"{name}: {value:.3f} (bar {content['bars'].get(name, 'none')})")


if __name__ == "__main__":
    sys.exit(main())
