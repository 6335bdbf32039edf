"""Accepts stream connections a few at a time, so that an avalanche waits instead of being lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from appliance.adapters.addresses import open_listener
from appliance.marking import SIGNALLING
from appliance.sip.flow import Address, Transport

ACCEPTS = 64
"""Connections accepted per turn of the loop; each costs about 15 µs."""
PAUSE = 0.1
"""Seconds without accepting after the system ran out of descriptors or memory."""

Admit = Callable[[socket.socket, Address, Transport, Address], None]
"""Takes a connection, its source, its transport and the local address it came to."""


class Listener:
    """Accept connections to one local address until closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Transport,
        address: Address,
        backlog: int,
        admit: Admit,
    ) -> None:
        """Listen at `address` (port 0: the kernel picks one); raises OSError."""
        self._loop = loop
        self._admit = admit
        self._sock = open_listener(address, backlog)
        self.transport: Transport = transport
        self.local: Address = self._sock.getsockname()[:2]
        self._family = self._sock.family
        self._mark = SIGNALLING.value
        """What those who wait to be accepted are marked with, for certain."""
        self._pause: asyncio.TimerHandle | None = None
        loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Accept nobody more; those who are there stay."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            try:
                descriptor, source = self._sock._accept()  # type: ignore[attr-defined]  # see below
            except BlockingIOError:
                self._mark = SIGNALLING.value  # All who come from now on begin with it.
                return
            except ConnectionError:
                return
            except OSError:  # Out of descriptors: asking again at once would be a busy loop.
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(PAUSE, self._resume)
                return
            # As `accept` does it, which asks for family and type each time and takes twice as long.
            sock = socket.socket(self._family, socket.SOCK_STREAM, 0, descriptor)
            sock.setblocking(False)
            if self._mark == SIGNALLING.value:
                SIGNALLING.follow(sock)
            else:
                SIGNALLING.mark(sock)
            self._admit(sock, source[:2], self.transport, self.local)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)
