"""Our own cable: whether it has a signal, and word of every change of links and addresses.

Without a signal no zone can be heard, and that says nothing of the cloud: so an unanswered question
is told as `link` then, and does not count against the zone. Only when every card but loopback is
silent is the link called down, and when the kernel cannot be asked it is called up: to be wrong in
the other direction would keep the phones out in an outage.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from appliance.bundle import Zone
from appliance.call.actions import Notice
from appliance.call.events import ZoneAnswer
from appliance.ports import ZoneProber

SETTLING = 0.05
"""Seconds after a change in which more of the same belongs to it."""
_GROUPS = 0x1 | 0x10 | 0x100
"""Multicast groups of links, IPv4 addresses and IPv6 addresses (linux/rtnetlink.h)."""
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_GET_LINKS, _NEW_LINK, _NAME = 18, 16, 3
_DUMP = 0x301
_DONE_OR_ERROR = (2, 3)
_UP, _LOOPBACK, _LOWER_UP = 0x1, 0x8, 0x10000


def carriers() -> dict[str, bool]:
    """Return for each card that is switched on whether it has a signal; raises OSError."""
    found: dict[str, bool] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(2.0)
        kernel.sendall(_HEADER.pack(_HEADER.size + 16, _GET_LINKS, _DUMP, 1, 0) + bytes(16))
        while _read_dump(kernel.recv(1 << 16), found):
            pass
    return found


def _read_dump(data: bytes, found: dict[str, bool]) -> bool:
    """Add the links of one netlink datagram; False when it was the last."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if kind in _DONE_OR_ERROR or length < _HEADER.size:
            return False
        if kind == _NEW_LINK:
            body = data[start + _HEADER.size : start + length]
            flags = _LINK.unpack_from(body)[3]
            if flags & _UP and not flags & _LOOPBACK:
                found[_name(body[_LINK.size :])] = bool(flags & _LOWER_UP)
        start += (length + 3) & ~3
    return True


def _name(attributes: bytes) -> str:
    start = 0
    while start + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, start)
        if length < _ATTRIBUTE.size:
            break
        if kind == _NAME:
            return attributes[start + _ATTRIBUTE.size : start + length].rstrip(b"\0").decode()
        start += (length + 3) & ~3
    return "?"


class LinkWatch:
    """Know whether any card has a signal; call `changed` soon after anything happened to them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        notify: Callable[[Notice], None],
    ) -> None:
        self._loop = loop
        self._notify = notify
        self._changed: Callable[[], None] = _nobody
        self._kernel: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.cards: dict[str, bool] = {}
        """Whether each card has a signal, as of the last look."""

    @property
    def up(self) -> bool:
        """Tell whether any card has a signal, or nobody knows."""
        return not self.cards or any(self.cards.values())

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to watch, and tell `changed`; while the kernel says nothing the link is up."""
        self._changed = changed
        with suppress(OSError):
            kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._kernel = kernel
            kernel.setblocking(False)
            kernel.bind((0, _GROUPS))
            self._loop.add_reader(kernel, self._heard)
        self._look()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._kernel is not None:
            self._loop.remove_reader(self._kernel)
            self._kernel.close()

    def _heard(self) -> None:
        # What was said does not matter, also not what was lost of it: we look for ourselves.
        with suppress(OSError):
            while self._kernel is not None and self._kernel.recv(1 << 16):
                pass
        if self._timer is None:
            self._timer = self._loop.call_later(SETTLING, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._look()
        self._changed()

    def _look(self) -> None:
        before = self.up
        try:
            self.cards = carriers()
        except OSError:
            self.cards = {}
        if before and not self.up:
            text = f"{', '.join(self.cards)}: no signal on the cable; no phone or zone is reached"
            self._notify(Notice("alarm", "network.link", text))
        elif self.up and not before:
            self._notify(Notice("info", "network.link", "the cable has a signal again"))


def _nobody() -> None:
    """Tell nobody, before the start."""


class LinkedProber:
    """Ask zones through another prober, and say `link` where our own cable is why none answers.

    Fulfils `ports.ZoneProber`.
    """

    def __init__(self, prober: ZoneProber, link: LinkWatch) -> None:
        self._prober = prober
        self._link = link

    def probe(self, zone: Zone, timeout: float, answer: Callable[[ZoneAnswer], None]) -> None:
        """Ask one zone; the answer comes as that of the prober does."""
        self._prober.probe(zone, timeout, lambda given: answer(self._judged(given)))

    def _judged(self, answer: ZoneAnswer) -> ZoneAnswer:
        if answer.status is not None or self._link.up:
            return answer
        return ZoneAnswer(answer.zone, None, "link: no signal on our own cable", "link")
