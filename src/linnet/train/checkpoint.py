"""The checkpoint folder: what each epoch leaves on disk, and which of it becomes the result.

    checkpoint/
      config.json             the architecture, with the label names and the problem type
      model.safetensors       the weights of the best epoch
      tokenizer.json          the encoder's own, as it was
      tokenizer_config.json   so that `transformers` finds it
      training.json           history, settings, time, operations, lineage, and what was masked in the texts

While training runs, every epoch stands in a folder `epoch-N` of its own.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from linnet.errors import ModelError
from linnet.files import canonical_json, write_text
from linnet.train.encoder import Encoder, quiet

RECORD = "training.json"


class Checkpoints:
    """The epochs of one run, in a folder that is not the result yet. Keeps the best and the latest.

    Args:
        directory: Where the result is to lie.
        encoder: Where the tokenizer is from.
        max_length: Tokens a text may have.
    """

    def __init__(self, directory: Path, encoder: Encoder, max_length: int):
        self._directory, self._encoder, self._max_length = directory, encoder, max_length

    def save(self, model: Any, epoch: int, best: int) -> None:
        """Write an epoch's model and remove those that are neither it nor the best."""
        with quiet():
            model.save_pretrained(self._path(epoch))
        for former in range(1, epoch):
            if former != best:
                shutil.rmtree(self._path(former), ignore_errors=True)

    def finish(self, best: int, record: dict[str, Any]) -> None:
        """Make the best epoch the result and remove the others."""
        for file in self._path(best).iterdir():
            file.chmod(0o644)  # safetensors' 0600 would lock other users out
            file.rename(self._directory / file.name)
        for folder in self._directory.glob("epoch-*"):
            shutil.rmtree(folder)
        shutil.copyfile(self._encoder.folder / "tokenizer.json", self._directory / "tokenizer.json")
        write_text(self._directory / "tokenizer_config.json", canonical_json(self._tokenizer_config()))
        write_text(self._directory / RECORD, canonical_json(record))

    def _path(self, epoch: int) -> Path:
        return self._directory / f"epoch-{epoch}"

    def _tokenizer_config(self) -> dict[str, Any]:
        """The encoder's own, but for the length, to which `transformers` then truncates as Linnet does."""
        file = self._encoder.folder / "tokenizer_config.json"
        settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        if file.is_file():
            try:
                settings = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ModelError(f"{file} can't be read as JSON: {error}.") from error
        return settings | {"model_max_length": self._max_length}
