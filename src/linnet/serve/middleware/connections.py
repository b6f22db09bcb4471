"""How many connections there may be at once, and which is closed first if there are more."""

import ipaddress
from collections import Counter
from typing import Protocol

SPARE = 32  # connections too many that are still listened to, so that their clients get an answer
SPARE_PER_ADDRESS = 8  # the same of one address


class Closable(Protocol):
    """A connection, as far as it is needed here."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """The connections of one listener.

    A new connection that is one too many takes the place of the one that has waited longest for its
    first byte. If all have sent something, the connection that has been idle longest between two
    requests is closed. If none is idle, the new one is refused.

    Args:
        most: Connections at once.
        per_address: Connections of one address at once; 0: any number.
    """

    def __init__(self, most: int, per_address: int = 0):
        self.most = most
        self._per_address = per_address
        self._open: dict[Closable, str] = {}  # to its address
        # Dictionaries keep the order: the first has waited longest.
        self._silent: dict[Closable, None] = {}
        self._idle: dict[Closable, None] = {}
        self._of_address: Counter[str] = Counter()

    def add(self, one: Closable, address: str) -> str | None:
        """Count a new connection, and make room for it.

        Args:
            one: The connection.
            address: The IP address of its client; "" if it has none.

        Returns:
            The limit that leaves no room for it, as part of a sentence; None: there is room.
        """
        address = _network(address) if self._per_address else ""
        self._open[one] = address
        self._silent[one] = None
        if address:
            self._of_address[address] += 1
            if self._of_address[address] > self._per_address:
                self._make_room(one, address)
            too_many = self._of_address[address] - self._per_address
            if too_many > 0:
                if too_many > SPARE_PER_ADDRESS:
                    one.abort()
                return f"{self._per_address:,} connections from one address"
        if len(self._open) > self.most:
            self._make_room(one)
        too_many = len(self._open) - self.most
        if too_many > SPARE:
            one.abort()
        return f"{self.most:,} connections" if too_many > 0 else None

    def remove(self, one: Closable) -> None:
        """Count a connection no more; one that is not counted may be removed too."""
        self.set_busy(one)
        address = self._open.pop(one, "")
        if address:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def set_busy(self, one: Closable) -> None:
        """A connection sends a request, or waits for the answer: it is not closed for others."""
        self._silent.pop(one, None)
        self._idle.pop(one, None)

    def set_idle(self, one: Closable) -> None:
        """A connection was answered, and waits for the next request."""
        if one in self._open:
            self._idle[one] = None

    def _make_room(self, new: Closable, address: str = "") -> None:
        for waiting in (self._silent, self._idle):
            for one in waiting:
                if one is not new and (not address or self._open[one] == address):
                    self.remove(one)
                    one.abort()
                    return


def _network(address: str) -> str:
    """What one client has: an address of IPv4, or a /64 of IPv6 (RFC 6177)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
