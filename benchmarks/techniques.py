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
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import t
from torch.nn.functional import kl_div

from linnet.config import TrainConfig, load_config
from linnet.data import read_split
from linnet.errors import LinnetError, UsageError
from linnet.files import canonical_json, digest, write_text
from linnet.lineage import lineage
from linnet.train.batches import Batch, Encoded, encode
from linnet.train.classify import Classify
from linnet.train.encoder import find_encoder, load_classifier, read_config
from linnet.train.functions import Layout
from linnet.train.loop import Loop
from linnet.train.optimizer import AdamW
from linnet.train.packed import Packed, fits
from linnet.train.precision import choose_precision
from linnet.train.train import NOT_IN_RESULT, dropouts

RESULTS = Path(__file__).parent / "results" / "techniques.json"
RECIPE = {
    "train.num_train_epochs": 2,
    "train.learning_rate": 5e-5,
    "train.early_stopping_patience": 9,
    "train.class_weight": "none",
}
PLAIN, AVERAGED = "plain", "averaged"
LAYER_DECAY, WEIGHT, DELETED, LEVEL = 0.9, 1.0, 0.1, 0.95


class MeanPooled(Packed):
    """The head reads the mean of all tokens' states, not the first token's."""

    def __call__(self, batch: Batch, training: bool) -> torch.Tensor:
        """Logits, float32 (texts, labels)."""
        layout = batch.layout
        states = self.encode(batch.ids, layout, torch.arange(len(batch.ids)), layout, training).float()
        lengths = torch.from_numpy(layout.lengths)
        texts = torch.repeat_interleave(torch.arange(len(batch)), lengths)
        sums = states.new_zeros(len(batch), states.shape[1]).index_add(0, texts, states)
        return self._head(sums / lengths[:, None], training)


class RDrop(Classify):
    """Two readings of each text, with other dropout, are drawn together (Liang et al. 2021, arXiv:2106.14448)."""

    def loss(self, batch: Batch) -> torch.Tensor:
        """Sum over the texts of both readings' mean loss and of how far they are apart."""
        logits = self.network(_one_after_the_other(batch, self.again(batch)), True)
        ones, others = logits.log_softmax(1).split(len(batch))
        apart = _divergence(ones, others) + _divergence(others, ones)
        told = self._loss(logits, batch.labels.repeat(2), self.class_weights, self.settings.label_smoothing_factor)
        return told / 2 + WEIGHT * apart / 4

    def again(self, batch: Batch) -> Batch:
        """What is read the second time."""
        return batch


class Consistent(RDrop):
    """The second reading lacks some tokens, as words in the random deletion of Wei and Zou 2019, arXiv:1901.11196."""

    def again(self, batch: Batch) -> Batch:
        """The batch without some tokens; every text keeps its first and its last, which are no words."""
        lengths = batch.layout.lengths
        starts = np.cumsum(lengths) - lengths
        kept = torch.rand(len(batch.ids)) >= DELETED
        kept[torch.from_numpy(np.concatenate([starts, starts + lengths - 1]))] = True
        left = np.add.reduceat(kept.numpy().astype(np.int64), starts)
        return Batch(batch.rows, batch.ids[kept], Layout(left, batch.layout.device), batch.labels)


class LayerWise(AdamW):
    """The learning rate falls from layer to layer down (Sun et al. 2019, arXiv:1905.05583)."""

    @torch.no_grad()
    def step(self, learning_rate: float, divisor: torch.Tensor) -> None:
        """Update the weights: a step of Adam at a share of the rate is that share of the step."""
        before = [buffer.master.clone() for buffer in self.weights.buffers]
        super().step(learning_rate, divisor)
        for buffer, old, share in zip(self.weights.buffers, before, self._shares, strict=True):
            buffer.master.sub_(old).mul_(share).add_(old)
            if buffer.copy is not buffer.master:
                buffer.copy.copy_(buffer.master)

    @cached_property
    def _shares(self) -> list[torch.Tensor]:
        """The share of the learning rate that each weight of each buffer has."""
        shares = {buffer.master.data_ptr(): torch.ones_like(buffer.master) for buffer in self.weights.buffers}
        layers = self.weights.model.config.num_hidden_layers
        for name, value in self.weights.model.named_parameters():
            share = shares[value.untyped_storage().data_ptr()]
            start = value.storage_offset()
            share[start : start + value.numel()] = LAYER_DECAY ** (layers - _depth(name, layers))
        return list(shares.values())


@dataclass(frozen=True)
class Technique:
    """One thing that is done otherwise than in the plain run.

    Attributes:
        words: What it is, for the table.
        settings: Of `[train]`.
        network: What computes.
        task: What is learnt.
        optimizer: What updates the weights.
    """

    words: str
    settings: dict[str, Any] = field(default_factory=dict)
    network: type[Packed] = Packed
    task: type[Classify] = Classify
    optimizer: type[AdamW] = AdamW


TECHNIQUES = {
    PLAIN: Technique("the recipe as it is"),
    "smoothing": Technique("label smoothing of 0.1", {"train.label_smoothing_factor": 0.1}),
    "layer-wise": Technique(f"learning rate times {LAYER_DECAY} a layer down", optimizer=LayerWise),
    "mean-pooling": Technique("the head reads the mean of all tokens", network=MeanPooled),
    "r-drop": Technique(f"R-Drop, weight {WEIGHT:g}", task=RDrop),
    "consistency": Technique(f"R-Drop, a second reading without {DELETED:.0%} of the tokens", task=Consistent),
    "dropout": Technique("dropout of 0.2", {"train.dropout": 0.2, "train.attention_dropout": 0.2}),
    "longer": Technique("3 epochs at 2e-5", {"train.num_train_epochs": 3, "train.learning_rate": 2e-5}),
}
WORDS = {name: technique.words for name, technique in TECHNIQUES.items()} | {
    AVERAGED: "the mean of the weights of the last epoch"
}


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
    missing = [pair for pair in pairs if not _made(arguments, *pair, sources)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda pair: _ask(arguments, *pair, sources["precision"]), missing))
    results = _results(arguments, sources)
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=Path, required=True, metavar="DIR", help="what `linnet prepare` wrote")
    parser.add_argument("--model", required=True, metavar="ENCODER", help="a folder in Hugging Face layout")
    parser.add_argument("--techniques", nargs="+", choices=TECHNIQUES, default=list(TECHNIQUES), help="which (all)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument("--rows", type=int, default=20_000, metavar="N", help="test rows to judge on (20,000)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time, which share the cores (1)")
    parser.add_argument("--run", type=Path, default=Path("runs/techniques"), metavar="DIR", help="the run's folder")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON")
    parser.add_argument("--bf16", default="auto", choices=("auto", "true", "false"), help="compute in bfloat16 (auto)")
    parser.add_argument("--one", nargs=2, metavar=("TECHNIQUE", "SEED"), help=argparse.SUPPRESS)
    return parser


def _sources(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that runs have in common."""
    encoder = find_encoder(arguments.model)
    bf16 = arguments.bf16 if arguments.bf16 == "auto" else arguments.bf16 == "true"
    return {
        "encoder": encoder.identity() | {"name": encoder.folder.name},
        "max_length": load_config(None).model.max_length,
        "precision": choose_precision(bf16, read_config(encoder).hidden_size, torch.device("cpu")).name,
        "rows": arguments.rows,
        "splits": {file.name: digest(file) for file in sorted(arguments.splits.glob("*.parquet"))},
    }


def _settings(name: str, seed: int) -> TrainConfig:
    return load_config(None, RECIPE | TECHNIQUES[name].settings | {"train.seed": seed}).train


def _identity(name: str, seed: int, sources: dict[str, Any]) -> dict[str, Any]:
    """All that a run's figures depend on; numbers of a technique that are no settings stand in its words."""
    settings = _settings(name, seed).model_dump(mode="json", exclude=NOT_IN_RESULT)
    return sources | {"technique": TECHNIQUES[name].words, "train": settings}


def _ask(arguments: argparse.Namespace, name: str, seed: int, precision: str) -> None:
    """Have a run made in a process of its own; it does not measure the precision anew, beside the others."""
    bf16 = str(precision == "bf16").lower()
    told = ["--splits", arguments.splits, "--model", arguments.model, "--rows", arguments.rows, "--run", arguments.run]
    told += ["--jobs", arguments.jobs, "--bf16", bf16, "--one", name, seed]
    subprocess.run([sys.executable, __file__, *map(str, told)], check=True)


def _made(arguments: argparse.Namespace, name: str, seed: int, sources: dict[str, Any]) -> dict[str, Any] | None:
    """What stands of a run."""
    file = arguments.run / f"{name}-{seed}.json"
    if not file.is_file():
        return None
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    asked = _identity(PLAIN if name == AVERAGED else name, seed, sources)
    other = [key for key, value in asked.items() if made["identity"][key] != value]
    if other:
        raise UsageError(f"{file} was made with other {', '.join(other)}. Choose another --run.")
    return made


def _run_one(arguments: argparse.Namespace, name: str, seed: int) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // arguments.jobs))
    sources = _sources(arguments)
    loop, judged = _make(arguments, TECHNIQUES[name], _settings(name, seed), sources)
    mean, started = Mean(loop) if name == PLAIN else None, time.perf_counter()
    while loop.stop_reason is None:
        epoch = loop.run_epoch(mean.on_step if mean else lambda texts, loss: None)
        print(f"{name}, seed {seed}: {epoch}", flush=True)
    found = {
        "identity": _identity(name, seed, sources),
        "seconds": time.perf_counter() - started,
        "history": [asdict(epoch) for epoch in loop.state.history],
        "lineage": lineage(),
    }
    accuracies = {name: _accuracy(loop.task, judged)}
    if mean:
        mean.apply()
        accuracies = {AVERAGED: _accuracy(loop.task, judged)} | accuracies  # the plain run's is written last
    for of, accuracy in accuracies.items():
        write_text(arguments.run / f"{of}-{seed}.json", canonical_json(found | {"accuracy": accuracy}))
        print(f"{of}, seed {seed}: {accuracy:.2%}", flush=True)


def _accuracy(task: Classify, judged: Encoded) -> float:
    return float((task.logits(judged).argmax(axis=1) == judged.labels).mean())


def _make(
    arguments: argparse.Namespace, technique: Technique, settings: TrainConfig, sources: dict[str, Any]
) -> tuple[Loop, Encoded]:
    encoder = find_encoder(arguments.model)
    tokenizer = encoder.tokenizer(sources["max_length"])
    splits = [read_split(arguments.splits, name) for name in ("train", "validation", "test")]
    test, rows = splits[2], slice(0, arguments.rows)
    splits[2] = replace(test, texts=test.texts[rows], labels=test.labels[rows])
    encoded = [encode(split, tokenizer, shown=False) for split in splits]
    known = np.unique(np.concatenate([split.ids for split in encoded])).astype(np.int64)
    learn, validate, judged = (split.within(known) for split in encoded)
    torch.manual_seed(settings.seed)
    model = load_classifier(encoder, test.label_names, tokenizer, dropouts=dropouts(settings))
    if test.multi_label or not fits(model):
        raise UsageError("Expected splits of one label a text, and an encoder that is trained without padding.")
    dtype = torch.bfloat16 if sources["precision"] == "bf16" else torch.float32
    network = technique.network(model, dtype, known, settings.seed)
    loop = Loop(technique.task(network, settings, validate), settings, learn)
    loop.optimizer = technique.optimizer(loop.weights, settings.weight_decay)
    return loop, judged


class Mean:
    """The mean of the weights after each step of the last epoch.

    What stochastic weight averaging does (Izmailov et al. 2018, arXiv:1803.05407), but at the recipe's falling rate.
    """

    def __init__(self, loop: Loop):
        self.loop, self.count = loop, 0
        self.buffers = loop.weights.buffers
        self.sums = [torch.zeros_like(buffer.master) for buffer in self.buffers]

    def on_step(self, texts: int, loss: float) -> None:
        """Add the weights, if it is the last epoch."""
        if self.loop.state.step > self.loop.steps - self.loop.steps_per_epoch:
            self.count += 1
            for total, buffer in zip(self.sums, self.buffers, strict=True):
                total += buffer.master

    def apply(self) -> None:
        """Put the mean in the place of the weights."""
        for total, buffer in zip(self.sums, self.buffers, strict=True):
            buffer.master.copy_(total / self.count)
            buffer.copy.copy_(buffer.master)


def _results(arguments: argparse.Namespace, sources: dict[str, Any]) -> dict[str, Any]:
    """Of the techniques that have a run of each seed."""
    lines: list[dict[str, Any]] = []
    for name in [PLAIN, AVERAGED, *(name for name in TECHNIQUES if name != PLAIN)]:
        runs = [_made(arguments, name, seed, sources) for seed in range(1, arguments.seeds + 1)]
        found = [run for run in runs if run]
        if len(found) < len(runs):
            continue
        line: dict[str, Any] = {"technique": name, "words": WORDS[name]}
        line |= {key: [run[key] for run in found] for key in ("accuracy", "seconds", "history", "lineage")}
        if name != PLAIN:
            gains = [own - plain for own, plain in zip(line["accuracy"], lines[0]["accuracy"], strict=True)]
            line |= {"gains": gains, "gain": _interval(gains)}
        lines.append(line)
    return sources | {"lines": lines, "recipe": RECIPE, "seeds": arguments.seeds, "confidence_level": LEVEL}


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
    for header in ("", "accuracy of each seed", "mean", "points gained", f"{LEVEL:.0%} interval", "time"):
        table.add_column(header, justify="right" if header else "left")
    plain = statistics.mean(results["lines"][0]["seconds"])
    for line in results["lines"]:
        each = " ".join(f"{100 * value:.2f}" for value in line["accuracy"])
        gain = {end: f"{100 * value:+.2f}" for end, value in line.get("gain", {}).items()}
        ends = f"{gain['low']} to {gain['high']}" if "low" in gain else ""
        cells = (each, f"{100 * statistics.mean(line['accuracy']):.2f} %", gain.get("value", ""), ends)
        table.add_row(line["words"], *cells, f"{statistics.mean(line['seconds']) / plain:.1f}x")
    Console().print(table)


def _one_after_the_other(one: Batch, other: Batch) -> Batch:
    lengths = np.concatenate([one.layout.lengths, other.layout.lengths])
    rows, labels = np.concatenate([one.rows, other.rows]), torch.cat([one.labels, other.labels])
    return Batch(rows, torch.cat([one.ids, other.ids]), Layout(lengths, one.layout.device), labels)


def _divergence(expected: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return kl_div(found, expected, reduction="sum", log_target=True)


def _depth(name: str, layers: int) -> int:
    """The number of a weight's layer, from 1; 0 of embeddings, and the head's is that of the last."""
    parts = name.split(".")
    if "embeddings" in parts:
        return 0
    numbers = [int(part) for part in parts if part.isdigit()]
    return numbers[0] + 1 if numbers else layers


if __name__ == "__main__":
    try:
        main()
    except LinnetError as error:
        sys.exit(f"techniques: {error}")
