"""tokenizer.json, or one made of an older tokenizer's files.

Those are vocab.txt, vocab.json with merges.txt, or *.model.

transformers converts them. Files of a tokenizer that has no fast form are refused with a command.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.utils import logging

from linnet.errors import ModelError

TOKENIZER = "tokenizer.json"
# What transformers reads besides the vocabularies, and these.
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "*.model", "bpe.codes")


def tokenizer_json(name: str, folder: Path) -> Path:
    """The encoder's tokenizer.json; if it has none, one converted from its vocabulary.

    Args:
        name: What the encoder is called, for messages.
        folder: Its files; nothing is written there.

    Returns:
        The file. One that was converted lasts as long as the process.

    Raises:
        ModelError: There is none, and none can be made.
    """
    own = folder / TOKENIZER
    if own.is_file():
        return own
    if not any(file for pattern in VOCABULARIES for file in folder.glob(pattern)):
        raise ModelError(
            f"The encoder {name} holds no {TOKENIZER}, nor a vocabulary to make one of. Expected "
            f"an encoder in Hugging Face layout: config.json, {TOKENIZER} and model.safetensors."
        )
    return _converted(name, folder.resolve())


def conversion(name: str) -> str:
    """The command that writes a tokenizer.json next to an encoder's other files."""
    return (
        'python -c "from transformers import AutoTokenizer; '
        f'AutoTokenizer.from_pretrained({name!r}).save_pretrained({name!r})"'
    )


@cache
def _converted(name: str, folder: Path) -> Path:
    backend = getattr(_load(name, folder), "backend_tokenizer", None)
    # An empty vocabulary is what transformers makes of files that it does not recognise.
    if backend is None or backend.get_vocab_size() <= len(backend.get_added_tokens_decoder()):
        raise ModelError(
            f"The encoder {name} holds no {TOKENIZER}, and its tokenizer has no fast form to make "
            "one of. Take another encoder, such as distilbert-base-uncased or roberta-base."
        )
    place = Path(tempfile.mkdtemp(prefix="linnet-tokenizer-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    backend.save(str(place / TOKENIZER))
    return place / TOKENIZER


def _load(name: str, folder: Path) -> Any:
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers, tokenizers and sentencepiece share no other base
        first = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ModelError(
            f"The encoder {name} holds no {TOKENIZER}, and transformers can't make one of its "
            f"other files: {first} Install what that names, such as sentencepiece, or run this "
            f"where the tokenizer loads: {conversion(name)}"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
