"""`linnet optimize` measures what is proven, leaves out what answers otherwise here, and writes what was fastest."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.cli.main import main
from linnet.errors import BundleError
from linnet.predict import optimize as module
from linnet.predict.host import this_host
from linnet.predict.optimize import optimize
from linnet.predict.plan import Plan
from linnet.predict.runner import Runner
from linnet.predict.synthetic import synthetic_rows


@pytest.fixture
def copy(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle to measure quickly, on a host of two cores."""
    monkeypatch.setattr(module, "available_cores", lambda: 2)
    monkeypatch.setattr(module, "TEXTS", {"throughput": 12, "latency": 3})
    shutil.copytree(bundle, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.mark.parametrize("goal", ["throughput", "latency"])
def test_the_choice_is_the_fastest_that_was_measured(copy, goal):
    found = optimize(copy, goal, budget=0)
    assert found["goal"] == goal and found["host"] == this_host().described
    assert found["left_out"] == []
    measured = {(row["variant"], row["engine"]) for row in found["table"]}
    assert measured == {
        (v, e) for v, engines in Bundle.read(copy).manifest.engines.items() for e in engines
    }
    assert all(row["rounds"] == 3 and row["texts_per_second"] > 0 for row in found["table"])
    if goal == "latency":
        assert {row["num_sessions"] for row in found["table"]} == {1}
        assert found["plan"]["num_sessions"] == 1
    else:
        assert {row["max_batch_tokens"] for row in found["table"]} == {
            128,
            256,
            512,
            1024,
            2048,
            4096,
        }
    classifier = linnet.load(copy)
    assert classifier.plan == Plan(**found["plan"])
    assert "measured on this host" in classifier.reason


def slow_runner(slow: Any) -> type[Runner]:
    class Slow(Runner):
        def logits(self, rows):
            time.sleep(0.02 * slow(self.plan))
            return super().logits(rows)

    return Slow


@pytest.mark.parametrize(
    ("slow", "chosen"),
    [
        (lambda plan: plan.engine == "onnxruntime", ("engine", "openvino")),
        (lambda plan: plan.engine == "openvino", ("engine", "onnxruntime")),
        (lambda plan: 1 + (plan.num_sessions == 1), ("num_sessions", 2)),
        (lambda plan: 1 + (plan.num_sessions != 1), ("num_threads", 2)),
        (lambda plan: 1 + (plan.max_batch_tokens != 1024), ("max_batch_tokens", 1024)),
    ],
)
def test_each_coordinate_is_found(copy, monkeypatch, slow, chosen):
    monkeypatch.setattr(module, "Runner", slow_runner(slow))
    name, value = chosen
    assert optimize(copy, budget=0)["plan"][name] == value


def test_the_budget_bounds_the_rounds(copy):
    started = time.perf_counter()
    found = optimize(copy, budget=3)
    assert time.perf_counter() - started < 30
    assert max(row["rounds"] for row in found["table"]) == module.MOST_ROUNDS


def reprove(copy: Path, change: Any) -> None:
    """Change proof.json's variants and seal the bundle again."""
    proof = json.loads((copy / "proof.json").read_text())
    change(proof["variants"])
    (copy / "proof.json").write_text(json.dumps(proof))
    fields = Bundle.read(copy).manifest.model_dump(
        mode="json", exclude={"format", "files", "digest"}
    )
    write_manifest(copy, **fields)


def shift(engine: str, by: float) -> Any:
    def change(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            if entry["engine"] == engine and entry["accepted"]:
                entry["witness"] = (np.array(entry["witness"]) + by).tolist()

    return change


def test_a_variant_that_answers_otherwise_here_is_left_out(copy):
    reprove(copy, shift("openvino", 0.5))
    found = optimize(copy, budget=0)
    assert found["left_out"] and {left["engine"] for left in found["left_out"]} == {"openvino"}
    assert all("from those that it was proven with" in left["reason"] for left in found["left_out"])
    assert found["plan"]["engine"] == "onnxruntime"


def test_float32_that_answers_otherwise_here_is_an_error(copy):
    reprove(copy, shift("onnxruntime", 0.5))
    with pytest.raises(
        BundleError, match=r"its logits are 0\.5 from those that it was proven with \(allowed: 0"
    ):
        optimize(copy, budget=0)
    assert not (copy / "host.json").exists()


def test_an_engine_that_is_not_installed_is_left_out(copy, monkeypatch):
    monkeypatch.setattr(module, "installed", lambda engine: engine != "openvino")
    found = optimize(copy, budget=0)
    assert {left["reason"] for left in found["left_out"]} == {"openvino is not installed here"}


def test_a_bundle_of_an_older_format_has_no_witnesses(copy):
    reprove(copy, lambda entries: entries.clear())
    assert (
        optimize(copy, "latency", budget=0)["plan"]["variant"] in Bundle.read(copy).manifest.engines
    )


def test_a_changed_bundle_is_not_measured(copy):
    (copy / "README.md").write_text("changed")
    with pytest.raises(BundleError, match=r"README\.md was changed"):
        optimize(copy)


def test_rows_are_as_long_as_the_texts():
    counts = [0, 0, 0, 10, 30, 60]
    rows = synthetic_rows(counts, 50, 100)
    assert np.bincount([len(row) for row in rows]).tolist() == counts
    assert rows == synthetic_rows(counts, 50, 100)
    assert {token for row in rows for token in row} <= set(range(50))
    assert [len(row) for row in synthetic_rows([5], 50, 3)] == [1, 1, 1]


def test_the_command_tells_what_it_found(copy, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    reprove(copy, shift("openvino", 0.5))
    assert main(["optimize", str(copy), "--budget", "0"]) == 0
    printed = capsys.readouterr().out
    assert "Left out: fp32 in openvino: its logits are 0.5 from" in printed
    assert "Fastest for throughput: engine=onnxruntime" in printed
    assert f"Written to {copy / 'host.json'}" in printed


def test_no_such_bundle(tmp_path, capsys):
    assert main(["optimize", str(tmp_path / "none")]) == 5
    assert "No such bundle" in capsys.readouterr().err
