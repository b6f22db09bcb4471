"""benchmarks/accuracy.py, run as a person runs it, on a small file and a one-layer encoder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "accuracy.py"
QUICK = (
    "predict.num_threads=1",
    "model.max_length=64",
    "train.num_train_epochs=4",
    "train.learning_rate=0.02",
    "evaluate.bootstrap_resamples=100",
)


def run(tmp_path, *flags):
    command = [
        sys.executable,
        SCRIPT,
        "--run",
        tmp_path / "run",
        "--out",
        tmp_path / "results.json",
        *flags,
    ]
    # One thread: so small a model gains nothing by more, and loses much where other tests run beside it.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_judges_rows_that_the_run_has_not_seen_and_then_more_of_them(
    tmp_path, labelled_csv, encoder
):
    settings = [word for pair in QUICK for word in ("--set", pair)]
    done = run(
        tmp_path,
        "--data",
        labelled_csv,
        "--model",
        encoder,
        "--sample",
        "300",
        "--rows",
        "100",
        *settings,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    lines = {(line["model"], line["split"]): line for line in results["accuracy"]}
    torch, onnx = lines["torch checkpoint", "validation"], lines["ONNX bundle", "validation"]
    assert torch["value"] == pytest.approx(onnx["value"], abs=0.02)
    assert (
        lines["ONNX bundle", "test"]["rows"]
        == lines["TF-IDF + logistic regression", "test"]["rows"]
        == 100
    )
    assert results["verdict"] in done.stdout
    assert str(tmp_path) not in json.dumps(results)

    again = run(tmp_path, "--rows", "200")
    assert again.returncode == 0, again.stderr
    wider = json.loads((tmp_path / "results.json").read_text())
    assert wider["model"] == results["model"]
    assert {line["rows"] for line in wider["accuracy"] if line["split"] == "test"} == {200}
    texts = {
        name: set(
            pq.read_table(tmp_path / "run" / "splits-200" / f"{name}.parquet")["text"].to_pylist()
        )
        for name in ("train", "validation", "test")
    }
    assert not texts["test"] & (texts["train"] | texts["validation"])


@pytest.mark.slow
def test_without_a_run_it_says_what_it_needs(tmp_path):
    done = run(tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("accuracy: Expected --data and --model")
    assert not (tmp_path / "run").exists()
