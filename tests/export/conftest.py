"""Exports without their slowest part."""

import shutil
from pathlib import Path

import pytest

from linnet.export import stage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    """Takes the session's graph of the same checkpoint instead of exporting it each time, which takes seconds."""
    monkeypatch.setattr(stage, "write_graph", lambda model, path, opset: shutil.copy(bundle / "model.onnx", path))
