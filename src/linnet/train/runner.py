"""Running a loop to its end:

shown, saved, stopped well, and resumed where it was stopped.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from linnet.config import TrainConfig
from linnet.errors import StoppedError, TrainingError
from linnet.predict.memory import is_out_of_memory
from linnet.progress import Task, progress
from linnet.train.loop import Epoch, Loop
from linnet.train.resume import ResumableRun, random_states, set_random_states
from linnet.train.tensorboard import Events, events

SIGNALS = signal.SIGINT, signal.SIGTERM


def run(
    loop: Loop,
    unfinished: ResumableRun,
    stopped: threading.Event,
    on_epoch: Callable[[Loop, ResumableRun], None],
) -> None:
    """Run all epochs, from the last state on disk if there is one.

    Args:
        loop: A fresh loop.
        unfinished: Where its states are kept.
        stopped: Set when this process is asked to stop; all processes do after the same step, with
            a state on disk.
        on_epoch: Called after each epoch, before its state is saved: a run that is killed in
            between meets the epoch again. What it raises ends the run.

    Raises:
        StoppedError: `stopped` was set, in any process.
        TrainingError: The loss is no finite number; the last state is from before.
    """
    random = unfinished.restore(loop)
    if random:
        set_random_states(loop, random)
    begun = loop.state.step
    reported = loop.settings.report_to == "tensorboard" and loop.group.first
    with (
        progress("train", loop.steps, "steps", begun, loop.group.first) as task,
        events(unfinished.events if reported else None, begun) as board,
    ):
        if begun:
            task.note(f"resumed after step {begun:,}")
        loop.stopped = stopped
        under_way = TrainingCallbacks(loop, unfinished, task, board)
        while loop.stop_reason is None:
            epoch = loop.run_epoch(under_way.end_step)
            under_way.count_seconds()
            on_epoch(loop, unfinished)
            under_way.end_epoch(epoch)
        under_way.count_seconds()


class TrainingCallbacks:
    """What happens around a loop's steps and epochs; its arguments are those of `run`."""

    def __init__(self, loop: Loop, unfinished: ResumableRun, task: Task, board: Events | None):
        self.loop = loop
        self.unfinished = unfinished
        self.task = task
        self.board = board
        self.seconds = loop.state.seconds
        self.texts = loop.state.texts
        self.saved = loop.state.step
        self.started = time.perf_counter()

    def end_step(self, texts: int, loss: float) -> None:
        """Show the progress, and save the state if it is time."""
        state = self.loop.state
        settings = self.loop.settings
        speed = (state.texts - self.texts) / (time.perf_counter() - self.started)
        epochs = f"epoch {len(state.history) + 1}/{settings.num_train_epochs}"
        self.task.note(f"{epochs}, loss {loss:.4f}, {speed:,.0f} texts/s")
        self.task.advance()
        if self.board and self.loop.latest:
            self.board.step(self.loop.latest, speed)
        if self.loop.stopping:
            self.save()
            # torchrun ends the others when one ends, and the state has to be on disk by then
            self.loop.group.wait()
            raise StoppedError(
                f"Stopped after step {state.step:,}, and saved in {self.unfinished.path}. "
                "The same command resumes it, to the same result."
            )
        if (
            state.step - self.saved >= settings.save_steps
            and state.epoch_step < self.loop.steps_per_epoch
        ):
            self.save()

    def end_epoch(self, epoch: Epoch) -> None:
        """Record the epoch and save the state."""
        if self.board:
            self.board.epoch(epoch, self.loop.state.step)
        self.save()
        if self.loop.group.first:
            self.unfinished.tidy(self.loop)

    def save(self) -> None:
        """Write the state to disk."""
        self.count_seconds()
        if self.board:
            self.board.flush()  # before the state, which is then never ahead of it
        states = self.loop.group.gather(random_states(self.loop))
        if self.loop.group.first:
            self.unfinished.save(self.loop, states)
        self.saved = self.loop.state.step

    def count_seconds(self) -> None:
        """Add the seconds of this process to the state."""
        self.loop.state.seconds = self.seconds + time.perf_counter() - self.started


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM set an event; the second signal ends the process as usual."""
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
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "Memory ran out. Lower train.per_device_train_batch_size (now "
            f"{settings.per_device_train_batch_size}) and raise train.gradient_accumulation_steps "
            f"(now {settings.gradient_accumulation_steps}) by as much, which gives the same steps; "
            "or lower model.max_length."
        ) from error
