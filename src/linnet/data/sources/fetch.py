"""One file from the web: resumed, retried, checked by its digest; at its place it is whole or not there.

Knows URLs and digests; knows nothing of data sets.
"""

import fcntl
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from linnet.errors import DataError, StorageError, UsageError
from linnet.files import digest, disk_errors, install
from linnet.progress import Task, progress

CHUNK = 1 << 16
MAX_REDIRECTS = 5
WORTH_A_RETRY = {408, 425, 429, 500, 502, 503, 504}
LOCAL_COPY = "or give a local copy with --data FILE"


@dataclass(frozen=True)
class Remote:
    """A file on the web, known to the last byte.

    Attributes:
        url: Where it is; http or https.
        sha256: Its digest, 64 hexadecimal digits.
        bytes: Its length.
    """

    url: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait and how often to try.

    Attributes:
        timeout: Seconds without a byte, or below `slowest`, after which a connection is given up.
        slowest: Bytes a second, so that a server that sends a byte now and then holds nobody up.
        attempts: Failures in a row that are borne; one after at least a hundredth of the file starts the count anew.
        pause: Seconds before the second attempt; doubled with each.
    """

    timeout: float = 30.0
    slowest: float = 1000.0
    attempts: int = 5
    pause: float = 1.0


def fetch(remote: Remote, target: Path, retry: RetryPolicy | None = None) -> None:
    """Have the file at its place, by the network only if it isn't there yet.

    What a stopped run had received is kept beside the target and completed by the next. Of several
    processes one fetches and the others wait for it.

    Args:
        remote: The file.
        target: Its place; the folders above it are made.
        retry: Other waiting times than usual.

    Raises:
        DataError: The server can't be reached, refuses, or has another file.
        StorageError: The disk refused a write.
        UsageError: The folder can't be made.
    """
    with disk_errors(target):  # a folder that this user may not look into
        if is_there(remote, target):
            return
    _make_folder(target.parent)
    with _alone(target):
        if not is_there(remote, target):
            _fetch(remote, target, retry or RetryPolicy())


def _fetch(remote: Remote, target: Path, retry: RetryPolicy) -> None:
    part = target.with_name(f".{target.name}.part")
    download = _Download(remote, part, retry)
    with progress(f"fetch {target.name}", remote.bytes, "bytes") as task:
        download.complete(task)
        # A part of another file, or one that a crash has damaged, can't be told before it is whole.
        if download.resumed and digest(part) != remote.sha256:
            task.advance(-remote.bytes)
            part.unlink()
            download.complete(task)
    found = digest(part)
    if found != remote.sha256:
        part.unlink()
        raise DataError(
            f"{remote.url}: expected a file with the SHA-256 {remote.sha256}, got {found}. It was changed at its "
            f"source or on its way, and is removed. Try again, {LOCAL_COPY}."
        )
    install(part, target)


class _Download:
    """Brings a part to its full length; `resumed` tells whether anything was joined to what had been there."""

    def __init__(self, remote: Remote, part: Path, retry: RetryPolicy):
        self._remote = remote
        self._part = part
        self._retry = retry
        self._opener = _opener()
        self._reached = False
        self.resumed = False

    def complete(self, task: Task) -> None:
        have = self._size()
        if have > self._remote.bytes:
            self._part.unlink()
            have = 0
        task.advance(have)
        self.resumed = have > 0
        failures = 0
        pause = self._retry.pause
        while have < self._remote.bytes:
            try:
                self._receive(have, task)
            except (OSError, http.client.HTTPException) as error:
                self._give_up_if_hopeless(error)
                if self._size() - have > self._remote.bytes / 100:
                    failures = 0
                    pause = self._retry.pause
                failures += 1
                if failures >= self._retry.attempts:
                    raise DataError(
                        f"{self._remote.url} failed {failures} times in a row, the last time with: {_said(error)}. "
                        f"The {self._size():,} bytes received are kept: run the same command again later, {LOCAL_COPY}."
                    ) from error
                time.sleep(pause)
                pause *= 2
            have = self._size()

    def _receive(self, have: int, task: Task) -> None:
        # S310: the opener knows no scheme but http and https.
        request = urllib.request.Request(self._remote.url, headers={"User-Agent": "linnet"})  # noqa: S310
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            response = self._opener.open(request, timeout=self._retry.timeout)
        except urllib.error.HTTPError as error:
            self._reached = True
            error.close()
            if error.code == 416 and have:
                self._forget(have, task)
                raise ConnectionError(f"it has no bytes after the first {have:,}") from error
            raise
        with response:
            self._reached = True
            start = self._start(response, have, task)
            task.advance(start - have)
            self.resumed = start > 0
            with disk_errors(self._part), self._part.open("ab" if start else "wb") as file:
                self._copy(response, file, start, task)

    def _start(self, response: Any, have: int, task: Task) -> int:
        """Where the answer begins: at the part's end, or at 0 where the server ignores ranges."""
        start = 0
        total = response.headers.get("Content-Length")
        if response.status == 206:
            span, _, total = (
                response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            )
            start = have if span.startswith(f"{have}-") else -1
        if start < 0:
            self._forget(have, task)
            raise ConnectionError(
                f"it sent the bytes {span!r:.40} when asked for those from {have}"
            )
        if total and total.isdecimal() and int(total) != self._remote.bytes:
            raise self._other_length(f"{int(total):,}")
        return start

    def _copy(self, response: Any, file: IO[bytes], total: int, task: Task) -> None:
        since = time.monotonic()
        at_mark = total
        while chunk := response.read1(CHUNK):
            total += len(chunk)
            if total > self._remote.bytes:
                file.close()
                self._part.unlink()
                raise self._other_length("more")
            file.write(chunk)
            file.flush()
            task.advance(len(chunk))
            waited = time.monotonic() - since
            if waited > self._retry.timeout:
                if total - at_mark < self._retry.slowest * waited:
                    raise TimeoutError(f"{total - at_mark:,} bytes came in {waited:.0f} s")
                since = time.monotonic()
                at_mark = total
        if total < self._remote.bytes:
            raise ConnectionError(
                f"the connection ended after {total:,} of {self._remote.bytes:,} bytes"
            )

    def _other_length(self, got: str) -> DataError:
        return DataError(
            f"{self._remote.url}: expected a file of {self._remote.bytes:,} bytes, got {got}. "
            f"It was changed at its source. Look for another, {LOCAL_COPY}."
        )

    def _give_up_if_hopeless(self, error: Exception) -> None:
        if isinstance(error, urllib.error.HTTPError):
            if error.code in WORTH_A_RETRY:
                return
            raise DataError(
                f"{self._remote.url} answered: {error.code} {' '.join(str(error.reason).split())}. "
                f"It was moved or is not public. Look for another, {LOCAL_COPY}."
            ) from error
        # A server that was there a moment ago is worth a wait; one that never was is none, or this machine is offline.
        if isinstance(error, urllib.error.URLError) and not self._reached:
            raise DataError(
                f"{self._remote.url} can't be reached ({_said(error.reason)}), and the cache "
                f"{self._part.parent} holds no whole copy of it. Go online, {LOCAL_COPY}."
            ) from error

    def _forget(self, have: int, task: Task) -> None:
        self._part.unlink()
        task.advance(-have)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def is_there(remote: Remote, target: Path) -> bool:
    """Whether the file stands at its place, to the last byte."""
    return (
        target.is_file()
        and target.stat().st_size == remote.bytes
        and digest(target) == remote.sha256
    )


def _make_folder(folder: Path) -> None:
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"No folder can be made at {folder}: {error.strerror}. Choose another with the variable LINNET_CACHE."
        ) from None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other processes that want the same target waiting while the block runs."""
    lock = target.with_name(f".{target.name}.lock")
    with disk_errors(lock):
        file = lock.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress(f"wait for another process that fetches {target.name}", None, ""):
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise StorageError(
                f"{lock} can't be locked: {error.strerror}. Choose a folder of this machine with LINNET_CACHE."
            ) from error
        yield


def _said(error: object) -> str:
    return str(error) or type(error).__name__
