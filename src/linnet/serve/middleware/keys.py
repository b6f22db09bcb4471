"""Keys: made once, kept as hashes in a file, and read again when the file changes.

A key is `lk_ID_SECRET`. The secret is 256 random bits, so SHA-256 is enough to keep it by: slow
hashes (bcrypt, Argon2) make it dear to guess a password, which has few bits. These nobody can
guess, and each request would pay for the hash.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from linnet.config import defaults
from linnet.errors import ConfigError, UsageError
from linnet.files import canonical_json, disk_errors, locked, write_text

Scope = Literal["predict", "feedback", "admin", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
SHAPE = re.compile(r"lk_([0-9a-f]{8})_([0-9a-f]{64})")
NOBODY = "0" * 64  # compared with where the id is unknown, so that this takes as long
LOOK_SECONDS = 1.0

logger = logging.getLogger("linnet.serve")
Count = Annotated[int, Field(ge=0)]


class Key(BaseModel):
    """What is kept of a key; its secret is not.

    Attributes:
        id: 8 hexadecimal digits, part of the key; it may be shown and logged.
        name: Whose it is, for people.
        sha256: Of the secret's 64 hexadecimal digits.
        scopes: What it opens.
        requests_per_minute: 0: any number.
        texts_per_day: By the days of UTC. 0: any number.
        created: When.
        expires: From when on it is refused; None: never.
        revoked: Since when it is refused; None: it isn't.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: str = Field(pattern="^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(min_length=1)
    requests_per_minute: Count
    texts_per_day: Count
    created: AwareDatetime
    expires: AwareDatetime | None
    revoked: AwareDatetime | None

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("expected printable characters")
        return name

    def refusal(self, now: datetime) -> str | None:
        """Why the key is refused: the end of a sentence that begins with "The key"; else None."""
        if self.revoked is not None:
            return f"was revoked on {self.revoked:%Y-%m-%d}"
        if self.expires is not None and now >= self.expires:
            return f"expired on {self.expires:%Y-%m-%d}"
        return None


class KeyFile(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1]
    keys: tuple[Key, ...]

    @field_validator("keys")
    @classmethod
    def _differ(cls, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if len({key.id for key in keys}) < len(keys):
            raise ValueError("expected a different id for each key")
        return keys


class Keys:
    """The keys of a file, which is checked for changes at most once a second.

    A file that changed for the worse changes nothing: the keys read before stay in force, and the
        log says so. A file
    that is gone closes: no key is known until it is back.

    Args:
        path: The file.
        clock: Seconds that only grow.

    Attributes:
        path: As given.
        stale: Why the file that is there now is not in force; None: it is.

    Raises:
        ConfigError: The file is missing, can't be read, or holds something else.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic):
        self.path = path
        self._clock = clock
        self.stale: str | None = None
        self._seen = file_signature(
            path
        )  # before it is read: a change in between is then seen later
        self._keys = read_keys(path)
        self._look_at = clock() + LOOK_SECONDS

    def find(self, sent: str) -> Key | None:
        """The key that a request carries, be it still in force or not (`Key.refusal`); None:

        there is no such key.
        """
        self.look()
        match = SHAPE.fullmatch(sent)
        if match is None:
            return None
        key = self._keys.get(match[1])
        same = hmac.compare_digest(_sha256(match[2]), key.sha256 if key else NOBODY)
        return key if same else None

    def in_force(self, now: datetime) -> int:
        """How many keys still open something."""
        return sum(key.refusal(now) is None for key in self._keys.values())

    def look(self) -> None:
        """Read the file again if it has changed and was checked a second ago or longer."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        seen = file_signature(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        if seen is None:
            self._keys = {}
            self.stale = f"{self.path} is gone."
            logger.error("%s is gone: every key is refused until it is back", self.path)
            return
        try:
            self._keys = read_keys(self.path)
            self.stale = None
            logger.info("Read %s again: %d keys", self.path, len(self._keys))
        except ConfigError as error:
            self.stale = str(error)
            logger.error("%s The keys read before stay in force.", error)


def read_keys(path: Path) -> dict[str, Key]:
    """The keys of a file by their ids.

    Raises:
        ConfigError: The file is missing, can't be read, may be written by others, or holds
            something else.
    """
    try:
        content = read_guarded(path, "The keys in", "could add keys of their own")
        return {key.id: key for key in KeyFile.model_validate_json(content).keys}
    except FileNotFoundError:
        raise ConfigError(
            f"There is no file of keys at {path}. Make one with `{command('add NAME', path)}`."
        ) from None
    except OSError as error:
        raise ConfigError(f"The keys in {path} can't be read: {error.strerror}.") from None
    except ValidationError as error:
        mistake = error.errors()[0]
        place = ".".join(str(part) for part in mistake["loc"]) or "the whole"
        raise ConfigError(f"{path} is not a file of keys: {place}: {mistake['msg']}.") from None


def read_guarded(path: Path, name: str, danger: str) -> bytes:
    """The content of a plain file that only its owner may write. It never waits for a pipe.

    Args:
        path: The file.
        name: What it holds, the start of a message.
        danger: What others could do if they wrote it, the end of a message.

    Raises:
        OSError: The file is missing or can't be read.
        ConfigError: It is something else, or others may write it.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(
                f"{name} {path} can't be read: it is a pipe, a device or a socket. "
                "Expected a plain file."
            )
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError(
                f"{path} may be written by other users (its mode is "
                f"{stat.S_IMODE(status.st_mode):04o}), "
                f"who {danger}. Run `chmod go-w {shlex.quote(str(path))}`."
            )
        return file.read()


def add_key(
    path: Path,
    name: str,
    scopes: Sequence[Scope],
    requests_per_minute: int = 0,
    texts_per_day: int = 0,
    expires: datetime | None = None,
) -> tuple[Key, str]:
    """Make a key and add it to a file; calls at once don't lose each other's.

    Args:
        path: The file, made where there is none, readable by its owner only.
        name: Whose it is.
        scopes: What it opens.
        requests_per_minute: 0: any number.
        texts_per_day: 0: any number.
        expires: From when on it is refused; None: never.

    Returns:
        What is kept, and the key itself, which is kept nowhere.

    Raises:
        UsageError: A value is out of range.
        ConfigError: The file holds something else.
        StorageError: The disk refused; the file is as it was.
    """
    secret = secrets.token_hex(32)
    with _changed(path) as keys:
        identity = secrets.token_hex(4)
        while identity in keys:
            identity = secrets.token_hex(4)
        try:
            key = Key(
                id=identity,
                name=name,
                sha256=_sha256(secret),
                scopes=tuple(scopes),
                requests_per_minute=requests_per_minute,
                texts_per_day=texts_per_day,
                created=_now(),
                expires=expires,
                revoked=None,
            )
        except ValidationError as error:
            mistake = error.errors()[0]
            raise UsageError(f"No key was made: {mistake['loc'][0]}: {mistake['msg']}.") from None
        keys[key.id] = key
    return key, f"lk_{key.id}_{secret}"


def revoke_key(path: Path, identity: str) -> Key:
    """Revoke a key. Running services refuse it within a second.

    Args:
        path: The file.
        identity: The key's id, or the key itself.

    Raises:
        UsageError: There is no such key.
        ConfigError: The file is missing or holds something else.
        StorageError: The disk refused; the file is as it was.
    """
    match = SHAPE.fullmatch(identity)
    identity = match[1] if match else identity
    with _changed(path, needed=True) as keys:
        if identity not in keys:
            raise UsageError(
                f"{path} holds no key of that id. `{command('list', path)}` names those it holds."
            )
        key = keys[identity]
        if key.revoked is None:
            keys[identity] = key = key.model_copy(update={"revoked": _now()})
    return key


def command(action: str, path: Path) -> str:
    """The command that does something with a file of keys, for messages."""
    named = [] if str(path) == defaults()["serve"]["keys"] else ["--keys", str(path)]
    return shlex.join(["linnet", "keys", *action.split(), *named])


@contextmanager
def _changed(path: Path, needed: bool = False) -> Iterator[dict[str, Key]]:
    if needed and not path.exists():
        read_keys(path)  # says what is missing
    with disk_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"No folder can be made for {path}: {error.strerror}. Choose another."
            ) from None
    with locked(path.with_name(f".{path.name}.lock")):
        keys = read_keys(path) if path.exists() else {}
        yield keys
        file = KeyFile(format=1, keys=tuple(keys.values()))
        write_text(path, canonical_json(file.model_dump(mode="json")), private=True)


def file_signature(path: Path) -> tuple[int, ...] | None:
    """What changes whenever a file does; None: there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (error.errno or 0,)
    # ctime too: a file that may be read from now on has changed in nothing else.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
