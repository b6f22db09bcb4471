"""What is each technique of fine-tuning worth, with the same labels?

    python benchmarks/techniques.py --splits SPLITS --model ENCODER

fine-tunes ENCODER on the train split by one recipe, plainly and with one technique at a time, from several seeds (of
the head, the order and dropout), and judges the weights it ends with on the same test rows. What `linnet train` has a
setting for is set; the others live here alone, as long as they don't pay. A gain is over the plain run of the same
seed. Runs that stand in the run's folder are kept, so more seeds or techniques add to what is there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from recipes import MEANS, PLAIN, RECIPE, TECHNIQUES, WORDS, Hidden, Mean, Technique, WordsHead
from rich.console import Console
from rich.table import Table
from scipy.stats import t

from linnet.config import TrainConfig, load_config
from linnet.data import read_split
from linnet.errors import LinnetError, UsageError
from linnet.files import canonical_json, digest, write_text
from linnet.lineage import lineage
from linnet.text import Tokenizer
from linnet.train.batches import Encoded, encode
from linnet.train.classify import Classify
from linnet.train.encoder import Encoder, find_encoder, load_classifier, read_config
from linnet.train.loop import Loop
from linnet.train.packed import Packed, fits
from linnet.train.precision import choose_precision
from linnet.train.train import NOT_IN_RESULT, dropouts

RESULTS = Path(__file__).parent / "results" / "techniques.json"
LEVEL = 0.95


@dataclass(frozen=True)
class Material:
    """What a run is made of: the encoder, and the splits with places among the tokens that are known for token ids.

    Attributes:
        encoder: The encoder to start from.
        tokenizer: Its tokenizer.
        dtype: What its products are computed in.
        learn: The train split.
        validate: The validation split.
        judged: The rows of the test split that runs are judged on.
        known: Ids of their tokens, sorted.
        label_names: By label id.
    """

    encoder: Encoder
    tokenizer: Tokenizer
    dtype: torch.dtype
    learn: Encoded
    validate: Encoded
    judged: Encoded
    known: np.ndarray
    label_names: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    if arguments.one:
        name, seed = arguments.one
        _run_one(arguments, name, int(seed))
        return
    arguments.run.mkdir(parents=True, exist_ok=True)
    sources = _sources(arguments)
    names = list(dict.fromkeys([PLAIN, *arguments.techniques]))
    pairs = [(name, seed) for seed in range(1, arguments.seeds + 1) for name in names]
    missing = [
        pair for pair in pairs if not all(_made(arguments, *of, sources) for of in _gives(*pair))
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda pair: _ask(arguments, *pair, sources["precision"]), missing))
    results = _results(arguments, sources)
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--splits", type=Path, required=True, metavar="DIR", help="what `linnet prepare` wrote"
    )
    parser.add_argument(
        "--model", required=True, metavar="ENCODER", help="a folder in Hugging Face layout"
    )
    parser.add_argument(
        "--techniques", nargs="+", choices=TECHNIQUES, default=list(TECHNIQUES), help="which (all)"
    )
    parser.add_argument("--seeds", type=_positive, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument(
        "--rows", type=_positive, default=20_000, metavar="N", help="test rows to judge on (20,000)"
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=1,
        metavar="N",
        help="runs at a time, which share the cores (1)",
    )
    parser.add_argument(
        "--run", type=Path, default=Path("runs/techniques"), metavar="DIR", help="the run's folder"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--bf16",
        default="auto",
        choices=("auto", "true", "false"),
        help="compute in bfloat16 (auto)",
    )
    parser.add_argument("--one", nargs=2, metavar=("TECHNIQUE", "SEED"), help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more; got {text}")
    return number


def _sources(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that runs have in common."""
    encoder = find_encoder(arguments.model)
    bf16 = arguments.bf16 if arguments.bf16 == "auto" else arguments.bf16 == "true"
    return {
        "encoder": encoder.identity() | {"name": encoder.folder.name},
        "num_threads": max(1, (os.cpu_count() or 1) // arguments.jobs),
        "max_length": load_config(None).model.max_length,
        "precision": choose_precision(
            bf16, read_config(encoder).hidden_size, torch.device("cpu")
        ).name,
        "rows": arguments.rows,
        "splits": {file.name: digest(file) for file in sorted(arguments.splits.glob("*.parquet"))},
    }


def _settings(name: str, seed: int) -> TrainConfig:
    return load_config(None, RECIPE | TECHNIQUES[name].settings | {"train.seed": seed}).train


def _identity(name: str, seed: int, sources: dict[str, Any]) -> dict[str, Any]:
    """All that a run's figures depend on but the code; a technique's numbers that are no settings are in its words."""
    settings = _settings(PLAIN if name in MEANS else name, seed).model_dump(
        mode="json", exclude=NOT_IN_RESULT
    )
    return sources | {"technique": WORDS[name], "train": settings}


def _gives(name: str, seed: int) -> list[tuple[str, int]]:
    """What a run gives: its own figure, and a plain one the means' too."""
    return [(of, seed) for of in ([PLAIN, *MEANS] if name == PLAIN else [name])]


def _ask(arguments: argparse.Namespace, name: str, seed: int, precision: str) -> None:
    """Have a run made in a process of its own; it does not measure the precision anew, beside the others."""
    bf16 = str(precision == "bf16").lower()
    told = [
        "--splits",
        arguments.splits,
        "--model",
        arguments.model,
        "--rows",
        arguments.rows,
        "--run",
        arguments.run,
    ]
    told += ["--jobs", arguments.jobs, "--bf16", bf16, "--one", name, seed]
    done = subprocess.run([sys.executable, __file__, *map(str, told)])
    if done.returncode:
        raise UsageError(
            f"The run of {name} with seed {seed} ended with exit code {done.returncode}; it says why above."
        )


def _made(
    arguments: argparse.Namespace, name: str, seed: int, sources: dict[str, Any]
) -> dict[str, Any] | None:
    """What stands of a run."""
    file = arguments.run / f"{name}-{seed}.json"
    if not file.is_file():
        return None
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    asked = _identity(name, seed, sources)
    other = [key for key, value in asked.items() if made["identity"].get(key) != value]
    if other:
        raise UsageError(f"{file} was made with other {', '.join(other)}. Choose another --run.")
    return made


def _run_one(arguments: argparse.Namespace, name: str, seed: int) -> None:
    sources, settings, technique = _sources(arguments), _settings(name, seed), TECHNIQUES[name]
    torch.set_num_threads(sources["num_threads"])
    material = _material(arguments, sources, technique)
    run = f"{name}, seed {seed}"
    loop, before, first_seconds = _loop(material, technique, settings, run)
    means = {of: mean(loop) for of, mean in MEANS.items()} if name == PLAIN else {}
    seconds = first_seconds + _train(loop, run, list(means.values()))
    history = [asdict(epoch) for epoch in loop.state.history]
    found = {"before": before, "history": history, "seconds": seconds, "lineage": lineage()}
    accuracies = {name: _accuracy(loop.task, material.judged)}
    for of, mean in means.items():
        mean.apply()
        accuracies[of] = _accuracy(loop.task, material.judged)
    for of, accuracy in accuracies.items():
        own = {"accuracy": accuracy, "identity": _identity(of, seed, sources)}
        write_text(arguments.run / f"{of}-{seed}.json", canonical_json(found | own))
        print(f"{of}, seed {seed}: {accuracy:.2%}", flush=True)


def _train(loop: Loop, run: str, means: Sequence[Mean] = ()) -> float:
    """Train to the end; gives the seconds, without those of the means."""
    aside, started = 0.0, time.perf_counter()

    def on_step(texts: int, loss: float) -> None:
        nonlocal aside
        begun = time.perf_counter()
        for mean in means:
            mean.add(loop.state.step)
        aside += time.perf_counter() - begun

    while loop.stop_reason is None:
        print(f"{run}: {loop.run_epoch(on_step)}", flush=True)
    return time.perf_counter() - started - aside


def _accuracy(task: Classify, judged: Encoded) -> float:
    return float((task.logits(judged).argmax(axis=1) == judged.labels).mean())


def _material(
    arguments: argparse.Namespace, sources: dict[str, Any], technique: Technique
) -> Material:
    encoder, dtype = (
        find_encoder(arguments.model),
        torch.bfloat16 if sources["precision"] == "bf16" else torch.float32,
    )
    tokenizer = encoder.tokenizer(sources["max_length"])
    splits = [read_split(arguments.splits, name) for name in ("train", "validation", "test")]
    test, rows = splits[2], slice(0, arguments.rows)
    if test.multi_label:
        raise UsageError("Expected splits of one label a text.")
    splits[2] = replace(test, texts=test.texts[rows], labels=test.labels[rows])
    encoded = [encode(split, tokenizer, shown=False) for split in splits]
    more = [_mask(encoder)] if technique.before else []
    known = np.unique(np.concatenate([more, *(split.ids for split in encoded)])).astype(np.int64)
    learn, validate, judged = (split.within(known) for split in encoded)
    return Material(
        encoder, tokenizer, dtype, learn, validate, judged, known, tuple(test.label_names)
    )


def _loop(
    material: Material, technique: Technique, settings: TrainConfig, run: str
) -> tuple[Loop, list[dict[str, Any]], float]:
    """What trains, and the epochs of what the encoder has learnt before, with their seconds."""
    model, before, seconds = _load(material, settings), [], 0.0
    if technique.before:
        first = _first(material, technique.before, settings)
        seconds = _train(first, f"{run}, before")
        before = [asdict(epoch) for epoch in first.state.history]
        _take_encoder(model, first.weights.state_dict())
    network = technique.network(model, material.dtype, material.known, settings.seed)
    loop = Loop(technique.task(network, settings, material.validate), settings, material.learn)
    loop.optimizer = technique.optimizer(loop.weights, settings.weight_decay)
    return loop, before, seconds


def _load(material: Material, settings: TrainConfig) -> Any:
    torch.manual_seed(settings.seed)
    rates = dropouts(settings)
    model = load_classifier(
        material.encoder, material.label_names, material.tokenizer, dropouts=rates
    )
    if not fits(model):
        raise UsageError("Expected an encoder that is trained without padding.")
    return model


def _first(material: Material, kind: type[Hidden], settings: TrainConfig) -> Loop:
    """The run before the run, by the same settings."""
    model, known = _load(material, settings), material.known
    model.words_head = WordsHead(model.config.hidden_size, len(known))
    task = kind(Packed(model, material.dtype, known, settings.seed), settings, material.validate)
    task.mask = int(np.searchsorted(known, _mask(material.encoder)))
    return Loop(task, settings, material.learn)


def _mask(encoder: Encoder) -> int:
    """The id of the token that stands for a hidden word."""
    found = tokenizers.Tokenizer.from_file(str(encoder.folder / "tokenizer.json")).token_to_id(
        "[MASK]"
    )
    if found is None:
        raise UsageError(
            f"Expected an encoder that has a token [MASK], but {encoder.name} has none."
        )
    return int(found)


def _take_encoder(model: Any, state: dict[str, torch.Tensor]) -> None:
    """Give a model another's encoder; its head stays."""
    prefix = f"{model.base_model_prefix}."
    own = {name: value for name, value in model.state_dict().items() if not name.startswith(prefix)}
    model.load_state_dict(
        {name: value for name, value in state.items() if name.startswith(prefix)} | own
    )


def _results(arguments: argparse.Namespace, sources: dict[str, Any]) -> dict[str, Any]:
    """Of the techniques that have a run of each seed."""
    lines: list[dict[str, Any]] = []
    for name in [PLAIN, *MEANS, *(name for name in TECHNIQUES if name != PLAIN)]:
        runs = [_made(arguments, name, seed, sources) for seed in range(1, arguments.seeds + 1)]
        found = [run for run in runs if run]
        if len(found) < len(runs):
            continue
        line: dict[str, Any] = {"technique": name, "words": WORDS[name]}
        line |= {
            key: [run[key] for run in found]
            for key in ("accuracy", "seconds", "history", "lineage")
        }
        if name != PLAIN:
            gains = [
                own - plain
                for own, plain in zip(line["accuracy"], lines[0]["accuracy"], strict=True)
            ]
            line |= {"gains": gains, "gain": _interval(gains)}
        lines.append(line)
    return sources | {
        "lines": lines,
        "recipe": RECIPE,
        "seeds": arguments.seeds,
        "confidence_level": LEVEL,
    }


def _interval(gains: list[float]) -> dict[str, float]:
    """Their mean with Student's interval, for chance in the runs; that of the rows, which all share, is not in it."""
    mean, count = statistics.mean(gains), len(gains)
    if count == 1:
        return {"value": mean}
    reach = float(t.ppf((1 + LEVEL) / 2, count - 1)) * statistics.stdev(gains) / count**0.5
    return {"value": mean, "low": mean - reach, "high": mean + reach}


def _show(results: dict[str, Any]) -> None:
    title = f"{results['rows']:,} test rows, {results['seeds']} seeds, {results['precision']}"
    table = Table(title=title, title_justify="left")
    for header in (
        "",
        "accuracy of each seed",
        "mean",
        "points gained",
        f"{LEVEL:.0%} interval",
        "time",
    ):
        table.add_column(header, justify="right" if header else "left")
    plain = statistics.mean(results["lines"][0]["seconds"])
    for line in results["lines"]:
        each = " ".join(f"{100 * value:.2f}" for value in line["accuracy"])
        gain = {end: f"{100 * value:+.2f}" for end, value in line.get("gain", {}).items()}
        ends = f"{gain['low']} to {gain['high']}" if "low" in gain else ""
        cells = (
            each,
            f"{100 * statistics.mean(line['accuracy']):.2f} %",
            gain.get("value", ""),
            ends,
        )
        table.add_row(line["words"], *cells, f"{statistics.mean(line['seconds']) / plain:.1f}x")
    Console().print(table)


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"techniques: {error}")
