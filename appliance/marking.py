"""DSCP marks on sockets: one class of our traffic, changed on all of its sockets at once (H3)."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from appliance.bundle.dscp import Marks


class TrafficClass:
    """Everything we send for one purpose; a socket belongs to it from its making to its end."""

    def __init__(self, value: int) -> None:
        self.value = value
        """DSCP, 0 to 63."""
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def __len__(self) -> int:
        return len(self._sockets)

    def mark(self, opened: socket.socket) -> None:
        """Mark what this socket sends, now and whenever the class changes; raises OSError."""
        _set(opened, self.value)
        self._sockets.add(opened)

    def follow(self, opened: socket.socket) -> None:
        """Mark what this socket sends whenever the class changes.

        Enough for what a listener has accepted: it begins with the mark of its listener.
        """
        self._sockets.add(opened)

    def change(self, value: int) -> None:
        """Mark everything with another value from now on; saying it twice costs nothing."""
        if value == self.value:
            return
        self.value = value
        for opened in list(self._sockets):
            # One that was closed meanwhile is nobody's loss.
            with suppress(OSError):
                _set(opened, value)


def _set(opened: socket.socket, value: int) -> None:
    # The lower two bits of the octet are for ECN (RFC 3168), which the kernel keeps for TCP.
    # Asking for the family takes as long as setting the mark, so it is asked once.
    family = opened.family
    if family is socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value << 2)
    elif family is socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value << 2)


MEDIA: Final = TrafficClass(Marks().media)
SIGNALLING: Final = TrafficClass(Marks().signalling)
MANAGEMENT: Final = TrafficClass(Marks().management)
