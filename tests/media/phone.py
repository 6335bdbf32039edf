"""What the media tests share: phones with real sockets, and a relay between two of them."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from itertools import cycle, islice
from random import randrange

import pytest

from appliance.call.actions import Relay, RelaySide
from appliance.media.batch import Batch
from appliance.media.loop import Loop
from appliance.rtp.packet import RtpPacket

RTCP = bytes.fromhex("80c9000112345678")
"""An empty receiver report."""

LOOPS = ("one by one", "in batches")
"""How a loop reads and sends packets."""

# Below those that the system chooses, beginning elsewhere in each process.
_FIRST = 10_000 + 2 * randrange(5_000)
_PORTS = cycle((*range(_FIRST, 20_000, 2), *range(10_000, _FIRST, 2)))


def rtp(sequence: int = 1, payload: bytes = b"audio", ssrc: int = 0x1234) -> bytes:
    return RtpPacket(0, sequence, 160 * sequence, ssrc, payload).encode()


def udp(address: str, port: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((address, port))
    made.setblocking(False)
    return made


def pair(address: str) -> tuple[socket.socket, socket.socket]:
    """Bind two sockets on neighbouring ports, the first one even."""
    while True:
        first = udp(address)
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                return first, udp(address, port + 1)
        except OSError:
            pass
        first.close()


def free_port(address: str) -> int:
    """Return an even port that is free, as is the next, and that nobody will be given by chance."""
    for port in islice(_PORTS, 5_000):
        with suppress(OSError), closing(udp(address, port)), closing(udp(address, port + 1)):
            return port
    raise AssertionError("no port is free")


class Phone:
    """RTP and RTCP sockets on neighbouring ports."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.rtp, self.rtcp = pair(address)
        self.local = (address, free_port(address))
        """Our side's address towards this phone."""

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.rtp.getsockname()[:2]
        return (host, port)

    def side(self, **changes: object) -> RelaySide:
        return RelaySide(**({"local": self.local, "remote": self.address} | changes))  # type: ignore[arg-type]

    def say(self, data: bytes) -> None:
        self.rtp.sendto(data, self.local)

    def report(self, data: bytes = RTCP) -> None:
        self.rtcp.sendto(data, (self.local[0], self.local[1] + 1))

    def heard(self) -> list[bytes]:
        return received(self.rtp)

    def reports(self) -> list[bytes]:
        return received(self.rtcp)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def received(sock: socket.socket) -> list[bytes]:
    packets = []
    try:
        while True:
            packets.append(sock.recv(2048))
    except BlockingIOError:
        return packets


def relay(a: RelaySide, b: RelaySide, revision: int = 1, key: str = "call/0") -> Relay:
    return Relay(key, revision, a, b)


def loop_of(kind: str) -> Loop:
    """Make a loop of one of `LOOPS`."""
    if kind == LOOPS[0]:
        return Loop()
    try:
        return Loop(Batch())
    except OSError as error:
        pytest.skip(f"no io_uring here: {error.strerror}")


def settle(loop: Loop) -> None:
    """Serve until nothing is ready any more and all jobs are done."""
    # A machine with other work may stop us in the middle of a job: the jobs after it wait for
    # another turn, and in that one no descriptor need be ready.
    while loop.turn(0.01) or loop.jobs:
        pass
