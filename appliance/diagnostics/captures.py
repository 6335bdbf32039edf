"""Captures of packets: one at a time, few and small are kept, and the oldest go first.

`holdfast-netdiag` captures and hides what is secret; here its file is written as it comes. A disk
that is slow makes it wait, then the kernel drops packets, which are counted: no call ever waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import shutil
import time
from collections.abc import Awaitable, Callable
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.bundle import Bundle
from appliance.captured import Capture, Order
from appliance.diagnostics.capture_file import Blocks
from appliance.diagnostics.check import Surroundings
from appliance.diagnostics.ground import cards, way_out
from appliance.diagnostics.packets import Stream, asking_netdiag
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.files import write_durably

log = logging.getLogger("holdfast.captures")

KEPT = 10
KEPT_OCTETS = 200 << 20
KEPT_DAYS = 7.0
"""Of captures; whatever is more is removed, the oldest first."""
SPARE = 1 << 30
"""Octets that have to stay free on the disk."""
PIECE = 64 << 10
LATE = 20.0
"""Seconds after its time at which a capture that says nothing is given up."""
DAY = 86400.0

_audio_ports = re.compile(rb"^m=audio (\d{1,5}) ", re.M).findall
_name = re.compile(r"[A-Za-z0-9]{12}").fullmatch


class Captures:
    """Begin captures, tell how they stand, and keep their files."""

    def __init__(
        self,
        surroundings: Callable[[], Awaitable[Surroundings]],
        folder: Path,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._surroundings = surroundings
        self._folder = folder
        self._wall = wall
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._found = self._load()

    @property
    def running(self) -> Capture | None:
        """The one that is under way."""
        return next((one for one in self._found if one.ended is None), None)

    async def cards(self) -> list[str]:
        """Return the names of cards that can be captured on; the one that leads out first."""
        return await asyncio.to_thread(_cards)

    def kept(self) -> list[Capture]:
        """Return every capture that is kept, the latest first."""
        self._prune()
        return self._found[::-1]

    def find(self, identifier: str) -> Capture | None:
        """Return a capture; None for one that is gone or never was."""
        return next((one for one in self._found if one.id == identifier), None)

    def file_of(self, capture: Capture) -> Path:
        """Return where its packets are."""
        return self._folder / f"{capture.id}.pcapng"

    async def start(self, order: Order, by: str) -> Capture:
        """Begin a capture; raises LocalError or Unavailable for what cannot be captured."""
        if self.running is not None:
            raise LocalError("a capture is running already; stop it or wait until it has ended")
        around = await self._surroundings()
        card = await self._card(order)
        wanted = await _wanted(order, card, around)
        self._prune(order.megabytes << 20)
        self._check_room(order)
        capture = Capture(
            id=RandomIdentifiers().token()[:12],
            by=by,
            begun=self._wall(),
            card=card,
            seconds=order.seconds,
            megabytes=order.megabytes,
            hosts=wanted["hosts"],
            call=order.call,
            audio=order.audio,
        )
        if self.running is not None:  # somebody else was quicker while we asked
            raise LocalError("a capture is running already; stop it or wait until it has ended")
        self._save(capture)
        self._found.append(capture)
        self._task = asyncio.create_task(self._run(capture, wanted, around))
        return capture

    async def stop(self, identifier: str) -> Capture:
        """End a capture before its time; raises LocalError where it does not run."""
        running = self.running
        if running is None or running.id != identifier:
            raise LocalError("this capture does not run")
        running.ending = "stopped"
        if self._stream is not None:
            self._stream.enough()
        await self.done()
        return running

    def delete(self, identifier: str) -> None:
        """Remove a capture; raises LocalError while it runs, and where there is none."""
        capture = self.find(identifier)
        if capture is None:
            raise LocalError(f"there is no capture {identifier[:64]!r}")
        if capture.ended is None:
            raise LocalError("this capture still runs; stop it first")
        self._remove(capture)

    async def done(self) -> None:
        """Wait for the end of what runs now."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """End what runs; its file stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- one capture --------------------------------------------------------------------------

    async def _run(self, capture: Capture, wanted: dict[str, Any], around: Surroundings) -> None:
        try:
            async with asyncio.timeout(capture.seconds + LATE):
                await self._follow(capture, wanted, around)
            full = capture.octets >= wanted["octets"] - PIECE
            capture.ending = capture.ending or ("size" if full else "time")
        except TimeoutError:
            capture.ending = "it was not done in its time"
        except asyncio.CancelledError:
            capture.ending = "the admin process ended"
            raise
        except (HoldfastError, OSError, ValueError) as error:
            capture.ending = f"failed: {error}"
            log.warning("capture %s: %s", capture.id, error)
        finally:
            self._stream = None
            capture.ended = self._wall()
            with contextlib.suppress(Unavailable):
                self._save(capture)

    async def _follow(self, capture: Capture, wanted: dict[str, Any], around: Surroundings) -> None:
        blocks = Blocks()
        # Without a buffer: what is told as written is written.
        with open(self.file_of(capture), "xb", buffering=0, opener=_private) as file:
            async with asking_netdiag(around.settings, **wanted) as stream:
                self._stream = stream
                if capture.ending:
                    stream.enough()
                while piece := await stream.reader.read(PIECE):
                    whole = blocks.take(piece)
                    await asyncio.to_thread(_write, file, whole)
                    capture.octets += len(whole)
                    capture.packets, capture.dropped = blocks.packets, blocks.dropped
            await asyncio.to_thread(os.fsync, file.fileno())

    async def _card(self, order: Order) -> str:
        names = await self.cards()
        if not names:
            raise LocalError("no network card is switched on")
        if order.card and order.card not in names:
            raise LocalError(f"card: there is no {order.card!r}; there are: {', '.join(names)}")
        return order.card or names[0]

    def _check_room(self, order: Order) -> None:
        free = shutil.disk_usage(self._folder.parent).free
        if free < SPARE + (order.megabytes << 20):
            raise Unavailable(
                f"only {free >> 20} MiB are free on the disk, and {SPARE >> 20} have to stay free; "
                "delete older captures or capture less"
            )

    # -- what is kept -------------------------------------------------------------------------

    def _load(self) -> list[Capture]:
        """Read what an earlier process has left; what ran then has ended."""
        found = []
        for file in sorted(self._folder.glob("*.json"))[: 10 * KEPT]:
            try:
                capture = msgspec.json.decode(file.read_bytes(), type=Capture)
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("capture %s cannot be read: %s", file, error)
                continue
            if capture.id != file.stem or _name(capture.id) is None:
                continue
            if capture.ended is None:
                self._mend(capture)
            found.append(capture)
        return sorted(found, key=lambda one: one.begun)

    def _mend(self, capture: Capture) -> None:
        file = self.file_of(capture)
        capture.octets = file.stat().st_size if file.exists() else 0
        capture.ended, capture.ending = self._wall(), "the admin process ended"

    def _prune(self, room: int = 0) -> None:
        """Remove what is too old, too much or too many, with `room` for a new one."""
        most, now = KEPT - (room > 0), self._wall()
        for capture in list(self._found):
            ended = [one for one in self._found if one.ended is not None]
            octets = sum(one.octets for one in self._found)
            if capture not in ended:
                continue
            old = now - (capture.ended or now) > KEPT_DAYS * DAY
            if old or len(self._found) > most or octets + room > KEPT_OCTETS:
                self._remove(capture)

    def _remove(self, capture: Capture) -> None:
        self._found = [one for one in self._found if one is not capture]
        for file in (self.file_of(capture), self._folder / f"{capture.id}.json"):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def _save(self, capture: Capture) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._folder / f"{capture.id}.json", msgspec.json.encode(capture))


def _cards() -> list[str]:
    try:
        out, names = way_out(), [card.name for card in cards()]
    except LocalError:
        return []
    return sorted(names, key=lambda name: (out is None or name != out.card, name))


async def _wanted(order: Order, card: str, around: Surroundings) -> dict[str, Any]:
    """Return what is asked of the executable; raises LocalError."""
    hosts, audio = [_host(text) for text in order.hosts], []
    settings = around.settings
    if order.audio:
        audio = [list(order.ports or settings.media_ports)]
        if audio[0][0] > audio[0][1]:
            raise LocalError("ports: write the lower one first")
    elif order.ports is not None:
        raise LocalError("ports: they are those of audio; ask for audio too")
    if order.call:
        phones, ports = await _of_call(order.call, around)
        hosts += [host for host in phones if host not in hosts]
        if order.audio and order.ports is None and ports:
            audio = [[port, port + 1] for port in ports]
    clear, secure = _ports(around)
    return {
        "probe": "capture",
        "card": card,
        "seconds": order.seconds,
        "octets": order.megabytes << 20,
        "hosts": hosts[:32],
        "clear": clear,
        "secure": secure,
        "audio": audio[:32],
    }


async def _of_call(name: str, around: Surroundings) -> tuple[list[str], list[int]]:
    """Return the addresses of a call's phones, and our own ports for its audio."""
    told = await around.ask("calls.messages", id=name)
    if told is None or not told["messages"]:
        raise LocalError(f"call: nothing is known of a call {name!r}; `holdfast calls` lists them")
    rows = told["messages"]
    hosts = dict.fromkeys(str(row["remote"][0]) for row in rows)
    ports = dict.fromkeys(
        int(port) for row in rows if row["sent"] for port in _audio_ports(row["data"])
    )
    return list(hosts), [port for port in ports if 0 < port < 65535]


def _host(text: str) -> str:
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        raise LocalError(f"hosts: {text[:64]!r} is no address; write it like 192.0.2.7") from None
    if found.is_loopback or found.is_multicast or found.is_unspecified:
        raise LocalError(f"hosts: {found} is nobody's on a network card")
    return str(found)


def _ports(around: Surroundings) -> tuple[list[int], list[int]]:
    """Return the ports of SIP in clear, and over TLS: ours, the zones' and the trunk's."""
    settings = around.settings
    clear, secure = {settings.sip_port}, {settings.sips_port, settings.trunk_port}
    for transport, port in _far_ports(around.bundle):
        (secure if transport == "TLS" else clear).add(port)
    return sorted(clear)[:32], sorted(secure - clear)[:32]


def _far_ports(bundle: Bundle | None) -> list[tuple[str, int]]:
    if bundle is None:
        return []
    groups = bundle.route_groups
    zones = [(zone.transport, zone.port) for zone in bundle.zones]
    sbcs = [(sbc.transport, sbc.port) for group in groups for sbc in group.sbcs]
    peers = [("TLS", peer.port) for peer in bundle.peers]
    return [(transport, port) for transport, port in (*zones, *sbcs, *peers) if port is not None]


def _write(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
