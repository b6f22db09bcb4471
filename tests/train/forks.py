"""Children of one process that kill themselves, one after the other: what they import, it has imported once."""

import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path


def fork_until_done(
    draw: Callable[[], Callable[[], object]], killed: Callable[[], object] = lambda: None
) -> int:
    """Have children work until one comes to the end; gives the number of those that were killed.

    Args:
        draw: Called before each child begins; gives what it does.
        killed: Called after each that was killed.
    """
    kills = 0
    while True:
        work = draw()
        pid = os.fork()
        if not pid:
            work()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not status:
            return kills
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        kills += 1
        killed()


def kill_at_least(
    least: int, root: Path, draw_child: Callable[[Path, random.Random], Callable[[], object]]
) -> int:
    """Bring runs to their end, each in a folder of its own, until so many children were killed; gives the runs.

    Args:
        least: The kills.
        root: Holds the runs' folders: "0", "1" and so on.
        draw_child: Gives what a child does in a folder, drawn at random.
    """
    kills = runs = 0
    while kills < least:
        here = root / str(runs)
        here.mkdir()
        kills += fork_until_done(partial(draw_child, here, random.Random(runs)))
        runs += 1
    return runs
