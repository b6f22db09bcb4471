"""tokenizer_config.json of a checkpoint: makes `transformers` encode as Linnet does.

It names no class of one architecture. Those build a tokenizer of their own in some releases, and
ask for token types that DistilBERT does not take; the general one reads tokenizer.json as it is.
"""

import json
from pathlib import Path
from typing import Any

from linnet.errors import ModelError
from linnet.text import Tokenizer

# Special tokens, and what they are called if no file says so.
SPECIAL = {
    "bos_token": (),
    "eos_token": (),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "pad_token": ("[PAD]", "<pad>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def tokenizer_config(folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """The settings.

    Args:
        folder: The encoder's, whose own settings say what its special tokens are.
        tokenizer: Its tokenizer, cutting at `max_length`.

    Raises:
        ModelError: The encoder's own settings can't be read.
    """
    files = ("special_tokens_map.json", "tokenizer_config.json")
    own = _read(folder / files[0]) | _read(folder / files[1])
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.max_length,
        # No token types: an encoder that has them takes all to be of the first type.
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
    }
    for name, usual in SPECIAL.items():
        known = (_content(own.get(name)), *usual)
        token = next((one for one in known if one and tokenizer.has(one)), None)
        if token:
            settings[name] = token
    return settings


def _content(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} can't be read as JSON: {error}.") from error
    return content if isinstance(content, dict) else {}
