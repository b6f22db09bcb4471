"""The encoder to start from: where its files lie, and the classifier that is made of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging

from linnet import mini
from linnet.config import AUTO, FIRST_CHOICE
from linnet.errors import BundleError, ModelError, UnreachableError
from linnet.files import digest
from linnet.links import plain
from linnet.text import Tokenizer
from linnet.train.encoder.architecture import check_architecture
from linnet.train.encoder.hub import fetch
from linnet.train.encoder.tokenizer_files import TOKENIZER, tokenizer_json

FILES = ("config.json", TOKENIZER)  # next to the weights
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# These number positions from the padding id on, so that many of their positions can't be used.
OFFSET_POSITIONS = {
    "roberta",
    "xlm-roberta",
    "camembert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
}
# What BERT lays between its first token and the head. Many files lack its weights; it is then
# learnt like the head.
POOLER = "pooler"


@dataclass(frozen=True)
class Encoder:
    """An encoder's files, found.

    Attributes:
        name: What was asked for.
        folder: Holds config.json, the safetensors and, if it is not elsewhere, tokenizer.json.
        source: Where it came from.
        revision: Commit on the model hub; None elsewhere.
        note: Why it is not the first choice and how its tokenizer was made, as sentences; empty if
            there is nothing to say.
        converted: A tokenizer.json made of an older tokenizer's files; None if `folder` holds one.
    """

    name: str
    folder: Path
    source: Literal["folder", "hub", "built-in", "scratch"]
    revision: str | None = None
    note: str = ""
    converted: Path | None = None

    @property
    def tokenizer_path(self) -> Path:
        """Its tokenizer.json."""
        return self.converted or self.folder / TOKENIZER

    def identity(self) -> dict[str, Any]:
        """Name, source, revision and the SHA-256 of each file that a run depends on."""
        files = [self.folder / "config.json", self.tokenizer_path]
        files += sorted(self.folder.glob("*.safetensors"))
        digests = {file.name: digest(file) for file in files}
        return {
            "name": self.name,
            "source": self.source,
            "revision": self.revision,
            "sha256": digests,
        }

    def tokenizer(self, max_length: int) -> Tokenizer:
        """Its tokenizer.

        Raises:
            ModelError: The file is no tokenizer.
        """
        try:
            return Tokenizer(self.tokenizer_path, max_length)
        except BundleError as error:
            raise ModelError(str(error)) from error


def find_encoder(name: str) -> Encoder:
    """Find an encoder's files.

    Args:
        name: "linnet-mini", a folder in Hugging Face layout, or an id of the model hub. "auto": the
            first choice of the hub, or where that can't be reached "linnet-mini", with a note.

    Raises:
        ModelError: There is no such folder, a file is missing in it, or the hub does not give it.
    """
    if name == AUTO:
        return _first_choice()
    if name == mini.NAME:
        mini.check_files()
        return Encoder(name, mini.FOLDER, "built-in")
    if path := _folder(name):
        encoder = Encoder(name, path, "folder")
    else:
        folder = fetch(name)
        encoder = Encoder(name, folder, "hub", folder.name)
    _check_files(encoder)
    path = tokenizer_json(encoder.name, encoder.folder)
    if path.parent == encoder.folder:
        return encoder
    note = f"The encoder {name} holds no {TOKENIZER}: transformers made one of its vocabulary."
    return replace(encoder, note=note, converted=path)


def _folder(name: str) -> Path | None:
    path = Path(name).expanduser()
    try:
        return plain(path) if path.is_dir() else None
    except (
        OSError
    ) as error:  # longer than names may be, or in a folder that this user may not enter
        raise ModelError(
            f"There is no encoder {name}: {error.strerror}. Expected a folder or a hub id."
        ) from error


def _first_choice() -> Encoder:
    try:
        return find_encoder(FIRST_CHOICE)
    except UnreachableError as error:
        cause = str(error.cause).rstrip(".")
        note = (
            f"No encoder was named, and {FIRST_CHOICE} could not be had: {cause}. So the built-in "
            f"{mini.NAME} is taken, which is smaller."
        )
        return replace(find_encoder(mini.NAME), note=note)


def _check_files(encoder: Encoder) -> None:
    if not (encoder.folder / "config.json").is_file():
        raise ModelError(
            f"The encoder {encoder.name} holds no config.json. Expected an encoder in Hugging Face "
            "layout: config.json, tokenizer.json and model.safetensors."
        )
    check_architecture(encoder.name, encoder.folder)
    if not any((encoder.folder / file).is_file() for file in WEIGHTS):
        raise ModelError(
            f"The encoder {encoder.name} holds no model.safetensors, and weights in other formats "
            "are not read: they are pickles, which can run code. Load it in transformers once and "
            "save_pretrained it."
        )


# What configurations call the rates of dropout: of hidden states and of attention.
DROPOUT = {
    "dropout": ("dropout", "hidden_dropout_prob"),
    "attention_dropout": ("attention_dropout", "attention_probs_dropout_prob"),
}


def load_classifier(
    encoder: Encoder,
    labels: Sequence[str],
    tokenizer: Tokenizer,
    multi_label: bool = False,
    dropouts: Mapping[str, float] | None = None,
) -> Any:
    """Load an encoder with a classification head, in float32.

    A head that the files hold is taken over where it fits; otherwise it is drawn from torch's
    random state.

    Args:
        encoder: The encoder.
        labels: Label names by id.
        tokenizer: Its tokenizer, which tells how long a text may get.
        multi_label: Whether the model is multi-label; it is in the model's config as its
            problem type.
        dropouts: Rates other than the encoder's own, by `dropout` and `attention_dropout`.

    Returns:
        A `transformers` model for sequence classification.

    Raises:
        ModelError: It can't be loaded, its own weights are not all there, or it can't read what the
            tokenizer gives.
    """
    names = dict(enumerate(labels))
    try:
        rates = _rates(encoder, dropouts or {})
        with quiet():
            model, loading_info = AutoModelForSequenceClassification.from_pretrained(
                encoder.folder,
                id2label=names,
                label2id={label: i for i, label in names.items()},
                problem_type="multi_label_classification"
                if multi_label
                else "single_label_classification",
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # a head for other labels; the rest is refused below
                output_loading_info=True,
                **rates,
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"The encoder {encoder.name} can't be loaded: {error}") from error
    _check_weights(encoder, model, loading_info)
    _check_limits(encoder, model.config, tokenizer)
    return model


def own_dropouts(encoder: Encoder, names: Iterable[str]) -> dict[str, float]:
    """The rates of dropout in an encoder's config.json: `dropout`, `attention_dropout`.

    Raises:
        ModelError: Linnet does not know what this architecture calls one of them.
    """
    config = read_config(encoder)
    return {name: float(getattr(config, _dropout_key(encoder, config, name))) for name in names}


def _rates(encoder: Encoder, dropouts: Mapping[str, float]) -> dict[str, float]:
    if not dropouts:
        return {}
    config = read_config(encoder)
    return {_dropout_key(encoder, config, name): rate for name, rate in dropouts.items()}


def read_config(encoder: Encoder) -> Any:
    """Its `transformers` configuration.

    Raises:
        ModelError: It can't be read.
    """
    try:
        return AutoConfig.from_pretrained(
            encoder.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The encoder {encoder.name} can't be loaded: {error}") from error


def _dropout_key(encoder: Encoder, config: Any, name: str) -> str:
    for key in DROPOUT[name]:
        if hasattr(config, key):
            return key
    raise ModelError(
        f"The encoder {encoder.name} is a {config.model_type}. Linnet does not know what "
        f"it calls "
        f'train.{name}. Leave it at "encoder" (and out of a search: tune.{name} = []) and set the '
        f"rate in the "
        "encoder's config.json."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep messages of transformers about the new head, and its bars, off the terminal."""
    verbosity = logging.get_verbosity()
    bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _check_weights(encoder: Encoder, model: Any, loading_info: dict[str, Any]) -> None:
    mismatched = {
        key[0] if isinstance(key, tuple) else key for key in loading_info["mismatched_keys"]
    }
    prefix = f"{model.base_model_prefix}."
    absent = sorted(
        key
        for key in mismatched | set(loading_info["missing_keys"])
        if key.startswith(prefix) and POOLER not in key
    )
    if absent:
        few = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        raise ModelError(
            f"The encoder {encoder.name} lacks {len(absent)} of the weights that its config.json "
            f"asks for ({few}), so they would be random. Its files belong to another model or are "
            "incomplete: get them again."
        )


def _check_limits(encoder: Encoder, config: Any, tokenizer: Tokenizer) -> None:
    positions = getattr(config, "max_position_embeddings", None) or 0
    if config.model_type in OFFSET_POSITIONS:
        positions -= config.pad_token_id + 1
    if 0 < positions < tokenizer.max_length:
        raise ModelError(
            f"model.max_length is {tokenizer.max_length}, but the encoder {encoder.name} reads "
            f"{positions} tokens at most. Set model.max_length to {positions} or less."
        )
    if tokenizer.vocab_size > config.vocab_size:
        raise ModelError(
            f"The tokenizer of the encoder {encoder.name} knows {tokenizer.vocab_size} tokens, but "
            f"the encoder has embeddings for {config.vocab_size} alone. They belong to different "
            "models: put the encoder's own tokenizer.json there."
        )
