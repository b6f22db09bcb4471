"""The id and the route of a request, as its ASGI scope holds them."""

import itertools
import secrets

from starlette.types import Scope

HEADER = "X-Request-ID"
PROCESS = secrets.token_hex(8)
NO_ROUTE = "(no route)"

_count = itertools.count()


def new_id() -> str:
    """32 hexadecimal digits that no other id has.

    Half of them count, because random ones cost a system call.
    """
    return f"{PROCESS}{next(_count):016x}"


def request_id(scope: Scope) -> str:
    """The id of the request that a scope belongs to."""
    identity: str = scope["state"]["request_id"]
    return identity


def route_of(scope: Scope) -> str:
    """The route that a request matched, as a template; "(no route)" where none did.

    There are as many as routes.
    """
    template: str = getattr(scope.get("route"), "path", None) or scope["state"].get(
        "route", NO_ROUTE
    )
    return template
