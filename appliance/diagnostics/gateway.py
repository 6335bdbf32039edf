"""Whether the gateway is alive, without the right to send ARP or ping.

A datagram to a port where nobody listens makes the kernel look for the gateway's card; and a router
that is alive says that nobody listens. One that keeps silent is judged by whether its card
answers: the kernel remembers when it last did.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from appliance.adapters.addresses import family_of
from appliance.diagnostics.ground import Neighbour, Way, neighbour

CLOSED_PORT = 33434
"""Where traceroute sends: nobody listens there."""
PATIENCE = 40.0
"""Seconds until silence is called unknown: the kernel believes what it heard for up to 45."""
LOOK_EVERY = 0.25
POKE_EVERY = 1.0
_TELL_ERRORS = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}
"""IP_RECVERR and IPV6_RECVERR: without them a card that does not answer is never told (ip(7))."""
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN)

Known = Callable[[str, int], Neighbour | None]


async def gateway_answers(
    address: str, way: Way, patience: float = PATIENCE, known: Known = neighbour
) -> bool | None:
    """Tell whether a machine on our own network is alive; None where nobody can tell."""
    begun = monotonic()
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as poked:
        poked.setblocking(False)
        with suppress(OSError):
            poked.setsockopt(*_TELL_ERRORS[poked.family], 1)
            poked.connect((address, CLOSED_PORT))
        next_poke = begun
        while (waited := monotonic() - begun) < patience:
            if (heard := _heard(poked)) is not None:
                return heard
            if monotonic() >= next_poke:
                next_poke += POKE_EVERY
                with suppress(BlockingIOError):
                    if (heard := _poke(poked)) is not None:
                        return heard
            judged = _judge(await asyncio.to_thread(known, address, way.number), waited)
            if judged is not None:
                return judged
            await asyncio.sleep(LOOK_EVERY)
    return None


def _poke(poked: socket.socket) -> bool | None:
    try:
        poked.send(b"\0")
    except OSError as error:
        return _meaning(error)
    return None


def _heard(poked: socket.socket) -> bool | None:
    try:
        poked.recv(512)
    except BlockingIOError:
        return None
    except OSError as error:
        return _meaning(error)
    return True


def _meaning(error: OSError) -> bool | None:
    if error.errno == errno.ECONNREFUSED:
        return True
    return False if error.errno in _UNREACHABLE else None


def _judge(known: Neighbour | None, waited: float) -> bool | None:
    if known is None:
        return None
    if known.state == "failed" and waited > LOOK_EVERY:
        return False
    if known.state == "reachable" and known.confirmed < waited:
        return True
    return None
