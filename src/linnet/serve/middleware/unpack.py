"""Bodies that a client packed are unpacked as they are read:

`Content-Encoding` of gzip or deflate (RFC 9110, 8.4).
"""

import asyncio
import zlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linnet.serve.errors import APIError
from linnet.serve.middleware.limits import header_values, too_large

ACCEPTED = "gzip, deflate, identity"
PIECE = 262_144  # bytes that are unpacked at once, before other requests have their turn
MAX_MEMBERS = 1_000  # of one gzip body: each costs as much as many bytes, and may hold none
# what zlib calls its formats (`wbits`)
GZIP = 31
ZLIB = 15
RAW = -15


class UnpackMiddleware:
    """ASGI middleware: unpacks bodies as they are read; a damaged one raises an error.

    400 if it is damaged, 413 if it is larger than allowed once unpacked, 415 if it is packed in
    another way. Nothing is unpacked before it is read, so nothing of a request that is refused by
    its head.

    Args:
        app: What the request is passed on to.
        max_bytes: The largest body allowed, unpacked.
    """

    def __init__(self, app: ASGIApp, max_bytes: int):
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and (sent := header_values(scope, b"content-encoding")):
            codings = [one.strip().lower() for value in sent for one in value.split(b",")]
            packed = [one for one in codings if one not in (b"", b"identity")]
            if packed:
                receive = self._unpacking(packed, receive)
        await self._app(scope, receive, send)

    def _unpacking(self, codings: list[bytes], receive: Receive) -> Receive:
        unpacker: Unpacker | None = None
        more = True
        whole = False

        async def unpacked() -> Message:
            nonlocal unpacker, more, whole
            if whole:
                return await receive()
            if unpacker is None:
                unpacker = Unpacker(_format_of(codings), self._max_bytes)
            while not (piece := unpacker.read()) and more:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                more = message.get("more_body", False)
                unpacker.feed(message.get("body", b""))
            if piece:
                await asyncio.sleep(0)
            else:
                unpacker.check_end()
                whole = True
            return {"type": "http.request", "body": piece, "more_body": not whole}

        return unpacked


class Unpacker:
    """Unpacks a body that comes in parts, at most `PIECE` bytes at once.

    Args:
        wbits: The format: `GZIP`, or `ZLIB` for deflate, which some clients send without zlib's
            head.
        max_bytes: The largest body allowed, unpacked.
    """

    def __init__(self, wbits: int, max_bytes: int):
        self._wbits = wbits
        self._max_bytes = max_bytes
        self._packed = b""  # what has come and is not unpacked
        self._left_over = False  # the member holds more than it gave
        self._unpacked = 0
        self._members = 0
        self._member: zlib._Decompress | None = None  # that has begun and not ended

    def feed(self, packed: bytes) -> None:
        """Take the next part."""
        self._packed += packed

    def read(self) -> bytes:
        """The next bytes; b"" if more has to be fed first.

        Raises:
            APIError: The body is damaged, or too large.
        """
        piece = b""
        while (self._packed or self._left_over) and not piece:
            if self._member is None and not self._begin():
                break
            assert self._member is not None
            try:
                piece = self._member.decompress(self._packed, PIECE)
            except zlib.error:
                raise _damaged() from None
            ended = self._member.eof
            self._packed = self._member.unused_data if ended else self._member.unconsumed_tail
            self._left_over = len(piece) == PIECE and not ended
            if ended:
                self._member = None
        self._unpacked += len(piece)
        if self._unpacked > self._max_bytes:
            raise too_large(self._max_bytes, " once unpacked")
        return piece

    def check_end(self) -> None:
        """Pass if nothing is missing after what was fed, which was read as far as possible.

        Raises:
            APIError: The body is cut off.
        """
        if self._member is not None or self._packed:
            raise _damaged()

    def _begin(self) -> bool:
        """Begin a member; False if it takes more to know its format."""
        if self._wbits != GZIP:
            if self._members:
                raise _damaged()  # one stream is all that deflate has
            if len(self._packed) < 2:
                return False
            if not _has_zlib_head(self._packed):
                self._wbits = RAW
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise _damaged()
        self._member = zlib.decompressobj(self._wbits)
        return True


def _has_zlib_head(packed: bytes) -> bool:
    """Whether a body of deflate has its header (RFC 1950, 2.2); raw ones (RFC 1951) have none."""
    return packed[0] & 0x0F == 8 and int.from_bytes(packed[:2], "big") % 31 == 0


def _format_of(codings: list[bytes]) -> int:
    known: dict[bytes, int] = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": ZLIB}
    if len(codings) == 1 and codings[0] in known:
        return known[codings[0]]
    got = b", ".join(codings)[:100].decode("latin-1")
    raise APIError(
        415,
        "unsupported_content_encoding",
        f"Expected a body packed once, as one of {ACCEPTED}; got {got!r}. Send such a "
        f"Content-Encoding, or none.",
        headers={"Accept-Encoding": ACCEPTED},
    )


def _damaged() -> APIError:
    return APIError(
        400,
        "bad_content_encoding",
        "Expected a body packed as its Content-Encoding says; got a damaged or incomplete one. "
        "Send it again, or unpacked.",
        # The rest of the body is not read, so the connection can't carry another request.
        headers={"Connection": "close"},
    )
