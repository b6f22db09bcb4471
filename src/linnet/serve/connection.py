"""A client's connection, which is cut off where the client doesn't get on with its request, or takes no answer."""

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from linnet.serve.identity import HEADER, NO_ROUTE, Observe, new_id
from linnet.serve.limits import SURPLUS

MAX_HEAD_BYTES = 65_536
SPARE = 64  # connections too many that are still listened to, for probes and so that the others are told

logger = logging.getLogger("linnet.serve")


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, which by itself waits for a request without end, and for a head of any size.

    A request must have come whole, body included, so many seconds after the connection was made or its first byte came;
    an answer must be taken within as many. There is one timer, for that costs a request nothing. Requests on a
    connection too many are marked so, for `RefuseSurplus`, and it is closed after the first; many more are cut off.

    Args:
        seconds: The time a client has.
        most: Connections there may be at once.
        observe: Is told of each request that is refused here; see `IdentifyRequests`.
        options: Uvicorn's own.
    """

    def __init__(self, *, seconds: float, most: int, observe: Observe, **options: Any):
        super().__init__(**options)
        self._seconds, self._most, self._observe = seconds, most, observe
        self._timer: asyncio.TimerHandle | None = None
        self._reading_since: float | None = (
            None  # a request is under way, or its first byte is waited for
        )
        self._writing_since: float | None = None  # the client doesn't take what is sent to it
        self._in_head, self._head_bytes = True, 0
        self._surplus = False
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the loop."""
        super().connection_made(transport)
        self._reading_since = self.loop.time()
        self._look_after(self._seconds)
        too_many = len(self.connections) - self._most
        self._surplus = too_many > 0
        if too_many > SPARE:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self._timer:
            self._timer.cancel()
        self._mark_left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    431,
                    "head_too_large",
                    f"Expected a head of at most {MAX_HEAD_BYTES:,} bytes; got more.",
                )

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._reading_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Called by the loop when more waits to be sent than should."""
        self._writing_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called by the loop when it was sent."""
        self._writing_since = None
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        if self._surplus:
            cycle.scope["state"][SURPLUS] = self._most
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def _mark_left(self) -> None:
        # Uvicorn tells the request that was read last, which is another where the client sent several at once; the
        # answer would then be written to what is closed.
        if self._answered:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _look_after(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        since = [
            moment for moment in (self._reading_since, self._writing_since) if moment is not None
        ]
        left = min(since, default=self.loop.time()) + self._seconds - self.loop.time()
        answering = (
            self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        )
        if self.transport.is_closing():
            self.transport.abort()  # what was sent last is not taken either
        elif left > 0:
            self._look_after(left)
        elif self._writing_since is not None:
            self._mark_left()
            self.transport.abort()
        elif answering:  # what has come of the next request can wait
            self._look_after(self._seconds)
        else:
            message = f"Expected a whole request within {self._seconds:g} s; it did not come. Send it faster."
            self._refuse(408, "request_too_slow", message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer a request that is not whole, and so never came to the app, and end the connection."""
        identity = new_id()
        waited = self.loop.time() - (self._reading_since or self.loop.time())
        logger.info("%s %s %d %s", identity, NO_ROUTE, status, code)
        self._observe(NO_ROUTE, status, waited, code)
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            error = {"code": code, "message": message, "request_id": identity}
            body = json.dumps({"error": error}).encode()
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n{HEADER.lower()}: {identity}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
        self._look_after(self._seconds)
