"""`import linnet` is light, and a bundle answers without anything that trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import linnet

TEXTS = ["I love this film", "so bad &amp; so very not good", "rain " * 100]
BUILD_SIDE = [
    "torch",
    "transformers",
    "sklearn",
    "scipy",
    "pyarrow",
    "onnx",
    "onnxscript",
    "matplotlib",
    "safetensors",
]

ASK_WITHOUT_BUILD_SIDE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")

bundle, BLOCKED, texts = json.loads(sys.argv[1])
sys.meta_path.insert(0, Blocked())
import linnet
answers = linnet.load(bundle).predict(texts)
assert not set(BLOCKED) & {name.partition(".")[0] for name in sys.modules}
print(json.dumps([[a.label, a.probability, a.probabilities, a.truncated] for a in answers]))
"""


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_answers_without_the_build_side(bundle: Path) -> None:
    out = run_python(ASK_WITHOUT_BUILD_SIDE, json.dumps([str(bundle), BUILD_SIDE, TEXTS]))
    here = linnet.load(bundle).predict(TEXTS)
    assert json.loads(out) == [[a.label, a.probability, a.probabilities, a.truncated] for a in here]
    assert [a.truncated for a in here] == [False, False, True]


def test_the_blocker_blocks() -> None:
    code = ASK_WITHOUT_BUILD_SIDE.replace("import linnet\n", "import torch\n")
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(["x", BUILD_SIDE, []])],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "torch is blocked" in done.stderr


def test_import_is_light() -> None:
    code = """
import sys, time
before = set(sys.modules)
started = time.perf_counter()
import linnet
print(time.perf_counter() - started)
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    runs = [run_python(code).splitlines() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in runs) < 0.15
    assert not {"numpy", "onnxruntime", "tokenizers", "torch", "pydantic", "rich", "email"} & set(
        runs[0][1].split()
    )


def test_public_names() -> None:
    assert set(dir(linnet)) == set(linnet.__all__)
    for name in linnet.__all__:
        assert getattr(linnet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        linnet.nonsense  # noqa: B018
