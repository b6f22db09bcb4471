"""A service that asks for no key is not for the web pages that run in its user's browser.

A page of another site can send requests to a service on the same machine. It can also let its own
name mean that machine (DNS rebinding) and read the answers. Browsers say where a request comes
from, in Host, Origin and Sec-Fetch-Site, and no page can change these. Knows nothing of keys.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from linnet.config import ServeConfig
from linnet.serve.errors import APIError, UnsupportedMediaType, error_response
from linnet.serve.middleware.access import NEEDED, PROBES, needed_scope
from linnet.serve.middleware.cors import CLOSED

PAGES = ("/", "/docs", "/operate")  # a link on another site may lead there
READING = ("GET", "HEAD", "OPTIONS")
# A page may send these without asking first (Fetch, "CORS-safelisted request-header"), and none.
SIMPLE_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


@dataclass(frozen=True)
class OpenTo:
    """Who may use a service that asks for no key.

    Attributes:
        hosts: Names that Host may have besides localhost; None: Host does not matter.
        addresses: Whether Host may be any IP address, or a loopback address alone. A page can't
            let an address mean another machine.
        origins: Origins whose pages may ask, as `serve.cors_origins` has them.
        admin: Whether routes below /admin are open.
    """

    hosts: frozenset[str] | None
    addresses: bool
    origins: frozenset[str]
    admin: bool


def open_to(settings: ServeConfig, local: bool) -> OpenTo:
    """Who may use a service without keys.

    Args:
        settings: `uds`, `host`, `hosts`, `cors_origins` and `admin_without_keys`.
        local: Whether it listens on loopback alone.
    """
    any_host = "*" in settings.hosts or bool(settings.uds)  # no browser reaches a Unix socket
    return OpenTo(
        hosts=None if any_host else frozenset((*settings.hosts, host_name(settings.host))),
        addresses=not local,
        origins=frozenset(settings.cors_origins),
        admin=settings.admin_without_keys,
    )


class NoKeysMiddleware:
    """ASGI middleware: refuses what a page of another site may have sent, and routes below /admin.

    Probes are answered always, as load balancers have any Host.

    Args:
        app: What other requests are passed on to.
        open_to: Who may use the service.
    """

    def __init__(self, app: ASGIApp, open_to: OpenTo):
        self._app = app
        self._open_to = open_to
        self._allows: Callable[[bytes], bool] = lru_cache(maxsize=64)(self._allows_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before its body is read."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            try:
                self._admit(scope)
            except APIError as refusal:
                if scope["path"] in NEEDED:
                    scope["state"]["route"] = scope["path"]  # refused here, it matches none
                await error_response(scope, refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host")  # HTTP/1.0 may have none, and no browser speaks that
        if host is not None and not self._allows(host):
            raise APIError(
                421,
                "host_not_allowed",
                f"Expected localhost or another name of this service as Host; got "
                f"{host[:100].decode('latin-1')!r}. Name it in serve.hosts, or use keys.",
            )
        origin = headers.get(b"origin")
        site = headers.get(b"sec-fetch-site")
        if origin is not None or site is not None:
            self._check_page(scope, headers, origin, site)
        if not self._open_to.admin and needed_scope(scope["path"]) == "admin":
            raise APIError(
                403,
                "not_allowed",
                "This route takes a key, and the service has none. Make one with "
                "`linnet keys add NAME --scopes admin`, or set serve.admin_without_keys.",
            )

    def _check_page(
        self, scope: Scope, headers: dict[bytes, bytes], origin: bytes | None, site: bytes | None
    ) -> None:
        """Pass if a page of this service sent the request, or one that may."""
        foreign = site == b"cross-site"
        if origin is not None:
            foreign = foreign or not _same(origin, headers.get(b"host", b""))
            named = {"*", origin.decode("latin-1").lower()} & self._open_to.origins
            if named and needed_scope(scope["path"]) not in CLOSED:
                foreign = False
        elif headers.get(b"sec-fetch-mode") == b"navigate" and scope["method"] in READING:
            foreign = foreign and scope["path"] not in PAGES
        if foreign:
            raise APIError(
                403,
                "origin_not_allowed",
                "Expected a request of this service's own page, or of a program; got one of "
                f"another site ({(origin or b'?')[:100].decode('latin-1')!r}). "
                "Name its origin in serve.cors_origins.",
                headers={"Vary": "Origin, Sec-Fetch-Site"},
            )
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["method"] not in READING and kind.decode("latin-1") in SIMPLE_TYPES:
            raise UnsupportedMediaType(
                "Expected a Content-Type that a page has to ask for; got "
                f"{kind[:100].decode('latin-1')!r}. Send Content-Type: application/json."
            )

    def _allows_host(self, host: bytes) -> bool:
        if self._open_to.hosts is None:
            return True
        name = host_name(host.decode("latin-1"))
        if name in self._open_to.hosts or name == "localhost" or name.endswith(".localhost"):
            return True  # browsers take all of .localhost for loopback (RFC 6761, 6.3)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._open_to.addresses or address.is_loopback


def host_name(host: str) -> str:
    """The name in a header Host or a setting: without a port, brackets and a last dot."""
    whole = host.strip().lower()
    name, colon, port = whole.rpartition(":")
    bare = ":" in name and not name.endswith("]")  # an address of IPv6
    if not colon or bare or (port and not port.isdecimal()):
        name = whole
    return name.removeprefix("[").removesuffix("]").removesuffix(".")


def _same(origin: bytes, host: bytes) -> bool:
    """Whether an origin is that of a host. Browsers leave the usual port out of both."""
    return origin.partition(b"://")[2].lower() == host.lower()
