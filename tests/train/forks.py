"""Children of one process that kill themselves, one after the other: what they import, it has imported once."""

import os
import signal
from collections.abc import Callable


def fork_until_done(draw: Callable[[], Callable[[], object]], killed: Callable[[], object] = lambda: None) -> int:
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
