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
    """Every port of the cloud and the site, all on 127.0.0.1."""

    cloud: int
    primary: int
    secondary: int
    sip: int
    sips: int
    trunk: int
    """For SBCs and other sites."""
    admin: int
    relay: tuple[int, int]
    """First and last port for audio."""


class Chooser:
    """Choose ports that are free now, each once; LocalError when there are none."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def port(self, wanted: int, address: str = ADDRESS) -> int:
        """Return `wanted`, or another port where that is in use, free for TCP and UDP."""
        for port in [wanted, *[0] * ATTEMPTS]:
            found = _bound(port, address)
            if found is not None and found not in self._taken:
                self._taken.add(found)
                return found
        raise LocalError(f"no free port on {address}; end other programs and try again")

    def relay(self) -> tuple[int, int]:
        """Return a range of UDP ports that nobody else on this machine uses now."""
        for first in random.sample(RELAY, ATTEMPTS):
            ports = range(first, first + RELAYS)
            if self._taken.isdisjoint(ports) and _all_free(ports):
                self._taken.update(ports)
                return (first, first + RELAYS - 1)
        raise LocalError("no free range of UDP ports for audio; end other programs and try again")


def choose_ports(chooser: Chooser) -> Ports:
    """Choose the ports of the cloud and of the site."""
    return Ports(
        cloud=chooser.port(9443),
        primary=chooser.port(5191),
        secondary=chooser.port(5192),
        sip=chooser.port(5060),
        sips=chooser.port(5091),
        trunk=chooser.port(5061),
        admin=chooser.port(8443),
        relay=chooser.relay(),
    )


def _all_free(ports: range) -> bool:
    with contextlib.ExitStack() as held:
        for port in ports:
            datagrams = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                datagrams.bind((ADDRESS, port))
            except OSError:
                return False
    return True


def _bound(port: int, address: str) -> int | None:
    """Return the port when both TCP and UDP could be bound, and let go of it again."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        # As servers do: connections of a demo just ended do not keep its ports from the next one.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind((address, port))
        found: int = stream.getsockname()[1]
        datagrams.bind((address, found))
        return found
    return None
