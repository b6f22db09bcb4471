"""The model hub:

an encoder's id becomes a folder of its files, from the local cache where they are in it.
"""

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

from linnet.errors import ModelError, UnreachableError
from linnet.train.encoder.tokenizer_files import SETTINGS, TOKENIZER, VOCABULARIES

FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
]
SECONDS_TO_ANSWER = 5.0
CHOICES = (
    "--model takes a folder in Hugging Face layout, 'linnet-mini' for the built-in encoder, "
    "'scratch' for a small one "
    "trained from nothing, or, with a connection, the id of an encoder on the model hub."
)


def fetch(name: str) -> Path:
    """Get an encoder's files from the model hub.

    Args:
        name: The encoder's id, such as `distilbert-base-uncased`.

    Returns:
        A folder of the local cache, named after the commit on the hub.

    Raises:
        UnreachableError: The hub can't be reached and the cache doesn't hold it.
        ModelError: There is no such encoder, or the hub doesn't give it.
    """
    try:
        # snapshot_download asks the same, but would wait for an answer without end.
        HfApi().model_info(name, timeout=SECONDS_TO_ANSWER)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"There is no encoder {name!r}, neither as a folder nor on the model hub. {CHOICES}"
        ) from error
    except (
        Exception
    ) as error:  # the errors of the hub and those of its transport share no other base
        return _cached(name, error)
    try:
        return _with_tokenizer(name, Path(snapshot_download(name, allow_patterns=FILES)))
    except GatedRepoError as error:
        raise ModelError(
            f"The encoder {name!r} is on the model hub, but only for those whom its owner lets in. "
            "Ask for access there and log in with `hf auth login`, or choose another."
        ) from error
    except Exception as error:
        raise ModelError(
            f"The encoder {name!r} could not be got from the model hub: {_first_line(error)} Run "
            "the same command again: what has arrived is kept."
        ) from error


def _with_tokenizer(name: str, folder: Path) -> Path:
    """Of an encoder without a tokenizer.json, get the files that one can be made of, too."""
    if (folder / TOKENIZER).is_file():
        return folder
    patterns = [*FILES, *SETTINGS, *VOCABULARIES]
    return Path(snapshot_download(name, allow_patterns=patterns))


def _cached(name: str, reason: Exception) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=FILES, local_files_only=True))
    except FileNotFoundError:
        line = _first_line(reason)
        message = (
            f"There is no folder {name!r}, and the model hub could not be reached for an encoder "
            f"of that name"
        )
        raise UnreachableError(f"{message} ({line}). {CHOICES}", line) from reason


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
