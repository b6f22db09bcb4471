"""A child process ends when its parent does, however that one ends. Called in the child.

Two ways, as each has its gap. The kernel of Linux kills the child at once, also a stopped one or
one that computes without end. Elsewhere, and where a sandbox forbids that, a thread waits for the
end of the connection to the parent.
"""

import ctypes
import os
import select
import signal
import socket
import sys
import threading

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ORPHANED = 70  # the exit code: nobody reads it


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent ends; call it first. Linux only.

    To the kernel the parent is the thread that started this process, see PR_SET_PDEATHSIG in
    prctl(2): start children in a thread that lives as long as they should.

    Args:
        parent: The process id of the parent, as the parent knows it.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(ORPHANED)


def end_with_connection(connection: socket.socket) -> None:
    """End this process, also while it computes, as soon as the other end of a connection closes.

    Args:
        connection: A socket of a connected pair; nothing is read from it here.
    """
    closed = select.poll()
    closed.register(connection, 0)  # the end of a connection is reported unasked

    def wait() -> None:
        closed.poll()
        os._exit(ORPHANED)

    threading.Thread(target=wait, name="linnet-parent", daemon=True).start()
