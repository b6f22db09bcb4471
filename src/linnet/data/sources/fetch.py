"""Fetch one file from the web: resumed, retried, checked by its digest, installed whole.

Knows URLs and digests; knows nothing of data sets. pooch can't resume a download (docs/log.md).
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from linnet.errors import DataError, UsageError
from linnet.files import digest, disk_errors, install, locked
from linnet.progress import Task, progress

CHUNK = 1 << 16
MAX_REDIRECTS = 5
WORTH_A_RETRY = {408, 425, 429, 500, 502, 503, 504}
LOCAL_COPY = "or give a local copy with --data FILE"


@dataclass(frozen=True)
class Remote:
    """A file on the web with its expected content.

    Attributes:
        url: Its address; http or https.
        sha256: Its SHA-256, 64 hexadecimal digits.
        bytes: Its length in bytes.
    """

    url: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class RetryPolicy:
    """Limits on waiting and retrying.

    Attributes:
        timeout: Seconds without a byte, or below `slowest`, before a connection is closed.
        slowest: Least bytes per second, against servers that send a byte now and then.
        attempts: Consecutive failures before giving up. The count restarts after each hundredth
            of the file.
        pause: Seconds before the second attempt; doubled with each attempt.
    """

    timeout: float = 30.0
    slowest: float = 1000.0
    attempts: int = 5
    pause: float = 1.0


def fetch(remote: Remote, target: Path, retry: RetryPolicy | None = None) -> None:
    """Fetch a file unless it is already in place.

    A stopped download is kept next to the target, and the next call resumes it. If several
    processes want the file, one fetches it and the others wait.

    Args:
        remote: The file.
        target: Its path; missing folders are created.
        retry: Other waiting times than usual.

    Raises:
        DataError: The server can't be reached, refuses the request, or has another file.
        StorageError: The disk refused a write.
        UsageError: The folder can't be made.
    """
    with disk_errors(target):  # this user may not read the folder
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
        # A stale or damaged part shows only in the digest of the whole file.
        if download.resumed and digest(part) != remote.sha256:
            task.advance(-remote.bytes)
            part.unlink()
            download.complete(task)
    found = digest(part)
    if found != remote.sha256:
        part.unlink()
        raise DataError(
            f"{remote.url}: expected a file with the SHA-256 {remote.sha256}, got {found}. "
            f"It changed at its source or on its way, and was removed. Try again, {LOCAL_COPY}."
        )
    install(part, target)


class _Download:
    """Completes a partial file; `resumed` is true if bytes were appended to an earlier part."""

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
                        f"{self._remote.url} failed {failures} times in a row. "
                        f"The last error: {_described(error)}. "
                        f"The {self._size():,} bytes received are kept. "
                        f"Run the same command again later, {LOCAL_COPY}."
                    ) from error
                time.sleep(pause)
                pause *= 2
            have = self._size()

    def _receive(self, have: int, task: Task) -> None:
        # S310: the opener knows no scheme but http and https.
        headers = {"User-Agent": "linnet"}
        request = urllib.request.Request(self._remote.url, headers=headers)  # noqa: S310
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
        """First byte of the response: the end of the part, or 0 if the server ignores ranges."""
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
        # A server that answered before may come back. One that never did is wrong, or this
        # machine is offline.
        if isinstance(error, urllib.error.URLError) and not self._reached:
            raise DataError(
                f"{self._remote.url} can't be reached ({_described(error.reason)}), and the cache "
                f"{self._part.parent} has no complete copy. Go online, {LOCAL_COPY}."
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
    """Whether the whole file is in place."""
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
            f"No folder can be made at {folder}: {error.strerror}. "
            "Choose another with the variable LINNET_CACHE."
        ) from None


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Make other processes that want the same target wait for the block."""
    lock = target.with_name(f".{target.name}.lock")
    with locked(lock, wait=False) as held:
        if held:
            yield
            return
    with ExitStack() as stack:
        with progress(f"wait for another process that fetches {target.name}", None, ""):
            stack.enter_context(locked(lock))
        yield


def _described(error: object) -> str:
    return str(error) or type(error).__name__
