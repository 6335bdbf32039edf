"""A bad line to one phone: what netem would do, where the kernel has no netem.

    python -m tests.system.bad_line <interface> <interface> <delay> <jitter> <loss>

Carries frames between two interfaces of its host, each `delay` seconds late and up to twice
`jitter` more; of RTP `loss` (0 to 1) never comes out.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import struct
import sys
import time
from pathlib import Path

from tests.system.network import Host

ROOT = Path(__file__).parent.parent.parent
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 1, 15, 23
PROMISCUOUS = 1
ALL = 3
VIRTIO = 10
"""Octets before each frame that keep its checksum's state: veth leaves checksums to be made."""


def lay(router: Host, number: int, log: Path, delay: float, jitter: float, loss: float) -> None:
    """Put a bad line between the site's bridge and phone `number`."""
    port, end, bridged = f"port{number + 1}", "bad", "badbr"
    router.run("ip", "link", "set", port, "nomaster")
    router.run("ip", "link", "add", end, "type", "veth", "peer", "name", bridged)
    router.run("ip", "link", "set", bridged, "master", "lan")
    for name in (end, bridged):
        router.run("sysctl", "-q", "-w", f"net.ipv6.conf.{name}.disable_ipv6=1")
        router.run("ip", "link", "set", name, "up")
    figures = (str(value) for value in (delay, jitter, loss))
    command = [sys.executable, "-m", "tests.system.bad_line", port, end, *figures]
    router.start(*command, log=log, environment={"PYTHONPATH": str(ROOT)})


def is_media(frame: bytes) -> bool:
    """Tell whether an Ethernet frame is RTP in IPv4: an even port, version 2, no RTCP."""
    return (
        frame[12:14] == b"\x08\x00"
        and frame[23] == socket.IPPROTO_UDP
        and not frame[37] & 1
        and len(frame) > 60
        and frame[42] >> 6 == 2
        and frame[43] & 0x7F < 64
    )


def tap(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    made.bind((interface, ALL))
    made.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    made.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    index = socket.if_nametoindex(interface)
    member = struct.pack("iHH8s", index, PROMISCUOUS, 0, b"")
    made.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
    made.setblocking(False)
    return made


def carry(
    one: socket.socket, other: socket.socket, delay: float, jitter: float, loss: float
) -> None:
    dice = random.Random(5)
    late: list[tuple[float, int, socket.socket, bytes]] = []
    watched = selectors.DefaultSelector()
    watched.register(one, selectors.EVENT_READ, other)
    watched.register(other, selectors.EVENT_READ, one)
    number = 0
    while True:
        wait = late[0][0] - time.monotonic() if late else 1.0
        for key, _ in watched.select(max(wait, 0.0)):
            try:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
            except BlockingIOError:
                continue
            if is_media(data[VIRTIO:]) and dice.random() < loss:
                continue
            number += 1
            due = time.monotonic() + delay + dice.uniform(0, 2 * jitter)
            heapq.heappush(late, (due, number, key.data, data))
        while late and late[0][0] <= time.monotonic():
            _, _, onward, data = heapq.heappop(late)
            onward.send(data)


if __name__ == "__main__":
    first, second, *figures = sys.argv[1:]
    carry(tap(first), tap(second), *map(float, figures))
