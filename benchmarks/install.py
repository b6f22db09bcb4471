"""How large is Linnet where it serves, how soon does it answer, and how much memory does that take?

    python benchmarks/install.py

Builds the wheel, installs it without extras into a new virtual environment, and asks there, each time in a new process:
`import linnet`; a bundle of DistilBERT-base's shape (random weights, 30,522 tokens, made here with the extra `train`)
from the import to its first answer, digests and proof verified; and what `explain` of a text of thirty words costs,
beside one answer. Figures are medians. Exits with 1 where one is beyond its limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from linnet.bundle import CARD, PROOF, REFERENCE, TOKENIZER, Bundle, write_manifest
from linnet.export.graph import write_graph
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "install.json"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LIMITS = {
    "site_packages_mb": 300,
    "import_seconds": 0.15,
    "first_answer_seconds": 1.0,
    "explain_answers": 20,
}
TITLES = {
    "site_packages_mb": "site-packages after pip install, pip included, MB",
    "import_seconds": "import linnet, s",
    "first_answer_seconds": "import and bundle to first answer, s",
    "resident_mb": "resident memory after it, MB",
    "peak_mb": "resident memory at most, MB",
    "explain_answers": "explain 30 words, in answers to the same text",
}
IMPORT = """
import time
started = time.perf_counter()
import linnet
print(time.perf_counter() - started)
"""
ANSWER = """
import json, re, sys, time
started = time.perf_counter()
import linnet
classifier = linnet.load(sys.argv[1])
classifier.predict(["w7 w8 what a lovely day"])
seconds = time.perf_counter() - started
status = open("/proc/self/status").read()
resident, peak = (int(re.search(name + r":\\s+(\\d+) kB", status)[1]) / 1000 for name in ("VmRSS", "VmHWM"))
print(json.dumps([seconds, resident, peak]))
"""
EXPLAIN = """
import json, statistics, sys, time
import linnet
classifier = linnet.load(sys.argv[1])
text = " ".join(f"w{number}" for number in range(100, 130))
def seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
tries = [(seconds(lambda: classifier.predict([text])), seconds(lambda: classifier.explain(text))) for _ in range(11)]
print(json.dumps([statistics.median(column) for column in zip(*tries[1:])]))
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=11, metavar="N", help="new processes for each figure (11)"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        python, packages = install(Path(folder))
        bundle = make_bundle(Path(folder) / "bundle")
        found = measure(python, bundle, arguments.rounds)
        size = sum(packages.values())
        model = Bundle.read(bundle).model_bytes() / 1e6
    results = {
        "site_packages_mb": size,
        **found,
        "packages_mb": packages,
        "model_mb": model,
        "limits": LIMITS,
    }
    results |= {"cores": os.cpu_count(), "rounds": arguments.rounds, "lineage": lineage()}
    write_text(arguments.out, canonical_json(results))
    sys.exit(show(results))


def install(folder: Path) -> tuple[Path, dict[str, float]]:
    """A new environment's Python, and how many MB each entry of its site-packages takes."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("linnet_text-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "--quiet", "install", wheel], check=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    return python, {entry.name: _size(entry) / 1e6 for entry in sorted(site.iterdir())}


def _size(entry: Path) -> int:
    files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files)


def make_bundle(folder: Path) -> Path:
    """A bundle of DistilBERT-base's shape; its proof proves nothing, for random weights have nothing to prove."""
    folder.mkdir()
    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(DistilBertConfig()).eval()
    write_graph(model, folder / "model.onnx", 20)
    words = [
        *SPECIAL,
        "##s",
        *(f"w{number}" for number in range(model.config.vocab_size - len(SPECIAL) - 1)),
    ]
    tokenizer = Tokenizer(
        models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / TOKENIZER))
    checks = {
        name: {"passed": True, "detail": "none: random weights"} for name in ("parity", "accuracy")
    }
    write_text(folder / PROOF, canonical_json({"checks": checks}))
    write_text(folder / REFERENCE, canonical_json({}))
    write_text(folder / CARD, "Random weights.\n")
    write_manifest(
        folder,
        name="base",
        created=lineage()["created"],
        labels=["negative", "positive"],
        problem_type="single_label_classification",
        max_length=128,
        temperature=1.0,
        lineage={},
        models={"fp32": "model.onnx"},
    )
    return folder


def measure(python: Path, bundle: Path, rounds: int) -> dict[str, float]:
    """Medians of so many new processes each."""
    imports = [ask(python, IMPORT) for _ in range(rounds)]
    answers = [ask(python, ANSWER, str(bundle)) for _ in range(rounds)]
    costs = [
        explained / answered
        for answered, explained in (ask(python, EXPLAIN, str(bundle)) for _ in range(3))
    ]
    first, resident, peak = map(statistics.median, zip(*answers, strict=True))
    return {
        "import_seconds": statistics.median(imports),
        "first_answer_seconds": first,
        "resident_mb": resident,
        "peak_mb": peak,
        "explain_answers": statistics.median(costs),
    }


def ask(python: Path, code: str, *arguments: str) -> Any:
    """What a new process prints, as JSON. It is isolated, so that it can't import this checkout."""
    done = subprocess.run(
        [python, "-I", "-c", code, *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout)


def show(results: dict[str, Any]) -> int:
    """Print the table; 1 if a figure is beyond its limit, else 0."""
    table = Table(
        "",
        "found",
        "at most",
        title="A new environment, DistilBERT-base's shape",
        title_justify="left",
    )
    beyond = 0
    for name, title in TITLES.items():
        limit = LIMITS.get(name)
        over = limit is not None and results[name] > limit
        beyond |= over
        found = f"{results[name]:.1f}" if name.endswith("_mb") else f"{results[name]:.3g}"
        table.add_row(title, found + (" !" if over else ""), "" if limit is None else str(limit))
    Console().print(table)
    largest = sorted(results["packages_mb"].items(), key=lambda item: -item[1])[:8]
    print("Largest: " + ", ".join(f"{name} {size:.0f} MB" for name, size in largest))
    return int(beyond)


if __name__ == "__main__":
    main()
