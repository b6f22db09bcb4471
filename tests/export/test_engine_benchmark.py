"""The benchmark of engines runs from end to end, on the tiny model."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "engine.py"


@pytest.mark.slow
def test_it_measures_and_judges(checkpoint, bundle, splits, tmp_path, capsys):
    run = tmp_path / "run"
    for name, folder in {"checkpoint": checkpoint, "bundle": bundle, "splits": splits}.items():
        shutil.copytree(folder, run / name)
    spec = importlib.util.spec_from_file_location("engine_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    quick = ("--texts", "40", "--rounds", "1", "--budget", "0", "--shapes", "run")
    module.main(["--run", str(run), *quick, "--out", str(tmp_path / "engine.json")])
    results = json.loads((tmp_path / "engine.json").read_text())
    (measured,) = results["shapes"]["run"]["rounds"]
    assert set(measured) >= {"pipeline-1", "pipeline-16", "plain-int8", "linnet:fp32"}
    assert all(found["texts_per_second"] > 0 for found in measured.values())
    measured = {
        name.partition(":")[2].partition("-")[0] for name in results["shapes"]["run"]["plans"]
    }
    assert set(results["shapes"]["run"]["peak"]) == measured | {"int8"}
    exact = results["accuracy"][0]
    assert (exact["variant"], exact["engine"], exact["drop"]["value"]) == ("fp32", "onnxruntime", 0)
    assert not (run / "bundle" / "host.json").exists()
    assert "Linnet, fp32 in" in capsys.readouterr().out
