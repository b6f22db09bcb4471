"""Who may do what: every route needs a scope or is free, and what is not named here is closed."""

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from linnet.config import ServeConfig, defaults
from linnet.errors import UsageError
from linnet.serve.errors import KNOWN, APIError, error_response
from linnet.serve.middleware.keys import Key, Keys, command
from linnet.serve.middleware.keys import Scope as KeyScope
from linnet.serve.middleware.quota import Quotas

PROBES = ("/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready")
FREE = ("/", "/docs", "/operate", "/openapi.json", "/execution-parameters", *PROBES)
NEEDED: dict[str, KeyScope] = {
    "/v1/predict": "predict",
    "/v1/explain": "predict",
    "/v1/models": "predict",
    "/invocations": "predict",
    "/v2": "predict",
    "/v1/feedback": "feedback",
    "/admin/models": "admin",
    "/admin/operate": "admin",
    "/admin/shares": "admin",
    "/admin/rollback": "admin",
    "/metrics": "metrics",
}
NEEDED_BELOW: dict[str, KeyScope] = {"/v2/": "predict", "/admin/": "admin"}

DETAILS = "details"  # in the state of a request for /readyz whose key opens them
OPENS_DETAILS = {"admin", "metrics"}
KEY_HEADERS = ("Authorization", "X-API-Key")
BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Caller:
    """Whose request it is.

    Attributes:
        key: The key it carried.
        quotas: What that key has used up.
    """

    key: Key
    quotas: Quotas


class AuthMiddleware:
    """ASGI middleware: passes requests with a key that opens their route, refuses all others.

    In the request's state are then `key_id`, for the log, and `caller`, for `take_texts`. Neither
    the key nor anything of it is logged or answered.

    Args:
        app: What the request is passed on to.
        keys: The keys there are.
        quotas: What they have used up.
    """

    def __init__(self, app: ASGIApp, keys: Keys, quotas: Quotas):
        self._app = app
        self._keys = keys
        self._quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before anything of its body is read."""
        if scope["type"] == "http":
            try:
                self._admit(scope)
            except APIError as refusal:
                await error_response(scope, refusal)(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        path = scope["path"]
        if path in FREE:
            if path == "/readyz":
                with suppress(APIError):  # a wrong key is as good as none
                    if OPENS_DETAILS.intersection(self._key(Headers(scope=scope)).scopes):
                        scope["state"][DETAILS] = True
            return
        if path in NEEDED:
            scope["state"]["route"] = path  # refused here, it would never match one
        key = self._key(Headers(scope=scope))
        scope["state"]["key_id"] = key.id
        needed = needed_scope(path)
        if needed is None:
            raise APIError(404, *KNOWN[404])
        _check_scope(key, needed)
        self._quotas.admit(key)
        scope["state"]["caller"] = Caller(key, self._quotas)

    def _key(self, headers: Headers) -> Key:
        bearers = [BEARER.fullmatch(value.strip()) for value in headers.getlist("authorization")]
        sent = {match[1] for match in bearers if match} | set(headers.getlist("x-api-key"))
        if not sent:
            raise _unknown(
                "no_key",
                "Expected a key; got none. Send the header Authorization: Bearer KEY.",
                "Bearer",
            )
        if len(sent) > 1:
            raise _unknown("bad_key", "Expected one key; got several that differ. Send one.")
        key = self._keys.find(sent.pop())
        if key is None:
            raise _unknown(
                "bad_key", "The key is not one of this service's. Ask its operator for one."
            )
        reason = key.refusal(datetime.now(UTC))
        if reason:
            raise _unknown("bad_key", f"The key {reason}. Ask the service's operator for another.")
        return key


def require_scope(scope: Scope, needed: KeyScope) -> None:
    """Pass if the key of a request opens more than its route needs, or if no keys are asked for.

    Raises:
        APIError: The key lacks the scope.
    """
    caller: Caller | None = scope["state"].get("caller")
    if caller:
        _check_scope(caller.key, needed)


def _check_scope(key: Key, needed: KeyScope) -> None:
    if needed not in key.scopes:
        raise APIError(
            403,
            "not_allowed",
            f"This route takes a key of the scope {needed}; this key has "
            f"{', '.join(key.scopes)}. Ask the service's operator for another.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
        )


def needed_scope(path: str) -> KeyScope | None:
    """The scope that a path needs which is not free; None:

    no key opens it, as what is not named is closed.
    """
    if path in NEEDED:
        return NEEDED[path]
    return next((scope for start, scope in NEEDED_BELOW.items() if path.startswith(start)), None)


def _unknown(code: str, message: str, challenge: str = 'Bearer error="invalid_token"') -> APIError:
    # The challenges are those of RFC 6750, section 3.
    return APIError(401, code, message, headers={"WWW-Authenticate": challenge})


def share_of(scope: Scope) -> str:
    """Whose share of the service a request uses: its key's; without keys its client's address."""
    caller: Caller | None = scope["state"].get("caller")
    if caller:
        return caller.key.id
    client = scope.get("client")
    return client[0] if client else ""


def take_texts(scope: Scope, texts: int) -> None:
    """Count the texts of a request against its key's day. A service without keys counts none.

    Raises:
        APIError: The key may not send so many.
    """
    caller: Caller | None = scope["state"].get("caller")
    if caller:
        caller.quotas.take(caller.key, texts)


def give_back_texts(scope: Scope, texts: int) -> None:
    """Count texts of a request no longer, as no worker began them."""
    caller: Caller | None = scope["state"].get("caller")
    if caller:
        caller.quotas.give_back(caller.key, texts)


def keys_for(settings: ServeConfig, address: str) -> Keys | None:
    """The keys that a service asks for; None if it asks for none.

    Args:
        settings: `keys` and `no_auth`.
        address: The IP address that is listened on.

    Raises:
        UsageError: There is no file, and other machines reach the address or the file was asked
            for; or no key in it is in force.
        ConfigError: The file is no file of keys.
    """
    if settings.no_auth:
        return None
    path = Path(settings.keys)
    ways = f"Make one with `{command('add NAME', path)}`, or let everybody in with --no-auth."
    try:
        path.lstat()
    except FileNotFoundError:
        # A file that was asked for by name and is missing is a mistake, also where only this
        # machine could profit.
        if (
            ipaddress.ip_address(address).is_loopback
            and settings.keys == defaults()["serve"]["keys"]
        ):
            return None
        raise UsageError(
            f"There are no keys for a service on {address}: {path} is missing. {ways}"
        ) from None
    except OSError:
        pass  # it is there, and reading it says what is wrong
    found = Keys(path)
    if not found.in_force(datetime.now(UTC)):
        raise UsageError(f"{path} holds no key that is in force. {ways}")
    return found
