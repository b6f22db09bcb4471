"""A trained model in Hugging Face layout, loaded as data.

Only safetensors are read: no code of the model, no hub.

Knows nothing of ONNX or bundles.
"""

import inspect
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from linnet.bundle import ProblemType
from linnet.errors import BundleError, LabelError, ModelError
from linnet.labels import clean_names
from linnet.links import plain
from linnet.text import Tokenizer
from linnet.train.encoder.find import quiet
from linnet.train.encoder.tokenizer_files import TOKENIZER, conversion

INPUTS = ("input_ids", "attention_mask")
RECORD = "training.json"
SINGLE_LABEL, MULTI_LABEL = get_args(ProblemType)
EXPECTED = "Expected a folder that `linnet train` wrote, or one that `save_pretrained` did"


@dataclass(frozen=True)
class Checkpoint:
    """A classifier of token ids and the tokenizer that makes them.

    Attributes:
        path: The folder.
        model: The model in float32, in evaluation mode.
        tokenizer: Its tokenizer, cutting at `max_length`.
        labels: Label names in the order of the logits.
        multi_label: Whether the model is multi-label.
        training: training.json; None where the folder has none.
    """

    path: Path
    model: PreTrainedModel
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    multi_label: bool
    training: dict[str, Any] | None

    @property
    def tokenizer_path(self) -> Path:
        """Path of tokenizer.json."""
        return self.path / "tokenizer.json"

    def public_config(self) -> dict[str, Any]:
        """config.json without what is private or runs code:

        the path it was loaded from, and own classes.
        """
        config: dict[str, Any] = self.model.config.to_dict()
        for name in ("_name_or_path", "auto_map"):
            config.pop(name, None)
        # As save_pretrained has it: JSON has no numbers for keys.
        config["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
        return config | {"architectures": [type(self.model).__name__]}


def load_checkpoint(path: Path, max_length: int) -> Checkpoint:
    """Load and check a checkpoint.

    Args:
        path: The folder.
        max_length: Tokens a text may have.

    Raises:
        ModelError: The folder is no checkpoint, its head was never trained, its tokenizer is not
            its own, or it can't read `max_length` tokens.
    """
    for name in ("config.json", TOKENIZER):
        if not (path / name).is_file():
            advice = ""
            if name == TOKENIZER and (path / "config.json").is_file():
                advice = f" If it has a vocabulary, make one: {conversion(str(path))}"
            raise ModelError(f"{path} is not a checkpoint: it holds no {name}. {EXPECTED}.{advice}")
    if not any(path.glob("*.safetensors")):
        raise ModelError(
            f"{path} holds no *.safetensors file. Linnet loads no pickled weights. {EXPECTED}."
        )
    training = _read_record(path / RECORD)
    _check_length(path, training, max_length)
    model = _load_model(path)
    try:
        tokenizer = Tokenizer(path / "tokenizer.json", max_length)
    except BundleError as error:
        raise ModelError(str(error)) from error
    _check_vocabulary(path, model, tokenizer)
    _check_reads(path, model, max_length)
    multi_label = model.config.problem_type == MULTI_LABEL
    return Checkpoint(path, model, tokenizer, _labels(path, model), multi_label, training)


def _load_model(path: Path) -> PreTrainedModel:
    try:
        with quiet():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                plain(path),
                dtype=torch.float32,
                # gives the graph with the fewest nodes, and the fastest
                attn_implementation="eager",
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(f"The checkpoint {path} can't be loaded: {error}") from error
    if missing := loading["missing_keys"]:
        raise ModelError(
            f"{path} lacks trained weights for {', '.join(sorted(missing))}. "
            f"Train it first: linnet train --model {shlex.quote(str(path))}"
        )
    return model.eval()


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ModelError(f"{path} can't be read as JSON: {error}. Train again.") from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{path} can't be read: expected a JSON object, got {type(content).__name__}. Train "
            f"again."
        )
    return content


def _check_length(path: Path, training: dict[str, Any] | None, max_length: int) -> None:
    settings = (training or {}).get("settings") or {}
    trained = settings.get("model", {}).get("max_length", max_length)
    if trained != max_length:
        raise ModelError(
            f"{path} was trained on up to {trained} tokens of a text, but model.max_length is "
            f"{max_length}. Export it as it was trained: --set model.max_length={trained}"
        )


def _check_vocabulary(path: Path, model: PreTrainedModel, tokenizer: Tokenizer) -> None:
    rows = model.get_input_embeddings().num_embeddings
    if tokenizer.vocab_size > rows:
        raise ModelError(
            f"The tokenizer of {path} has {tokenizer.vocab_size:,} tokens, but the model knows "
            f"{rows:,}: they do not "
            "belong together. Take tokenizer.json from where the model came from."
        )


def _check_reads(path: Path, model: PreTrainedModel, max_length: int) -> None:
    parameters = inspect.signature(model.forward).parameters
    if not set(INPUTS) <= set(parameters):
        raise ModelError(
            f"{path} is a model of {', '.join(parameters)}; expected one of {' and '.join(INPUTS)}."
        )
    full = torch.ones((1, max_length), dtype=torch.int64)
    try:
        with torch.inference_mode():
            model(input_ids=full, attention_mask=full)
    except (IndexError, RuntimeError) as error:
        most = getattr(model.config, "max_position_embeddings", "fewer")
        raise ModelError(
            f"{path} can't read {max_length} tokens (its max_position_embeddings: {most}). "
            "Train and export with a smaller model.max_length."
        ) from error


def _labels(path: Path, model: PreTrainedModel) -> tuple[str, ...]:
    config = model.config
    if config.problem_type not in {None, SINGLE_LABEL, MULTI_LABEL} or config.num_labels < 2:
        raise ModelError(
            f"{path} is a model for {config.problem_type or 'regression'} with num_labels "
            f"{config.num_labels}. Expected one that classifies texts, with at least two labels."
        )
    try:
        return clean_names(config.id2label[i] for i in range(config.num_labels))
    except LabelError as error:
        raise ModelError(f"{path}: id2label of config.json has {error}. Rename it there.") from None
