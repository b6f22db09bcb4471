"""The checkpoint folder: what a finished run leaves.

checkpoint/
  config.json             the architecture, with the label names and the problem type
  model.safetensors       the weights of the best epoch
  tokenizer.json          the encoder's own, as it was
  tokenizer_config.json   so that `transformers` encodes as Linnet does
  README.md               the model card
  training.json           history, settings, time, operations, lineage, and the masks
  training.html           its losses and accuracies, drawn
  tensorboard/            the same as event files, if they were asked for
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.evaluate import plots
from linnet.files import canonical_json, write_text
from linnet.html import render
from linnet.markdown import inline
from linnet.train.curve import LIMIT
from linnet.train.encoder.find import FILES, WEIGHTS, Encoder
from linnet.train.hub_card import front_matter
from linnet.train.resume import EVENTS
from linnet.train.tokenizer_config import tokenizer_config

RECORD = "training.json"
PAGE = "training.html"
CARD = "README.md"
WRITTEN = {
    RECORD,
    PAGE,
    CARD,
    EVENTS,
    *FILES,
    *WEIGHTS,
    "tokenizer_config.json",
    "generation_config.json",
}


def write_checkpoint(
    folder: Path,
    model: Path,
    encoder: Encoder,
    max_length: int,
    record: dict[str, Any],
    source: str,
) -> None:
    """Fill an empty folder.

    Args:
        folder: To be filled.
        model: A folder with the model of the best epoch.
        encoder: Where the tokenizer is from.
        max_length: Tokens a text may have.
        record: training.json.
        source: Where the data are from, for the model card.
    """
    for file in model.iterdir():
        shutil.copyfile(
            file, folder / file.name
        )  # not its mode: safetensors' 0600 would lock other users out
    shutil.copyfile(encoder.tokenizer_path, folder / "tokenizer.json")
    settings = tokenizer_config(encoder.folder, encoder.tokenizer(max_length))
    write_text(folder / "tokenizer_config.json", canonical_json(settings))
    write_text(folder / CARD, checkpoint_card(record, source))
    write_text(folder / RECORD, canonical_json(record))
    write_text(folder / PAGE, training_page(record))


def training_page(record: dict[str, Any]) -> str:
    """training.html, from what training.json holds."""
    epochs = record["history"]
    course = plots.course(record["log_history"], epochs, record["global_step"] // len(epochs))
    figures = {"course": course, "history": plots.history(epochs)}
    return render(
        "training.html",
        record=record,
        best=epochs[record["best_epoch"] - 1],
        figures=figures,
        limit=LIMIT,
    )


def checkpoint_card(record: Mapping[str, Any], source: str) -> str:
    """The model card as Markdown, with the metadata that the hub reads.

    Args:
        record: training.json.
        source: Where the data are from.
    """
    encoder = record["encoder"]
    best = record["history"][record["best_epoch"] - 1]
    # The last part alone: the path of a folder is nobody else's business.
    name = " ".join(encoder["name"].rstrip("/").rpartition("/")[2].split())
    several = record["problem_type"] == "multi_label_classification"
    measured = {"accuracy": best["eval_accuracy"], "f1": best["eval_f1"]}
    metadata = front_matter(
        f"{name} fine-tuned",
        "transformers",
        ["linnet"],
        encoder,
        source,
        "validation",
        measured,
    )
    number = "any number" if several else "one"
    function = "sigmoid" if several else "softmax"
    return f"""{metadata}
# {inline(name)}, fine-tuned

A text classifier: it gives a text {number} of {len(record["labels"])} labels.
Trained with Linnet on {record["rows"]["train"]:,} rows. On {record["rows"]["validation"]:,} validation
rows its accuracy is {best["eval_accuracy"]:.2%}. Those rows also chose the epoch that was kept.

## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", "this folder", truncation=True)
classify("a text", top_k=None)
```

Texts should be cleaned first as in training: `linnet.text.clean`. The probabilities are the {function}
of the logits. `linnet export` also fits a temperature, divides the logits by it, and proves the result.
"""
