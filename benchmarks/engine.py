"""How fast does a bundle answer, beside transformers' pipeline and a plain INT8 graph, and what does it cost?

    python benchmarks/accuracy.py --data FILE --model ENCODER     # leaves a run; any other of linnet's will do
    python benchmarks/engine.py --run runs/accuracy

In one process each, in turns, on the texts of the test split: `transformers.pipeline` in float32 with batches of 1 and
of 16; ONNX Runtime's dynamic INT8 with its defaults, in batches of 16 as the texts come; and `linnet.load`, as `linnet
optimize` chose it on this machine, for each variant. Cleaning and tokenising count. Two models: the run's own, and one
of DistilBERT-base's shape with random weights, whose bundle is made here ungated, for it has no accuracy to lose.
The run's variants, and the plain INT8 graph, are judged on the rows of the test split. A ratio is of one round; the
table shows medians.

The share of the peak is of the operations that the texts' tokens take, padding not counted, to those of the fastest of
some large products in the variant's own precision.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import quantize_dynamic
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DistilBertConfig,
    pipeline,
)

import linnet
from linnet.bundle import CARD, PROOF, REFERENCE, TOKENIZER, Bundle, write_manifest
from linnet.data import read_split
from linnet.evaluate.intervals import Agreement, largest_drop, paired_difference
from linnet.export.checkpoint import load_checkpoint
from linnet.export.graph import write_graph
from linnet.export.quantize import dynamic, static
from linnet.export.variants import ENGINES
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.predict.batching import pad, token_budget_batches
from linnet.predict.optimize import optimize
from linnet.text import Tokenizer

RESULTS = Path(__file__).parent / "results" / "engine.json"
LEVEL, MAX_LENGTH, CALIBRATION = 0.95, 128, 300
PEERS = {
    "pipeline-1": "transformers pipeline, float32, batch 1",
    "pipeline-16": "transformers pipeline, float32, batch 16",
    "plain-int8": "ONNX Runtime dynamic INT8, unsorted, batch 16",
}
GOALS = {"pipeline-1": 15, "pipeline-16": 8, "plain-int8": 2}
SLOW = {"pipeline-1": 8, "pipeline-16": 4}  # are timed on so many times fewer texts


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    if arguments.one:
        print(json.dumps(_run_one(*arguments.one, texts=arguments.texts)))
        return
    splits = arguments.splits or arguments.run / "splits"
    results = (
        json.loads(arguments.out.read_text(encoding="utf-8"))
        if arguments.out.is_file()
        else {"shapes": {}}
    )
    with tempfile.TemporaryDirectory() as folder:
        for shape in arguments.shapes:
            place = (
                _own(arguments.run, Path(folder))
                if shape == "run"
                else make_base(arguments.run, splits, Path(folder))
            )
            results["shapes"][shape] = _measure(place, splits, arguments)
            if shape == "run":
                results["accuracy"] = _accuracy(place, splits, arguments.judged)
            write_text(arguments.out, canonical_json(results))  # now, as the next may fail
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="a run of Linnet's, with checkpoint and bundle"
    )
    parser.add_argument(
        "--splits", type=Path, metavar="DIR", help="other splits than the run's own"
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        choices=("run", "base"),
        default=["run", "base"],
        help="which models (both); FILE keeps the others",
    )
    parser.add_argument(
        "--texts", type=int, default=1024, metavar="N", help="texts timed in each run (1,024)"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="runs of each, in turns (5)"
    )
    parser.add_argument(
        "--budget", type=float, default=60, metavar="SECONDS", help="of linnet optimize (60)"
    )
    parser.add_argument(
        "--judged", type=int, metavar="N", help="rows of the test split to judge on (all)"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--one", nargs=3, metavar=("NAME", "PLACE", "SPLITS"), help=argparse.SUPPRESS
    )
    return parser


def _own(run: Path, folder: Path) -> Path:
    """The run's model, as a place that holds `checkpoint`, `bundle` and `plain.onnx`."""
    place = folder / "run"
    place.mkdir()
    for name in ("checkpoint", "bundle"):
        shutil.copytree(run / name, place / name)
    quantize_dynamic(place / "bundle" / "model.onnx", place / "plain.onnx")
    return place


def make_base(run: Path, splits: Path, folder: Path) -> Path:
    """The same for a DistilBERT of base size with random weights; all variants are in its bundle, unproven."""
    place = folder / "base"
    bundle, checkpoint = place / "bundle", place / "checkpoint"
    bundle.mkdir(parents=True)
    torch.manual_seed(0)
    names = {0: "negative", 1: "positive"}  # without which infinity takes it for a reranker
    AutoModelForSequenceClassification.from_config(
        DistilBertConfig(id2label=names)
    ).save_pretrained(checkpoint)
    shutil.copy(run / "checkpoint" / "tokenizer.json", checkpoint / "tokenizer.json")
    settings = json.loads(
        (run / "checkpoint" / "tokenizer_config.json").read_text(encoding="utf-8")
    )
    settings["model_input_names"] = [
        "input_ids",
        "attention_mask",
    ]  # older transformers give others too, and fail
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    trained = load_checkpoint(checkpoint, MAX_LENGTH)
    write_graph(trained.model, bundle / "model.onnx", 20)
    ids = [
        row.ids for row in trained.tokenizer.encode(read_split(splits, "train").texts[:CALIBRATION])
    ]
    groups = token_budget_batches([len(row) for row in ids], 512)
    batches = [pad([ids[i] for i in group], trained.tokenizer.pad_id) for group in groups]
    for name, quantize in {"int8-dynamic": dynamic, "int8-static": static}.items():
        quantize(bundle / "model.onnx", bundle / f"model.{name}.onnx", [], batches)
    quantize_dynamic(bundle / "model.onnx", place / "plain.onnx")
    shutil.copy(checkpoint / "tokenizer.json", bundle / TOKENIZER)
    counts = np.bincount([len(row) for row in ids]).tolist()
    checks = {
        name: {"passed": True, "detail": "none: random weights"} for name in ("parity", "accuracy")
    }
    write_text(bundle / PROOF, canonical_json({"checks": checks, "variants": []}))
    write_text(bundle / REFERENCE, canonical_json({"token_length": {"counts": counts}}))
    write_text(bundle / CARD, "Random weights.\n")
    int8 = {name: f"model.{name}.onnx" for name in ("int8-dynamic", "int8-static")}
    write_manifest(
        bundle,
        name="base",
        created=lineage()["created"],
        labels=list(trained.labels),
        problem_type="single_label_classification",
        max_length=MAX_LENGTH,
        temperature=1.0,
        lineage={},
        models={"fp32": "model.onnx", "bf16": "model.onnx", **int8},
        engines=ENGINES | {"fp32": ("onnxruntime", "openvino")},
    )
    return place


def _measure(place: Path, splits: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    chosen = _choices(place / "bundle", arguments.budget)
    names = [*PEERS, *chosen]
    rounds = [
        {name: _ask(arguments, name, place, splits) for name in names}
        for _ in range(arguments.rounds)
    ]
    facts = {"cores": os.cpu_count(), "texts": arguments.texts, "lineage": lineage()}
    return {
        "plans": chosen,
        "rounds": rounds,
        "peak": _ask(arguments, "peak", place, splits),
        **facts,
    }


def _choices(bundle: Path, budget: float) -> dict[str, Any]:
    """The fastest plan of each variant that `linnet optimize` measured; its own choice is among them."""
    found = optimize(bundle, "throughput", budget)
    fields = ("engine", "variant", "num_threads", "num_sessions", "max_batch_tokens")
    best: dict[str, Any] = {}
    for row in sorted(found["table"], key=lambda row: row["texts_per_second"]):
        best[f"linnet:{row['variant']}"] = {field: row[field] for field in fields}
    best[f"linnet:{found['plan']['variant']}"] = found["plan"]
    for key, plan in best.items():
        write_text(bundle.parent / f"{key}.json", json.dumps(plan))
    return best


def _ask(arguments: argparse.Namespace, name: str, place: Path, splits: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        __file__,
        "--texts",
        str(arguments.texts),
        "--one",
        name,
        str(place),
        str(splits),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{place.name} {name} failed: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{place.name} {name}: {found}", file=sys.stderr, flush=True)
    return found


def _run_one(name: str, place: str, splits: str, texts: int) -> dict[str, Any]:
    folder = Path(place)
    if name == "peak":
        variants = [path.stem.partition(":")[2] for path in folder.glob("linnet:*.json")]
        return _peak({variant.partition("-")[0] for variant in variants})
    chosen = read_split(Path(splits), "test").texts[: texts // SLOW.get(name, 1)]
    started = time.perf_counter()
    answer = _answerer(name, folder)
    answer(chosen[:1])
    first = time.perf_counter() - started
    answer(chosen[:64])
    started = time.perf_counter()
    answer(chosen)
    seconds = time.perf_counter() - started
    work = _operations(folder / "checkpoint", chosen)
    return {
        "texts_per_second": len(chosen) / seconds,
        "first_answer": first,
        "operations_per_second": work / seconds,
    }


def _answerer(name: str, place: Path) -> Callable[[list[str]], Any]:
    if name.startswith("linnet:"):
        plan = json.loads((place / f"{name}.json").read_text(encoding="utf-8"))
        return linnet.load(place / "bundle", **plan).predict
    if name == "plain-int8":
        return _plain_answerer(place)
    size = int(name.partition("-")[2])
    ask = pipeline(
        "text-classification",
        model=str(place / "checkpoint"),
        device="cpu",
        torch_dtype=torch.float32,
    )
    return lambda texts: ask(texts, batch_size=size, truncation=True, max_length=MAX_LENGTH)


def _plain_answerer(place: Path) -> Callable[[list[str]], Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        place / "plain.onnx", options, providers=["CPUExecutionProvider"]
    )
    tokenizer = AutoTokenizer.from_pretrained(place / "checkpoint")

    def answer(texts: list[str]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(texts), 16):
            batch = texts[start : start + 16]
            rows = tokenizer(
                batch, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="np"
            )
            feed = {name: rows[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
            parts += session.run(["logits"], feed)
        return np.concatenate(parts)

    return answer


def _operations(checkpoint: Path, texts: Sequence[str]) -> float:
    """Additions and multiplications of the encoder's products for these texts' own tokens."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    width, inner, layers = config["dim"], config["hidden_dim"], config["n_layers"]
    tokenizer = Tokenizer(checkpoint / "tokenizer.json", MAX_LENGTH)
    lengths = np.array([len(row.ids) for row in tokenizer.encode(list(texts))], np.float64)
    token = 2 * (4 * width * width + 2 * width * inner)
    return float(layers * (token * lengths + 4 * width * lengths**2).sum())


def _peak(precisions: Set[str]) -> dict[str, float]:
    """Operations a second of the fastest of some large products, by precision; others may take minutes here."""
    rows, inner, columns = 512, 768, 3072
    found = {}
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        if name not in precisions:
            continue
        left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
        found[name] = _fastest(lambda left=left, right=right: left @ right)
    left, right = (
        torch.ones(rows, inner, dtype=torch.int8),
        torch.ones(inner, columns, dtype=torch.int8),
    )
    in_torch = _fastest(lambda: torch._int_mm(left, right))
    session = _integer_product(inner, columns)
    feed = {"left": np.ones((rows, inner), np.uint8)}
    found["int8"] = min(in_torch, _fastest(lambda: session.run(None, feed)))
    return {name: 2 * rows * inner * columns / seconds for name, seconds in found.items()}


def _integer_product(inner: int, columns: int) -> onnxruntime.InferenceSession:
    weight = helper.make_tensor(
        "right", TensorProto.INT8, [inner, columns], np.ones(inner * columns, np.int8).tolist()
    )
    given = helper.make_tensor_value_info("left", TensorProto.UINT8, [None, inner])
    result = helper.make_tensor_value_info("product", TensorProto.INT32, [None, columns])
    node = helper.make_node("MatMulInteger", ["left", "right"], ["product"])
    graph = helper.make_graph([node], "product", [given], [result], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def _fastest(work: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(50):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def _accuracy(place: Path, splits: Path, rows: int | None) -> list[dict[str, Any]]:
    """Each variant in each engine that is proven and installed, and the plain INT8 graph, beside float32."""
    split, bundle = read_split(splits, "test"), place / "bundle"
    texts, labels = split.texts[:rows], split.labels[:rows]
    found = []
    exact: NDArray[np.bool_] | None = None
    engines = [
        (name, engine)
        for name, each in Bundle.read(bundle).manifest.engines.items()
        for engine in each
    ]
    for variant, engine in [*engines, ("plain-int8", "onnxruntime")]:
        if variant == "plain-int8":
            logits = _plain_answerer(place)(texts)
        else:
            logits = linnet.load(bundle, engine=engine, variant=variant).logits(texts)
        right = logits.argmax(axis=1) == labels
        exact = right if exact is None else exact  # float32 in ONNX Runtime is the first
        entry = {"variant": variant, "engine": engine, **cost(exact, right)}
        print(entry, file=sys.stderr, flush=True)
        found.append(entry)
    return found


def cost(exact: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, Any]:
    """What being right on some rows (n,), instead of what float32 is right on (n,), costs."""
    agreement = Agreement.count(exact, right)
    drop = paired_difference(agreement, LEVEL)
    return {
        "rows": len(right),
        "accuracy": float(right.mean()),
        "drop": {"value": drop.value, "low": drop.low, "high": drop.high},
        "largest_drop": largest_drop(agreement, LEVEL),
    }


def _show(results: dict[str, Any]) -> None:
    for shape, found in results["shapes"].items():
        rounds, plans = found["rounds"], found["plans"]
        title = f"{shape}: {found['cores']} cores, {found['texts']:,} texts, medians of {len(rounds)} rounds"
        table = Table(title=title, title_justify="left")
        for header in ("", "texts a second", *(f"times {name}" for name in PEERS), "share of peak"):
            table.add_column(header, justify="right" if header else "left")
        for name in (*PEERS, *plans):
            speeds = [each[name]["texts_per_second"] for each in rounds]
            ratios = [
                statistics.median(
                    each[name]["texts_per_second"] / each[peer]["texts_per_second"]
                    for each in rounds
                )
                for peer in PEERS
            ]
            cells = [f"{ratio:.1f}x" for ratio in ratios]
            words = PEERS.get(name) or _words(plans[name])
            table.add_row(words, f"{statistics.median(speeds):,.0f}", *cells, _share(name, found))
        Console().print(table)
    print(
        f"Asked for: {', '.join(f'{goal}x {peer}' for peer, goal in GOALS.items())}, at 0.2 points at most."
    )
    if "accuracy" not in results:
        return
    title = f"Accuracy of the run's bundle on {results['accuracy'][0]['rows']:,} rows"
    table = Table(title=title, title_justify="left")
    for header in (
        "variant",
        "engine",
        "accuracy",
        "points lost (95 % interval)",
        "at most, one-sided",
    ):
        table.add_column(header)
    for row in results["accuracy"]:
        low, value, high = (100 * row["drop"][key] for key in ("low", "value", "high"))
        cells = f"{100 * row['accuracy']:.2f} %", f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
        table.add_row(row["variant"], row["engine"], *cells, f"{100 * row['largest_drop']:.2f}")
    Console().print(table)


def _words(plan: dict[str, Any]) -> str:
    shared = f"{plan['num_sessions']} x {plan['num_threads']}"
    return f"Linnet, {plan['variant']} in {plan['engine']}, {shared}, {plan['max_batch_tokens']} tokens"


def _share(name: str, found: dict[str, Any]) -> str:
    if not name.startswith("linnet:"):
        return ""
    precision = name.partition(":")[2].partition("-")[0]
    speed = statistics.median(each[name]["operations_per_second"] for each in found["rounds"])
    return f"{100 * speed / found['peak'][precision]:.0f} % of {precision}"


if __name__ == "__main__":
    main()
