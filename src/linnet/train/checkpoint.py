"""The checkpoint folder: what a finished run leaves.

checkpoint/
  config.json             the architecture, with the label names and the problem type
  model.safetensors       the weights of the best epoch
  tokenizer.json          the encoder's own, as it was
  tokenizer_config.json   so that `transformers` finds it
  training.json           history, settings, time, operations, lineage, and what was masked in the texts
  training.html           its losses and accuracies, drawn
  tensorboard/            the same as event files, if they were asked for
"""

import json
import shutil
from pathlib import Path
from typing import Any

from linnet.errors import ModelError
from linnet.evaluate import plots
from linnet.files import canonical_json, write_text
from linnet.page import render
from linnet.train.curve import LIMIT
from linnet.train.encoder import FILES, WEIGHTS, Encoder
from linnet.train.unfinished import EVENTS

RECORD, PAGE = "training.json", "training.html"
WRITTEN = {
    RECORD,
    PAGE,
    EVENTS,
    *FILES,
    *WEIGHTS,
    "tokenizer_config.json",
    "generation_config.json",
}


def write_checkpoint(
    folder: Path, model: Path, encoder: Encoder, max_length: int, record: dict[str, Any]
) -> None:
    """Fill an empty folder.

    Args:
        folder: To be filled.
        model: A folder with the model of the best epoch.
        encoder: Where the tokenizer is from.
        max_length: Tokens a text may have.
        record: training.json.
    """
    for file in model.iterdir():
        shutil.copyfile(
            file, folder / file.name
        )  # not its mode: safetensors' 0600 would lock other users out
    shutil.copyfile(encoder.folder / "tokenizer.json", folder / "tokenizer.json")
    write_text(
        folder / "tokenizer_config.json", canonical_json(_tokenizer_config(encoder, max_length))
    )
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


def _tokenizer_config(encoder: Encoder, max_length: int) -> dict[str, Any]:
    """The encoder's own, but for the length, to which `transformers` then truncates as Linnet does."""
    file = encoder.folder / "tokenizer_config.json"
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if file.is_file():
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{file} can't be read as JSON: {error}.") from error
    return settings | {"model_max_length": max_length}
