"""Exports without their slowest part."""

from pathlib import Path

import onnx
import pytest

from linnet.export import stage
from linnet.export.model_file import write_model


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    """Takes the session's graph of the same checkpoint instead of exporting it each time, which takes seconds.

    Memory is not measured: each time that starts a process.
    """
    graph = bundle / "model.onnx"
    monkeypatch.setattr(
        stage, "write_graph", lambda model, path, opset: write_model(onnx.load(graph), path)
    )
    monkeypatch.setattr(stage, "measure_peak", lambda *_: None)
