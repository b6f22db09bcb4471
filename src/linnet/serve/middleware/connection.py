"""A client's connection, which is closed if the client sends or reads too slowly."""

import asyncio
import json
import logging
import re
from http import HTTPStatus
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn import __version__ as uvicorn_version
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from linnet.errors import UsageError
from linnet.serve.middleware.connections import Connections
from linnet.serve.middleware.identity import Observe
from linnet.serve.middleware.limits import PROBES_ONLY, SURPLUS
from linnet.serve.request_id import HEADER, NO_ROUTE, new_id

MAX_HEAD_BYTES = 65_536
# Chunk sizes, chunk extensions and trailers may take MAX_HEAD_BYTES and so many times the body's
# bytes: chunks of one byte take 5.
MAX_FRAMING = 8
MAX_HEADERS = 200  # of a request; each is looked at several times
HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")  # RFC 3986, 3.2.2, and a port
# Methods of uvicorn's that are not public, and that `Connection` overrides or calls.
HOOKS = ("_start_asgi_task", "_unset_keepalive_if_required")

logger = logging.getLogger("linnet.serve")


class HeadRefused(Exception):
    """Raised out of the parser: the head has come whole, and the request is refused for it.

    Args:
        status: The HTTP status.
        code: A stable name for programs.
        message: What was expected, what came, what to do next.
    """

    def __init__(self, status: int, code: str, message: str):
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


class Connection(HttpToolsProtocol):
    """Uvicorn's connection with limits on the time of a request and the size of its head.

    A request must have come whole, body included, so many seconds after the connection was made or
    its first byte came; an answer must be taken within as many. There is one timer, for that costs
    a request nothing. Requests on a connection too many are marked so, for
    `ConnectionLimitMiddleware`, and it is closed after the first.

    Args:
        seconds: The time a client has.
        open_connections: All of the same listener.
        observe: Called for each request that is refused here; see `RequestIdMiddleware`.
        probes_only: Whether only probes and metrics are answered; see `ConnectionLimitMiddleware`.
        options: Uvicorn's own.
    """

    def __init__(
        self,
        *,
        seconds: float,
        open_connections: Connections,
        observe: Observe,
        probes_only: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        self._seconds = seconds
        self._observe = observe
        self._probes_only = probes_only
        self._open_connections = open_connections
        self._waiting = True  # for the first byte of a request, and nothing else is under way
        self._timer: asyncio.TimerHandle | None = None
        self._reading_since: float | None = (
            None  # a request is under way, or its first byte is waited for
        )
        self._writing_since: float | None = None  # the client doesn't take what is sent to it
        self._in_head = True
        self._read = 0  # bytes of the latest read
        self._framing = 0  # bytes of this request that are not its body; see MAX_FRAMING
        self._offered = False  # to speak another protocol: the parser stopped after the head
        self._surplus: str | None = None  # the limit that leaves no room for this connection
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the loop."""
        super().connection_made(transport)
        self._reading_since = self.loop.time()
        self._look_after(self._seconds)
        self._surplus = self._open_connections.add(self, self.client[0] if self.client else "")

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self._timer:
            self._timer.cancel()
        self._open_connections.remove(self)
        self._mark_left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        if self._waiting:
            self._waiting = False
            self._open_connections.set_busy(self)
        self._unset_keepalive_if_required()
        self._read = len(data)
        try:
            self._parse(data)
        except HttpParserError as error:
            refused = error.__context__
            if isinstance(refused, HeadRefused):
                self._refuse(refused.status, refused.code, refused.message)
            else:
                self.send_400_response("Invalid HTTP request received.")
            return
        self._framing += len(data)
        too_much = self._framing > MAX_HEAD_BYTES and self._reading_since is not None
        if too_much and not self.transport.is_closing():
            if self._in_head:
                refused = _head_too_large()
                self._refuse(refused.status, refused.code, refused.message)
            else:
                message = (
                    "Expected a body with short chunk extensions and trailers; got longer ones."
                )
                self._refuse(400, "bad_request", message)

    def _parse(self, data: bytes) -> None:
        """Feed the parser, and ignore offers of another protocol (RFC 9110, section 7.8).

        The parser stops after the head that holds such an offer, and takes the body for the other
        protocol. So the head is read again without it: as any other, by a new parser, for the old
        one may have closed.
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
        self._in_head = True
        self._framing = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head = False
        # What was read bounds the head; only where it is more is it worth to look.
        if (
            self._framing + self._read > MAX_HEAD_BYTES
            and _size(self.url, self.headers) > MAX_HEAD_BYTES
        ):
            raise _head_too_large()
        self._check_head()
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._offered = True
            return
        if not self.url.startswith(b"/"):
            self._take_origin_form()
        super().on_headers_complete()
        self.headers = []  # trailers come into it, which are no part of the head (RFC 9110, 6.5.1)

    def _check_head(self) -> None:
        """Pass if it is a head of HTTP/1.1 or 1.0 (RFC 9112, 2.3, 3.2 and 6.1).

        Raises:
            HeadRefused: It is not.
        """
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            message = f"Expected a request of HTTP/1.1 or HTTP/1.0; got HTTP/{version}."
            raise HeadRefused(505, "http_version_not_supported", message)
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1 and (hosts or version == "1.1"):
            raise HeadRefused(
                400, "bad_host", f"Expected one header Host; got {len(hosts) or 'none'}. Send one."
            )
        if hosts and not HOST.fullmatch(hosts[0]):
            message = "Expected a host name or an address in the header Host; got something else."
            raise HeadRefused(400, "bad_host", message)
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self.headers):
            message = "Expected no Transfer-Encoding in HTTP/1.0; got one. Send a Content-Length."
            raise HeadRefused(400, "bad_request", message)
        if len(self.headers) > MAX_HEADERS:
            message = f"Expected at most {MAX_HEADERS} headers; got more."
            raise HeadRefused(431, "head_too_large", message)

    def _take_origin_form(self) -> None:
        """Take path and host from a target that holds both (RFC 9112, 3.2.2)."""
        parsed: Any = parse_url(self.url)  # its types promise a path
        if parsed.path is None:
            self.url = b"/" if parsed.query is None else b"/?" + parsed.query
        if parsed.host is not None:
            host = b"[%b]" % parsed.host if b":" in parsed.host else parsed.host
            host += b":%d" % parsed.port if parsed.port else b""
            self.headers[:] = [
                (name, host if name == b"host" else value) for name, value in self.headers
            ]

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

    def on_response_complete(self) -> None:
        """Called when an answer was written."""
        super().on_response_complete()
        if self._reading_since is None and self.cycle.response_complete:
            self._waiting = True
            self._open_connections.set_idle(self)

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
            cycle.scope["state"][SURPLUS] = self._surplus
            cycle.keep_alive = False
        if self._probes_only:
            cycle.scope["state"][PROBES_ONLY] = True
        super()._start_asgi_task(cycle, app)

    def _mark_left(self) -> None:
        # Uvicorn tells the request that was read last, which is another where the client sent
        # several at once; the answer would then be written to what is closed.
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
            message = (
                f"Expected a whole request within {self._seconds:g} s; it did not come. Send it "
                f"faster."
            )
            self._refuse(408, "request_too_slow", message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer a request that is incomplete and never reached the app; end the connection."""
        identity = new_id()
        waited = self.loop.time() - (self._reading_since or self.loop.time())
        logger.info("%s %s %d %s", identity, NO_ROUTE, status, code)
        self._observe(NO_ROUTE, status, waited, code)
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            error = {"code": code, "message": message, "request_id": identity}
            body = json.dumps({"error": error}).encode()
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: "
                f"application/json\r\n"
                f"content-length: {len(body)}\r\n{HEADER.lower()}: {identity}\r\nconnection: "
                f"close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
        self._look_after(self._seconds)


def check_hooks() -> None:
    """Pass if uvicorn has what `Connection` needs; an older one would limit no connections.

    Raises:
        UsageError: It is not.
    """
    missing = [name for name in HOOKS if not hasattr(HttpToolsProtocol, name)]
    if missing:
        raise UsageError(
            f"uvicorn {uvicorn_version} can't be used: it lacks {', '.join(missing)}, which "
            "serve.max_connections needs. Install another: pip install 'uvicorn>=0.45'."
        )


def _size(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _head_too_large() -> HeadRefused:
    message = f"Expected a head of at most {MAX_HEAD_BYTES:,} bytes; got more."
    return HeadRefused(431, "head_too_large", message)
