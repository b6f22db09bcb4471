"""`linnet-mini`, the encoder in the package:

a small DistilBERT in Hugging Face layout, made by scripts/pretrain.py.
"""

import json
from pathlib import Path

from linnet.errors import ModelError
from linnet.files import digest

NAME = "linnet-mini"
FOLDER = Path(__file__).parent
DIGESTS = "digests.json"


def check_files() -> None:
    """See that the files are those that were shipped.

    Raises:
        ModelError: One is missing or has changed.
    """
    try:
        digests = json.loads((FOLDER / DIGESTS).read_text(encoding="utf-8"))
        changed = [file for file, expected in digests.items() if digest(FOLDER / file) != expected]
    except (OSError, ValueError) as error:
        raise ModelError(_damaged(str(error))) from error
    if changed:
        raise ModelError(_damaged(f"{', '.join(changed)} differ from what {DIGESTS} says"))


def _damaged(reason: str) -> str:
    return (
        f"The built-in encoder {NAME} is incomplete or has changed: {reason}. "
        "Reinstall it: pip install --force-reinstall --no-deps linnet-text"
    )
