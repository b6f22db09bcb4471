"""Work for a thread, of a kind that can take minutes: nobody waits for it once it is given up.

`asyncio.to_thread` won't do: its threads are waited for at the end of the process, and a disk that
doesn't answer would hold that up without end.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
Check = Callable[[], None]


class GivenUp(Exception):
    """Nobody waits any more for the work that raises this."""


async def in_background(work: Callable[[Check], T]) -> T:
    """The result of work that a thread of its own does. Cancelled, the thread is not waited for.

    Args:
        work: Takes a function to call now and then, which ends work that was given up.

    Raises:
        BaseException: What the work raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    given_up = threading.Event()

    def check() -> None:
        if given_up.is_set():
            raise GivenUp

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        result = error = None
        try:
            result = work(check)
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="linnet-background", daemon=True).start()
    try:
        return await done
    finally:
        given_up.set()
