"""The state of an unfinished run on disk, which resumes after a kill to the same bits.

    checkpoint.unfinished/
      run.json              what run this is: settings, splits, encoder; another run is refused
      state-120/            the weights, moments and random states after step 120
      best-2/               the model of the best epoch, in Hugging Face layout
      tensorboard/          event files, if they are asked for; they go with the result

Each folder appears whole or not at all. The last `save_total_limit` states are kept; a damaged one
is passed over.
"""

import dataclasses
import json
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from linnet.errors import UsageError
from linnet.files import canonical_json, digest, whole_directory, write_text
from linnet.links import plain
from linnet.resume import check_same, locked, unfinished_path
from linnet.train.encoder.find import quiet
from linnet.train.loop import Epoch, Loop, State, best_of
from linnet.train.network.packed import Packed

FORMAT = 2  # of a state; one of another is refused like another run's
RUN = "run.json"
STATE = "state.json"
TENSORS = "state.safetensors"
EVENTS = "tensorboard"
NAMES = "master", "exp_avg", "exp_avg_sq"  # of a buffer's tensors


class ResumableRun:
    """The folder of a run under way. As a context it keeps other processes from training into it.

    Args:
        directory: The place of the run's result; this folder is next to it.
        identity: What run it is, JSON-able: everything that its result depends on.
        limit: States to keep.
        overwrite: Start over, whatever is there.
        first: Whether this is the process that writes.

    Raises:
        UsageError: Another run lies there, or a process trains into it; on entering.
    """

    def __init__(
        self, directory: Path, identity: dict[str, Any], limit: int, overwrite: bool, first: bool
    ):
        with suppress(OSError):  # said on entering
            Path(directory).parent.mkdir(parents=True, exist_ok=True)
        self.path = plain(unfinished_path(directory))
        self._identity = identity | {"format": FORMAT}
        self._limit = limit
        self._overwrite = overwrite
        self._first = first
        self._rest = ExitStack()

    def __enter__(self) -> "ResumableRun":
        if self._first:
            with self._rest:
                self._rest.enter_context(locked(self.path, "is training into"))
                self._begin()
                self._rest = self._rest.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._rest.close()

    def _begin(self) -> None:
        if self._overwrite:
            for path in [*self._states(), *self.path.glob("best-*")]:
                shutil.rmtree(path)
        if not self._states():
            shutil.rmtree(self.events, ignore_errors=True)  # of a run that went no way
        else:
            check_same(self.path, self._identity_there(), self._identity)
        write_text(self.path / RUN, canonical_json(self._identity))

    def _identity_there(self) -> dict[str, Any]:
        try:
            there = json.loads((self.path / RUN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            there = None
        if isinstance(there, dict):
            return there
        raise UsageError(
            f"{self.path} is damaged: its {RUN} doesn't say which run it is. Start over with "
            f"--overwrite."
        )

    def save(self, loop: Loop, states: list[dict[str, Any]]) -> None:
        """Write the loop's state, and remove those beyond the limit.

        Args:
            loop: Between two steps.
            states: The random states of each process.

        Raises:
            StorageError: The disk refused; the former states are kept.
        """
        with whole_directory(self.path / f"state-{loop.state.step}") as folder:
            save_file(_tensors(loop), folder / TENSORS)
            record = {
                "state": dataclasses.asdict(loop.state),
                "optimizer_steps": loop.optimizer.steps,
                "untouched": loop.weights.untouched,
                "sha256": digest(folder / TENSORS),
                "random": states,
            }
            write_text(folder / STATE, canonical_json(record))
        paths = self._states()
        damaged = [
            path for path in paths if _step(path) > loop.state.step
        ]  # else they would be resumed
        for path in [*damaged, *paths[len(damaged) :][self._limit :]]:
            shutil.rmtree(path, ignore_errors=True)

    def restore(self, loop: Loop) -> dict[str, Any] | None:
        """Put the loop at the last sound state; give this process's random states, if any."""
        for path in self._states():
            record = _read(path)
            if record is None:
                continue
            _fill(loop, load_file(path / TENSORS))
            loop.state = State.of(record["state"])
            loop.optimizer.steps = record["optimizer_steps"]
            loop.weights.untouched = record["untouched"]
            random: dict[str, Any] = record["random"][loop.group.rank]
            return random
        return None

    def save_best(self, loop: Loop) -> None:
        """Write the model of the epoch just done, which is the best."""
        with whole_directory(self.best(loop)) as folder, quiet():
            loop.task.network.model.save_pretrained(folder, state_dict=loop.weights.state_dict())

    @property
    def events(self) -> Path:
        """Where TensorBoard's event files lie, if there are any."""
        return self.path / EVENTS

    def best(self, loop: Loop) -> Path:
        """Where the model of the best epoch lies."""
        return self.path / f"best-{loop.best.epoch}"

    def tidy(self, loop: Loop) -> None:
        """Remove the models of epochs that no state that is kept thinks the best."""
        kept = {self.best(loop).name}
        for path in self._states():
            record = _read(path, check=False)
            if record and record["state"]["history"]:
                history = [Epoch(**epoch) for epoch in record["state"]["history"]]
                kept.add(f"best-{best_of(history, loop.settings).epoch}")
        for path in self.path.glob("best-*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """Remove all of it, once the result is written."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _states(self) -> list[Path]:
        """Folders of states, the last first."""
        return sorted(self.path.glob("state-*"), key=_step, reverse=True)


def reached(directory: Path) -> int:
    """The step after which the run of a folder last wrote its state; 0 if it never did."""
    return max(map(_step, unfinished_path(directory).glob("state-*")), default=0)


def _step(state: Path) -> int:
    return int(state.name.removeprefix("state-"))


def random_states(loop: Loop) -> dict[str, Any]:
    """Every random state of this process that the next steps depend on, JSON-able."""
    return {
        "order": loop.generator.get_state().numpy().tobytes().hex(),
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
        "cuda": torch.cuda.get_rng_state().numpy().tobytes().hex()
        if torch.cuda.is_available()
        else None,
        "masks": loop.task.network.masks.state if isinstance(loop.task.network, Packed) else None,
    }


def set_random_states(loop: Loop, states: dict[str, Any]) -> None:
    """What `random_states` gave, put back."""
    loop.generator.set_state(_bytes(states["order"]))
    torch.set_rng_state(_bytes(states["torch"]))
    if states["cuda"]:
        torch.cuda.set_rng_state(_bytes(states["cuda"]))
    if isinstance(loop.task.network, Packed):
        loop.task.network.masks.state = states["masks"]


def _bytes(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


def _tensors(loop: Loop) -> dict[str, torch.Tensor]:
    buffers = zip(loop.weights.buffers, loop.optimizer.moments, strict=True)
    return {
        f"{number}.{name}": value.cpu()
        for number, (buffer, moments) in enumerate(buffers)
        for name, value in zip(NAMES, (buffer.master, *moments), strict=True)
    }


def _fill(loop: Loop, tensors: dict[str, torch.Tensor]) -> None:
    for number, (buffer, moments) in enumerate(
        zip(loop.weights.buffers, loop.optimizer.moments, strict=True)
    ):
        for name, value in zip(NAMES, (buffer.master, *moments), strict=True):
            value.copy_(tensors[f"{number}.{name}"])
        buffer.copy.copy_(buffer.master)


def _read(path: Path, check: bool = True) -> dict[str, Any] | None:
    """A state's record; None if the folder is not what was written."""
    try:
        record: dict[str, Any] = json.loads((path / STATE).read_text(encoding="utf-8"))
        return record if not check or record["sha256"] == digest(path / TENSORS) else None
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
