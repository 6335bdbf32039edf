"""What systemd wants to hear of a service, and what it hands over: sd_notify(3), sd_listen_fds(3).

The protocol is one datagram, so no library is needed for it, and it works in every process of ours.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress

FIRST_GIVEN = 3
"""Descriptor of the first socket that systemd hands over (sd_listen_fds(3))."""
MOST_GIVEN = 16
"""Sockets taken at most; a unit of ours has one or two."""
MOST_KEPT = 128
"""Descriptors taken at most that an earlier life of this process left with systemd."""


def tell_systemd(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send `READY=1`, `STOPPING=1`, `WATCHDOG=1` or `STATUS=...`; does nothing without systemd."""
    _send(state, (), environment)


def leave_with_systemd(
    name: str, descriptors: Sequence[int], environment: Mapping[str, str] = os.environ
) -> None:
    """Give descriptors to systemd, which hands them to the next life of this process.

    They take the place of what had this name. Without systemd nothing happens.
    """
    _send(f"FDSTOREREMOVE=1\nFDNAME={name}", (), environment)
    if descriptors:
        _send(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", descriptors, environment)


def left_with_systemd(
    environment: MutableMapping[str, str] = os.environ,
) -> dict[str, list[int]]:
    """Take what an earlier life of this process has left, by name; nothing without systemd.

    It is the caller's from then on: who asks again gets nothing.
    """
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    left: dict[str, list[int]] = {}
    for number, name in zip(_given(environment, MOST_KEPT), names, strict=False):
        os.set_inheritable(number, False)
        left.setdefault(name, []).append(number)
    environment.pop("LISTEN_PID", None)
    return left


def watchdog_interval(environment: Mapping[str, str]) -> float | None:
    """Return how often systemd wants to hear from us, halved for safety, seconds; None: never."""
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 2e6 if text.isdigit() and int(text) > 0 else None


def feed_watchdog(
    loop: asyncio.AbstractEventLoop, environment: Mapping[str, str] = os.environ
) -> None:
    """Tell systemd again and again that this loop still turns; a hang is noticed by silence."""
    interval = watchdog_interval(environment)
    if interval is not None:
        tell_systemd("WATCHDOG=1", environment)
        loop.call_later(interval, feed_watchdog, loop, environment)


def given_sockets(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """Take the listening sockets that systemd opened for this process; none without systemd."""
    numbers = _given(environment, MOST_GIVEN)
    for number in numbers:
        os.set_inheritable(number, False)
    return [socket.socket(fileno=number) for number in numbers]


def _given(environment: Mapping[str, str], most: int) -> range:
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return range(0)
    return range(FIRST_GIVEN, FIRST_GIVEN + min(int(count), most))


def _send(state: str, descriptors: Sequence[int], environment: Mapping[str, str]) -> None:
    path = environment.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    address = f"\0{path[1:]}" if path[0] == "@" else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.setblocking(False)
        sender.connect(address)
        if descriptors:
            socket.send_fds(sender, [state.encode()], list(descriptors))
        else:
            sender.send(state.encode())
