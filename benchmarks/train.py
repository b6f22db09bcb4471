"""How fast is fine-tuning, beside Hugging Face's Trainer?

    python benchmarks/train.py --data training.1600000.processed.noemoticon.csv.xz --model ENCODER
    python benchmarks/train.py --data FILE --model ENCODER --rounds 0 --accuracy 3   # whole runs, with three seeds

The same real tweets, 16 at a time, through a DistilBERT of base size with random weights: by Trainer as
people write it (float32, dynamic padding, its defaults), by Trainer with its best flags on a CPU (bfloat16 where it is
measured to be faster, batches of like length, fused AdamW), by the same compiled (torch_compile, which needs a C++
compiler; the first five steps of each, and what is compiled in them, are not timed), and by Linnet. Each round runs
all of them in turn, each in a process of its own, and a ratio is of one round; the table shows medians. ENCODER gives
the tokenizer, and with `--accuracy` the weights to start from.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    DistilBertConfig,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.train.encoder.find import find_encoder
from linnet.train.loop import Loop
from linnet.train.network.batches import encode
from linnet.train.network.network import make_network
from linnet.train.network.precision import Precision, choose_precision
from linnet.train.objective import ClassificationObjective

RESULTS = Path(__file__).parent / "results" / "train.json"
SAMPLE, SIZE, WARM_UP = 10_000, 16, 5
NAMES = {
    "trainer": "Trainer, default settings",
    "trainer-best": "Trainer, bf16 where faster + group_by_length + fused",
    "trainer-compiled": "Trainer, the same + torch_compile",
    "linnet": "linnet train",
}
BEST = {"train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"}
FLAGS: dict[str, dict[str, Any]] = {
    "trainer": {"optim": "adamw_torch"},
    "trainer-best": BEST,
    "trainer-compiled": BEST | {"torch_compile": True},
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    arguments = _parser().parse_args(argv)
    if arguments.one:
        print(json.dumps(_run_one(arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        splits = Path(folder) / "splits"
        settings = {"data.source": arguments.data, "data.sample": SAMPLE, "data.noise_sample": 0}
        prepare(load_config(None, settings), splits)
        rounds = [
            {name: _ask(arguments, splits, name, 0, arguments.steps) for name in NAMES}
            for _ in range(arguments.rounds)
        ]
        learnt = [
            {name: _ask(arguments, splits, name, seed + 1, 0) for name in ("trainer", "linnet")}
            for seed in range(arguments.accuracy)
        ]
    asked = {
        "steps": arguments.steps,
        "cores": os.cpu_count(),
        "encoder": Path(arguments.model).name,
    }
    results = asked | {"rounds": rounds, "learnt": learnt, "lineage": lineage()}
    write_text(arguments.out, canonical_json(results))
    _show(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="FILE", help="a labelled file")
    parser.add_argument(
        "--model", metavar="ENCODER", required=True, help="a folder in Hugging Face layout"
    )
    parser.add_argument(
        "--steps", type=int, default=40, metavar="N", help="steps timed in each run (40)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="runs of each, in turns (3)"
    )
    parser.add_argument(
        "--accuracy",
        type=int,
        default=0,
        metavar="N",
        help="also N seeds of one epoch, compared (0)",
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    parser.add_argument(
        "--one", nargs=4, metavar=("NAME", "SPLITS", "SEED", "STEPS"), help=argparse.SUPPRESS
    )
    return parser


def _ask(
    arguments: argparse.Namespace, splits: Path, name: str, seed: int, steps: int
) -> dict[str, Any]:
    command = [
        sys.executable,
        __file__,
        "--model",
        arguments.model,
        "--one",
        name,
        str(splits),
        str(seed),
        str(steps),
    ]
    # Of what was compiled before nothing is taken over: a run that was stopped leaves libraries cut short.
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(splits.parent / "compiled")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{NAMES[name]}: {found}", file=sys.stderr)
    return found


def _run_one(arguments: argparse.Namespace) -> dict[str, Any]:
    name, splits, seed, steps = arguments.one
    if name == "linnet":
        return _linnet(Path(splits), arguments.model, int(seed), int(steps))
    model, flags = _model(arguments.model, int(seed)), FLAGS[name]
    if name != "trainer":
        flags = flags | {"bf16": _precision(model).name == "bf16"}
    return _trainer(Path(splits), arguments.model, model, int(seed), int(steps), flags)


def _precision(model: Any) -> Precision:
    return choose_precision("auto", model.config.hidden_size, torch.device("cpu"))


def _model(encoder: str, seed: int) -> Any:
    """With a seed the encoder's weights and a new head; without one random weights of base size."""
    torch.manual_seed(seed)
    if seed:
        return AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=2, dtype=torch.float32
        )
    return AutoModelForSequenceClassification.from_config(DistilBertConfig())


def _linnet(splits: Path, encoder: str, seed: int, steps: int) -> dict[str, Any]:
    tokenizer = find_encoder(encoder).tokenizer(128)
    encoded = [encode(read_split(splits, name), tokenizer) for name in ("train", "validation")]
    known = np.unique(np.concatenate([split.ids for split in encoded])).astype(np.int64)
    overrides = {"train.learning_rate": 5e-5, "train.num_train_epochs": 1, "train.seed": seed}
    recipe, model = load_config(None, overrides).train, _model(encoder, seed)
    precision = _precision(model)
    network, _ = make_network(model, precision.dtype, known, tokenizer.pad_id, seed)
    learn, validation = (split.within(known) for split in encoded)
    loop = Loop(ClassificationObjective(network, recipe, validation), recipe, learn)
    moments, peak = [time.perf_counter()], _peak(precision.dtype)

    def on_step(texts: int, loss: float) -> None:
        moments.append(time.perf_counter())
        if steps and len(moments) > steps + WARM_UP:
            raise StopIteration

    try:
        epoch = loop.run_epoch(on_step)
    except StopIteration:
        share = (
            loop.state.flops
            / loop.state.step
            / statistics.median(np.diff(moments[WARM_UP:]))
            / max(peak, _peak(precision.dtype))
        )
        return {
            "step": float(np.mean(np.diff(moments[WARM_UP:]))),
            "share_of_peak": share,
            "precision": precision.name,
        }
    learnt = {
        "loss": epoch.train_loss,
        "accuracy": epoch.eval_accuracy,
        "seconds": moments[-1] - moments[0],
    }
    return learnt | {"precision": precision.name}


def _peak(dtype: torch.dtype) -> float:
    """Operations a second of the fastest of some large products."""
    rows, matrix = torch.ones(512, 768, dtype=dtype), torch.ones(768, 3072, dtype=dtype)
    best = float("inf")
    for _ in range(30):
        started = time.perf_counter()
        rows @ matrix
        best = min(best, time.perf_counter() - started)
    return 2 * 512 * 768 * 3072 / best


def _trainer(
    splits: Path, encoder: str, model: Any, seed: int, steps: int, flags: dict[str, Any]
) -> dict[str, Any]:
    tokenizer = AutoTokenizer.from_pretrained(encoder)

    def rows(name: str) -> list[dict[str, Any]]:
        split = read_split(splits, name)
        encodings = tokenizer(split.texts, truncation=True, max_length=128)
        fields = zip(
            encodings["input_ids"], encodings["attention_mask"], split.labels.tolist(), strict=True
        )
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": label}
            for ids, mask, label in fields
        ]

    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **rest: Any) -> None:
            moments.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder,
            per_device_train_batch_size=SIZE,
            per_device_eval_batch_size=64,
            learning_rate=5e-5,
            weight_decay=0.01,
            num_train_epochs=1,
            max_steps=steps + WARM_UP if steps else -1,
            seed=seed,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="epoch",
            disable_tqdm=True,
            **flags,
        )
        trainer = Trainer(
            model,
            settings,
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=rows("train"),
            eval_dataset=rows("validation"),
            compute_metrics=lambda p: {
                "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
            },
            callbacks=[Clock()],
        )
        loss = trainer.train().training_loss
        if steps:
            precision = "bf16" if settings.bf16 else "fp32"
            return {"step": float(np.mean(np.diff(moments[WARM_UP - 1 :]))), "precision": precision}
        return {
            "loss": loss,
            "accuracy": trainer.evaluate()["eval_accuracy"],
            "seconds": moments[-1] - moments[0],
        }


def _show(results: dict[str, Any]) -> None:
    if results["rounds"]:
        _show_speed(results["rounds"], results["cores"])
    if results["learnt"]:
        _show_learnt(results["learnt"])


def _show_speed(rounds: list[dict[str, Any]], cores: int) -> None:
    title = f"DistilBERT-base shape, batch {SIZE}, {cores} cores, medians of {len(rounds)} rounds"
    table = Table(title=title, title_justify="left")
    for header in ("", "steps a second", "Linnet is faster by", "share of peak products"):
        table.add_column(header, justify="right" if header else "left")
    for name, words in NAMES.items():
        speed = 1 / statistics.median(found[name]["step"] for found in rounds)
        ratio = statistics.median(found[name]["step"] / found["linnet"]["step"] for found in rounds)
        share = statistics.median(found["linnet"]["share_of_peak"] for found in rounds)
        cells = ("", f"{100 * share:.0f} %") if name == "linnet" else (f"{ratio:.2f}x", "")
        table.add_row(words, f"{speed:.2f}", *cells)
    Console().print(table)


def _show_learnt(learnt: list[dict[str, Any]]) -> None:
    table = Table(title="One epoch from the encoder's own weights", title_justify="left")
    for header in ("seed", "", "training loss", "validation accuracy", "seconds"):
        table.add_column(header, justify="right" if header else "left")
    for seed, found in enumerate(learnt):
        for name, row in found.items():
            cells = f"{row['loss']:.4f}", f"{100 * row['accuracy']:.2f} %", f"{row['seconds']:.0f}"
            table.add_row(str(seed + 1), NAMES[name], *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
