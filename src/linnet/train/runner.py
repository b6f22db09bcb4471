"""Running a loop to its end: shown, saved every so often, stopped well, and gone on with where it was stopped."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from linnet.config import TrainConfig
from linnet.errors import StoppedError, TrainingError
from linnet.progress import progress
from linnet.train.loop import Loop
from linnet.train.unfinished import Unfinished, random_states, set_random_states

SIGNALS = signal.SIGINT, signal.SIGTERM
EXHAUSTED = "can't allocate memory", "not enough memory", "out of memory"


def run(
    loop: Loop,
    unfinished: Unfinished,
    stopped: threading.Event,
    on_epoch: Callable[[Loop, Unfinished], None],
) -> None:
    """Run all epochs, from the last state on disk if there is one.

    Args:
        loop: A fresh loop.
        unfinished: Where its states are kept.
        stopped: Set when the process is asked to stop; it does between two steps, when a state is on disk.
        on_epoch: Called after each epoch, before its state is saved: a run that is killed in between meets the epoch
            again. What it raises ends the run.

    Raises:
        StoppedError: `stopped` was set.
        TrainingError: The loss is no finite number; the last state is from before.
    """
    random = unfinished.restore(loop)
    if random:
        set_random_states(loop, random)
    before, started = loop.state.seconds, time.perf_counter()
    saved = loop.state.step
    epochs, every = loop.settings.num_train_epochs, loop.settings.save_steps

    def clock() -> None:
        loop.state.seconds = before + time.perf_counter() - started

    def save() -> None:
        nonlocal saved
        clock()
        if loop.group.first:
            unfinished.save(loop, random_states(loop))
        saved = loop.state.step

    with progress("train", len(loop.train) * epochs, "texts") as task:
        done = loop.state.texts
        if done:
            task.note(f"gone on with after step {loop.state.step:,}")
            task.advance(done)

        def on_step(texts: int, loss: float) -> None:
            speed = (loop.state.texts - done) / (time.perf_counter() - started)
            task.note(f"epoch {len(loop.state.history) + 1}/{epochs}, loss {loss:.4f}, {speed:,.0f} texts/s")
            task.advance(texts)
            if stopped.is_set():
                save()
                raise StoppedError(
                    f"Stopped after step {loop.state.step:,}, and saved in {unfinished.path}. "
                    "The same command goes on from there, to the same result."
                )
            if loop.state.step - saved >= every and loop.state.epoch_step < loop.steps_per_epoch:
                save()

        while loop.stop_reason is None:
            loop.run_epoch(on_step)
            clock()
            on_epoch(loop, unfinished)
            save()
            if loop.group.first:
                unfinished.tidy(loop)
    clock()


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """While the block runs, Ctrl-C and SIGTERM set an event; the second one ends the process as usual."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}

    def ask(number: int, frame: FrameType | None) -> None:
        event.set()
        restore()

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, ask)
    try:
        yield event
    finally:
        restore()


@contextmanager
def memory_errors(settings: TrainConfig) -> Iterator[None]:
    """Turn memory that ran out into a sentence that says what to lower.

    Raises:
        TrainingError: Memory ran out in the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not exhausted and not any(words in str(error) for words in EXHAUSTED):
            raise
        raise TrainingError(
            "Memory ran out. Lower train.per_device_train_batch_size (now "
            f"{settings.per_device_train_batch_size}) and raise train.gradient_accumulation_steps (now "
            f"{settings.gradient_accumulation_steps}) by as much, which gives the same steps; or lower "
            "model.max_length. What was saved is gone on with."
        ) from error
