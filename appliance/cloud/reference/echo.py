"""Send back audio that appliances send for trial, and tell them the mark it came with."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from appliance.errors import LocalError
from appliance.rtp.packet import is_rtp

LARGEST = 1500
"""Octets of a datagram that is sent back; a longer one is no RTP of a phone."""
SMALLEST = 13
"""A header and the octet that is written over."""
AT_ONCE = 100
"""Datagrams between two turns of the loop."""
_MARKS = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS),
}


class Echo:
    """Send each RTP packet back where it came from, its last octet the traffic class it came with.

    The answer bears the same mark, so that the sender can see what became of it on the way back.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self.port: int | None = None
        """Known once it is started."""

    def start(self) -> None:
        """Open a port of the kernel's choice; raises LocalError where there is none."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        level, receive, _ = _MARKS[family]
        try:
            opened.setsockopt(level, receive, 1)
            opened.bind((self._address, 0))
        except OSError as error:
            opened.close()
            raise LocalError(f"no port for the echo on {self._address}: {error}") from error
        self._socket, self.port = opened, opened.getsockname()[1]
        asyncio.get_running_loop().add_reader(opened, self._read)

    def stop(self) -> None:
        """Close the port; harmless when there is none."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket, self.port = None, None

    def _read(self) -> None:
        with suppress(OSError):
            for _ in range(AT_ONCE):
                self._answer()

    def _answer(self) -> None:
        there = self._socket
        if there is None:
            raise OSError("it is closed")
        data, told, _, sender = there.recvmsg(LARGEST + 1, 64)
        if not SMALLEST <= len(data) <= LARGEST or not is_rtp(data):
            return
        level, _, mark = _MARKS[there.family]
        octet = next((value[0] for kind, name, value in told if (kind, name) == (level, mark)), 0)
        there.sendmsg(
            [data[:-1], bytes([octet])], [(level, mark, octet.to_bytes(4, "little"))], 0, sender
        )
