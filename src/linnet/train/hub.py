"""The model hub: an encoder's id becomes a folder of its files, from the local cache where they are in it."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

from linnet.errors import ModelError

FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "model*.safetensors", "model.safetensors.index.json"]
SECONDS_TO_ANSWER = 5.0
CHOICES = (
    "--model takes a folder in Hugging Face layout, 'scratch' for a small encoder trained from nothing, "
    "or, with a connection, the id of an encoder on the model hub."
)


def fetch(name: str) -> Path:
    """Get an encoder's files from the model hub.

    Args:
        name: The encoder's id, such as `distilbert-base-uncased`.

    Returns:
        A folder of the local cache, named after the commit on the hub.

    Raises:
        ModelError: There is no such encoder, or the hub can't be reached and the cache doesn't hold it.
    """
    try:
        return Path(snapshot_download(name, allow_patterns=FILES, etag_timeout=SECONDS_TO_ANSWER))
    except GatedRepoError as error:
        raise ModelError(
            f"The encoder {name!r} is on the model hub, but only for those whom its owner lets in. "
            "Ask for access there and log in with `hf auth login`, or choose another."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"There is no encoder {name!r}, neither as a folder nor on the model hub. {CHOICES}"
        ) from error
    except Exception as error:  # the errors of the hub and those of its transport share no other base
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"There is no folder {name!r}, and the model hub could not be reached for an encoder of that name "
            f"({reason}). {CHOICES}"
        ) from error
