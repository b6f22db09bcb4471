"""The plain bytes of an .xz file, and an error for any byte in it that is not read.

`lzma.LZMAFile` ends in silence at what it can't read behind a whole stream: damage, and by the
format also four zeros with another stream of rows behind them (The .xz File Format, 2.2).
"""

import io
import lzma
from typing import IO

CHUNK = (
    1 << 13
)  # packed bytes; few, so that the file's position tells how much of it has been unpacked
STEP = 1 << 20


class XzFile(io.RawIOBase):
    """Reads one stream or several.

    Args:
        packed: The file, at its beginning; seekable if this is to be.
    """

    def __init__(self, packed: IO[bytes]):
        self._packed = packed
        self._position = 0
        self._decompressor = lzma.LZMADecompressor()
        self._waiting = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size` of them; none at the end.

        Raises:
            EOFError: The file is cut.
            lzma.LZMAError: It is damaged, or has other bytes after its end.
        """
        while True:
            if self._decompressor.eof and not self._begin_next():
                return b""
            if self._decompressor.needs_input and not self._waiting:
                self._waiting = self._packed.read(CHUNK)
                if not self._waiting:
                    raise EOFError("the file ends in the middle of its contents")
            plain = self._decompressor.decompress(self._waiting, size)
            self._waiting = b""
            if plain:
                self._position += len(plain)
                return plain

    def tell(self) -> int:
        """Plain bytes before the next one."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position by unpacking everything before it, from the start if needed."""
        if whence == io.SEEK_END:
            while self.read(STEP):
                pass
        target = offset if whence == io.SEEK_SET else self._position + offset
        if target < self._position:
            self._packed.seek(0)
            self._position = 0
            self._waiting = b""
            self._decompressor = lzma.LZMADecompressor()
        while self._position < target and self.read(min(STEP, target - self._position)):
            pass
        return self._position

    def _begin_next(self) -> bool:
        """Go to the next stream, over the zeros between; False if there is none."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (block := self._packed.read(CHUNK)):
            rest = block.lstrip(b"\0")
        if not rest:
            return False
        self._decompressor = lzma.LZMADecompressor()
        self._waiting = rest
        return True
