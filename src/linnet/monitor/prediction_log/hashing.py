"""Keyed hashes of units and texts in the prediction log, and the draw of the audit."""

import os
import stat
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from linnet.errors import UsageError
from linnet.files import disk_errors, temporary_file, write_bytes

KEY_BYTES = 32


class KeyedHash:
    """Hashes that nobody can compute again without the key: keyed BLAKE2b (RFC 7693) of 8 bytes.

    They are pseudonyms and not anonymous: whoever has the key can test a guess.

    Args:
        key: At most 64 bytes.
    """

    def __init__(self, key: bytes):
        self._keyed = blake2b(digest_size=8, key=key)

    def __call__(self, text: str) -> int:
        """The hash of a text, from -2^63 to 2^63 - 1. Never 0, which says that it is not known."""
        state = self._keyed.copy()  # half of the time of a new one
        state.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(state.digest(), "big", signed=True) or 1


def draw(key: str) -> float:
    """A number from 0 to 1 that is always the same for a key, and even over many."""
    return (
        int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        / 2**64
    )


def audited(identity: str, rate: float) -> bool:
    """Whether an answer is drawn for the audit. Ids hold 74 random bits, so the chance is the rate.

    Args:
        identity: The answer's id; a shadow's answer has the same.
        rate: From 0 to 1.
    """
    return draw(f"audit\0{identity}") < rate


def read_hash_key(file: Path) -> bytes:
    """The secret key of the hashes; made, for its owner alone, where there is none.

    Hashes of another key are other ones. So replacing the file ends what can be compared with
    earlier rows; do it as often as the rows are deleted.

    Raises:
        UsageError: The file holds no key, or others may read it.
        StorageError: It can't be made.
    """
    if not os.path.lexists(file):
        _make_key(file)
    try:
        key = file.read_bytes()
        others = stat.S_IMODE(file.stat().st_mode) & 0o077
    except OSError as error:
        raise UsageError(f"The key file {file} can't be read: {error.strerror}.") from None
    if len(key) != KEY_BYTES:
        raise UsageError(f"Expected {KEY_BYTES} bytes in the key file {file}, got {len(key)}.")
    if others:
        raise UsageError(f"Others may read the key file {file}. Say: chmod 600 {file}")
    return key


def _make_key(file: Path) -> None:
    made = temporary_file(file)
    try:
        with disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(made, os.urandom(KEY_BYTES), private=True)
            with suppress(FileExistsError):  # of two processes the first one's key counts
                os.link(made, file)
    finally:
        made.unlink(missing_ok=True)


def hash_key_file(url: str, setting: str) -> Path:
    """Where the key is: as the setting says, else next to an SQLite log or in this folder."""
    if setting:
        return Path(setting)
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "sqlite":
        return Path("prediction_log.key")
    path = Path(rest[1:] if separator else url)
    return path.with_name(f"{path.name}.key")
