"""Ports for the demo: the usual ones where they are free, others where they are not."""

from __future__ import annotations

import contextlib
import random
import socket
from dataclasses import dataclass

from appliance.errors import LocalError

ADDRESS = "127.0.0.1"
ATTEMPTS = 100
RELAY = range(20_000, 32_000, 2)
"""Where relay ports may begin: below the kernel's own 32768-60999, which clients here use."""
RELAYS = 400
"""Relay ports taken; the demo's calls need 40."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port the demo listens on, all on 127.0.0.1."""

    cloud: int
    primary: int
    secondary: int
    sip: int
    sips: int
    admin: int
    relay: tuple[int, int]
    """First and last port for audio."""


def choose_ports() -> Ports:
    """Choose ports that are free now; LocalError when there are none."""
    taken: set[int] = set()
    return Ports(
        cloud=_choose(9443, taken),
        primary=_choose(5191, taken),
        secondary=_choose(5192, taken),
        sip=_choose(5060, taken),
        sips=_choose(5091, taken),
        admin=_choose(8443, taken),
        relay=_choose_relay(),
    )


def _choose_relay() -> tuple[int, int]:
    """Return a range of UDP ports that nobody else on this machine uses now."""
    for first in random.sample(RELAY, ATTEMPTS):
        if _all_free(range(first, first + RELAYS)):
            return (first, first + RELAYS - 1)
    raise LocalError("no free range of UDP ports for audio; end other programs and try again")


def _all_free(ports: range) -> bool:
    with contextlib.ExitStack() as held:
        for port in ports:
            datagrams = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                datagrams.bind((ADDRESS, port))
            except OSError:
                return False
    return True


def _choose(wanted: int, taken: set[int]) -> int:
    """Return `wanted`, or another port where that is in use, free for TCP and UDP."""
    for port in [wanted, *[0] * ATTEMPTS]:
        found = _bound(port)
        if found is not None and found not in taken:
            taken.add(found)
            return found
    raise LocalError("no free port on 127.0.0.1; end other programs and try again")


def _bound(port: int) -> int | None:
    """Return the port when both TCP and UDP could be bound, and let go of it again."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        # As servers do: connections of a demo just ended do not keep its ports from the next one.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((ADDRESS, port))
        found: int = stream.getsockname()[1]
        datagrams.bind((ADDRESS, found))
        return found
    return None
