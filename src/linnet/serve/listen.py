"""Sockets to listen on: of an address and a port, or of a path. Knows nothing of what is served.

A name such as `localhost` may stand for an address of IPv4 and one of IPv6: all of its addresses
are listened on.
"""

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from linnet.config import ServeConfig
from linnet.errors import UsageError
from linnet.files import locked_folder

BACKLOG = 2048  # connections that may wait to be accepted; as uvicorn has it
MODE = 0o660  # of a socket's file: its owner and its group may connect
FREE_PORT_TRIES = 10  # for one that is free on all addresses of a name
# An address that this machine lacks, where a name has others: IPv6 is often switched off.
LOOPBACK = (
    "127.0.0.1",
    "::1",
)  # what localhost means (RFC 6761, 6.3), whatever /etc/hosts says of it
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Listeners:
    """What a service listens on.

    Attributes:
        sockets: One, or one for each address of a host's name.
        name: For messages, such as "127.0.0.1 port 8000" or "/run/linnet.sock".
        url: For the service's first line, such as "http://127.0.0.1:8000" or
            "unix:/run/linnet.sock".
        address: The IP address that other machines may reach, if there is one; else one that only
            this machine reaches. A path counts as the latter.
    """

    def __init__(self, sockets: list[socket.socket], name: str, url: str, address: str):
        self.sockets = sockets
        self.name = name
        self.url = url
        self.address = address

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.address).is_loopback


@contextmanager
def listening(settings: ServeConfig) -> Iterator[Listeners]:
    """Bind what a service listens on, and let go of it at the end.

    Args:
        settings: `uds`, or where that is empty `host` and `port`.

    Raises:
        UsageError: It can't be listened on.
    """
    with _on_path(settings.uds) if settings.uds else _on_address(settings) as listeners:
        yield listeners


@contextmanager
def _on_address(settings: ServeConfig) -> Iterator[Listeners]:
    host = settings.host.strip()
    if host.startswith("[") and host.endswith("]"):  # as URLs have an address of IPv6
        host = host[1:-1]
    name = f"{settings.host} port {settings.port}"
    if host in ("", "*"):
        raise UsageError(
            f"Expected an address to listen on in serve.host; got {settings.host!r}. "
            "127.0.0.1 is this machine alone, 0.0.0.0 every address, :: every address with IPv6."
        )
    with ExitStack() as opened:
        try:
            sockets = _bind(host, settings.port, opened)
        except (OSError, ValueError) as error:  # a host name may be no name at all
            raise UsageError(
                f"Can't listen on {name}: {_reason(error)}. "
                "Choose another with --host and --port; port 0 takes a free one."
            ) from error
        addresses = [listener.getsockname()[0] for listener in sockets]
        shown = addresses[0] if len(addresses) == 1 else host
        shown = f"[{shown}]" if ":" in shown else shown
        reached = next((one for one in addresses if not _loopback(one)), addresses[0])
        url = f"http://{shown}:{sockets[0].getsockname()[1]}"
        yield Listeners(sockets, name, url, reached)


def _bind(host: str, port: int, opened: ExitStack) -> list[socket.socket]:
    """Sockets for all addresses of a host that this machine has, on one port.

    Raises:
        OSError: There is none, or one of them is taken.
    """
    found = [
        (family, address)
        for name in (LOOPBACK if host.lower() == "localhost" else (host,))
        for family, *_, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    ]
    addresses = list(dict.fromkeys(found))
    for left in reversed(range(FREE_PORT_TRIES)):
        try:
            return _bind_all(addresses, port, opened)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or not left:
                raise
    raise AssertionError("unreachable")


def _bind_all(
    addresses: Sequence[tuple[socket.AddressFamily, tuple[Any, ...]]],
    port: int,
    opened: ExitStack,
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    with ExitStack() as tried:
        for family, address in addresses:
            try:
                listener = tried.enter_context(socket.socket(family, socket.SOCK_STREAM))
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6 and len(addresses) > 1:  # IPv4 has a socket of its own
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
                continue
            port = listener.getsockname()[1]  # the others take the same
            sockets.append(listener)
        if not sockets:
            assert absent is not None
            raise absent
        opened.push(tried.pop_all())
    return sockets


@contextmanager
def _on_path(uds: str) -> Iterator[Listeners]:
    try:
        path = Path(uds).resolve()
        # Two services that start in one folder could both find, and replace, a stale socket.
        with locked_folder(path.parent):
            _remove_stale(path)
            listener = _bind_path(path)
    except (OSError, ValueError) as error:  # no folder, no rights, a path that is too long
        raise UsageError(
            f"Can't listen on {uds}: {_reason(error)}. Choose another path with --uds."
        ) from error
    made = path.lstat()
    with listener:
        try:
            yield Listeners([listener], uds, f"unix:{path}", "127.0.0.1")
        finally:
            _remove_own(path, made)


def _bind_path(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    former = os.umask(0o777 & ~MODE)  # so that it never has other rights
    try:
        listener.bind(str(path))
        # Before the models are loaded, for a socket that doesn't listen looks like a stale one to
        # `_remove_stale`.
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(former)
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket's file to which nobody listens any more.

    Raises:
        UsageError: Somebody does, or the file is another one.
        OSError: It can't be found out, or the file not be removed.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(
            f"Can't listen on {path}: it is no socket, and is not replaced. Choose another path "
            f"with --uds."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # as many as may wait already do
    raise UsageError(
        f"Can't listen on {path}: another process does. Stop it, or choose another path with --uds."
    )


def _remove_own(path: Path, made: os.stat_result) -> None:
    try:
        if os.path.samestat(path.lstat(), made):
            path.unlink()
    except OSError:
        # it is gone, or its folder is no longer ours: a stale one is replaced at the next start
        pass


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
