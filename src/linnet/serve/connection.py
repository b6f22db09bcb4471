"""A client's connection, which is cut off where the client doesn't get on with its request, or takes no answer."""

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn import __version__ as uvicorn_version
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from linnet.errors import UsageError
from linnet.serve.identity import HEADER, NO_ROUTE, Observe, new_id
from linnet.serve.limits import SURPLUS

MAX_HEAD_BYTES = 65_536
# Chunk sizes, chunk extensions and trailers may take MAX_HEAD_BYTES and so many times the body's bytes: chunks of one
# byte take 5.
MAX_FRAMING = 8
SPARE = 64  # connections too many that are still listened to, for probes and so that the others are told
# Methods of uvicorn's that are not public, and that `Connection` overrides or calls.
HOOKS = ("_start_asgi_task", "_unset_keepalive_if_required")

logger = logging.getLogger("linnet.serve")


class HeadTooLarge(Exception):
    """Raised out of the parser: the head has come whole, and is too large."""


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
        self._in_head = True
        self._read = 0  # bytes of the latest read
        self._framing = 0  # bytes of this request that are not its body; see MAX_FRAMING
        self._offered = False  # to speak another protocol: the parser stopped after the head
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
        self._unset_keepalive_if_required()
        self._read = len(data)
        try:
            self._parse(data)
        except HttpParserError as error:
            if isinstance(error.__context__, HeadTooLarge):
                self._refuse_head()
            else:
                self.send_400_response("Invalid HTTP request received.")
            return
        self._framing += len(data)
        too_much = self._framing > MAX_HEAD_BYTES and self._reading_since is not None
        if too_much and not self.transport.is_closing():
            if self._in_head:
                self._refuse_head()
            else:
                message = (
                    "Expected a body with short chunk extensions and trailers; got longer ones."
                )
                self._refuse(400, "bad_request", message)

    def _parse(self, data: bytes) -> None:
        """Feed the parser, and pass over every offer to speak another protocol (RFC 9110, section 7.8).

        The parser stops after the head that holds such an offer, and takes the body for the other protocol. So the head
        is read again without it: as any other, by a new parser, for the old one may have closed.
        """
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
                head = b"%s %s HTTP/%s\r\n" % (
                    self.parser.get_method(),
                    self.url,
                    self.parser.get_http_version().encode(),
                )
                for name, value in self.headers:
                    if name != b"upgrade":
                        head += b"%s: %s\r\n" % (name, value)
                self._offered = False
                self.parser = HttpRequestParser(self)
                # As uvicorn sets it: a request may be answered although more follows it.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head + b"\r\n")
            else:
                return

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        self._in_head, self._framing = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head = False
        # What was read bounds the head; only where it is more is it worth to look.
        if (
            self._framing + self._read > MAX_HEAD_BYTES
            and _size(self.url, self.headers) > MAX_HEAD_BYTES
        ):
            raise HeadTooLarge
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offered = True
            return
        if not self.url.startswith(b"/"):
            self.url = _with_path(self.url)
        super().on_headers_complete()
        self.headers = []  # trailers come into it, which are no part of the head (RFC 9110, 6.5.1)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._framing -= (1 + MAX_FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._offered:
            return
        self._reading_since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called where the parser can't read what has come."""
        message = "Expected a request of HTTP/1.1; got something else. Is it TLS, or HTTP/2?"
        self._refuse(400, "bad_request", message)

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

    def _refuse_head(self) -> None:
        message = f"Expected a head of at most {MAX_HEAD_BYTES:,} bytes; got more."
        self._refuse(431, "head_too_large", message)

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


def check_hooks() -> None:
    """Pass if uvicorn is as `Connection` needs it: an older one would silently bound no connections.

    Raises:
        UsageError: It is not.
    """
    missing = [name for name in HOOKS if not hasattr(HttpToolsProtocol, name)]
    if missing:
        raise UsageError(
            f"uvicorn {uvicorn_version} can't be used: it lacks {', '.join(missing)}, which serve.max_connections "
            "needs. Install another: pip install 'uvicorn>=0.45'."
        )


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _with_path(url: bytes) -> bytes:
    """A target with its path, which is "/" where the whole address of a host is asked for (RFC 9112, 3.2.2)."""
    parsed: Any = parse_url(url)  # its types promise a path
    if parsed.path is not None:
        return url
    return b"/" if parsed.query is None else b"/?" + parsed.query
