"""Captures as the admin process keeps them: bounds, progress, what goes wrong, and what is left."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.bundle import Bundle, Peer, RouteGroup, Sbc, Site, Zone
from appliance.captured import Order
from appliance.diagnostics import captures as module
from appliance.diagnostics.capture_file import Blocks
from appliance.diagnostics.captures import KEPT, KEPT_DAYS, Captures
from appliance.diagnostics.check import Surroundings
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings
from tests.messages import messages


def block(kind: int, body: bytes = b"") -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def figures(dropped: int) -> bytes:
    told = struct.pack("<HHQ", 4, 8, 99) + struct.pack("<HHQ", 5, 8, dropped) + bytes(4)
    return block(5, bytes(12) + told)


PACKET = block(6, bytes(40))
BEGINNING = b'{"probe": "capture", "card": "eth0"}\n' + block(0x0A0D0D0A, bytes(16))
BEGINNING += block(1, bytes(8))


class Program:
    """What `holdfast-netdiag` is to who asks it: a socket with a script behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[dict[str, Any]] = []
        self.pieces: list[bytes] = [BEGINNING, PACKET + figures(0)]
        self.goes_on = False
        """Wait until it is told that it is enough."""
        self.told_enough = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(json.loads(await reader.readline()))
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if self.goes_on:
            assert await reader.read() == b""
            self.told_enough += 1
            writer.write(PACKET + figures(7))
        writer.close()


class Room:
    """A recorder with the program behind it."""

    def __init__(self, program: Program, bundle: Bundle | None) -> None:
        self.program = program
        self.bundle = bundle
        self.wall = 1_800_000_000.0
        self.open()

    def open(self) -> None:
        async def look() -> Surroundings:
            settings = Settings(data=self.program.folder, run=self.program.folder)
            return Surroundings(settings, self.bundle, ask)

        async def ask(name: str, **arguments: Any) -> Any:
            return messages() if arguments["id"] == "c1" else None

        self.captures = Captures(look, self.program.folder / "captures", lambda: self.wall)

    async def finished(self, **order: Any) -> Any:
        capture = await self.captures.start(Order(**order), "root")
        await self.captures.done()
        return capture


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(module, "_cards", lambda: ["eth0", "eth1"])
    return Program(tmp_path)


def run(
    program: Program, script: Callable[[Room], Awaitable[None]], bundle: Bundle | None = None
) -> None:
    async def whole() -> None:
        server = await asyncio.start_unix_server(
            program.serve, str(program.folder / "netdiag.sock")
        )
        room = Room(program, bundle)
        try:
            await script(room)
        finally:
            await room.captures.close()
            server.close()

    asyncio.run(whole())


def test_a_capture_is_followed_to_its_end_and_kept(program: Program) -> None:
    async def script(room: Room) -> None:
        capture = await room.finished(seconds=30)
        assert (capture.packets, capture.dropped, capture.ending) == (1, 0, "time")
        file = room.captures.file_of(capture)
        assert file.read_bytes() == (BEGINNING + PACKET + figures(0)).split(b"\n", 1)[1]
        assert capture.octets == file.stat().st_size
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o077 == 0
        room.open()
        (again,) = room.captures.kept()
        assert again == capture
        assert program.asked == [
            {
                "probe": "capture",
                "card": "eth0",
                "seconds": 30,
                "octets": 10 << 20,
                "hosts": [],
                "clear": [5060],
                "secure": [5061, 5091],
                "audio": [],
            }
        ]

    run(program, script)


def test_one_that_runs_is_stopped_and_what_came_is_kept(program: Program) -> None:
    program.goes_on = True

    async def script(room: Room) -> None:
        capture = await room.captures.start(Order(), "root")
        while not capture.packets:
            await asyncio.sleep(0.001)
        assert room.captures.running is capture
        with pytest.raises(LocalError, match="running already"):
            await room.captures.start(Order(), "root")
        with pytest.raises(LocalError, match="stop it first"):
            room.captures.delete(capture.id)
        with pytest.raises(LocalError, match="does not run"):
            await room.captures.stop("another")
        await room.captures.stop(capture.id)
        assert (capture.packets, capture.dropped, capture.ending) == (2, 7, "stopped")
        assert program.told_enough == 1
        room.captures.delete(capture.id)
        assert room.captures.kept() == []
        assert list((program.folder / "captures").iterdir()) == []

    run(program, script)


@pytest.mark.parametrize(
    ("pieces", "ending", "octets"),
    [
        ([b'{"failure": "not permitted: it needs CAP_NET_RAW"}\n'], "not permitted", 0),
        ([b""], "gives no sense", 0),
        ([BEGINNING, b"\6\0\0\0\7\0\0\0nothing of sense"], "a block of 7 octets", None),
        ([BEGINNING, PACKET, PACKET[:30]], "time", 100),
    ],
)
def test_what_goes_wrong_is_said_and_what_is_whole_stays(
    program: Program, pieces: list[bytes], ending: str, octets: int | None
) -> None:
    program.pieces = pieces

    async def script(room: Room) -> None:
        capture = await room.finished()
        assert ending in capture.ending
        assert octets in (None, capture.octets)
        assert capture.octets == room.captures.file_of(capture).stat().st_size
        assert room.captures.running is None

    run(program, script)


def test_one_that_says_nothing_is_given_up(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATE", -0.9)
    program.goes_on = True

    async def script(room: Room) -> None:
        capture = await room.finished(seconds=1)
        assert "not done in its time" in capture.ending
        assert capture.packets == 1

    run(program, script)


def test_what_ran_when_the_process_ended_has_ended(program: Program) -> None:
    program.goes_on = True

    async def script(room: Room) -> None:
        capture = await room.captures.start(Order(), "root")
        while not capture.packets:
            await asyncio.sleep(0.001)
        await room.captures.close()
        assert capture.ending == "the admin process ended"
        file = program.folder / "captures" / f"{capture.id}.json"
        left = msgspec.json.decode(file.read_bytes())
        file.write_bytes(msgspec.json.encode(left | {"ended": None, "octets": 0}))
        (program.folder / "captures" / "broken.json").write_text("{")
        room.open()
        (found,) = room.captures.kept()
        assert (found.ending, found.octets) == ("the admin process ended", capture.octets)

    run(program, script)


def test_only_the_latest_are_kept_and_not_for_ever(program: Program) -> None:
    async def script(room: Room) -> None:
        made = []
        for _ in range(KEPT + 2):
            room.wall += 60
            made.append(await room.finished())
        assert [one.id for one in room.captures.kept()] == [one.id for one in made[:1:-1]]
        assert len(list((program.folder / "captures").iterdir())) == 2 * KEPT
        made[-1].octets = made[-2].octets = 100 << 20
        await room.finished(megabytes=50)
        assert room.captures.find(made[-2].id) is None
        room.wall += (KEPT_DAYS + 1) * 86400
        assert room.captures.kept() == []

    run(program, script)


def test_the_disk_keeps_room_for_calls(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE", 1 << 60)

    async def script(room: Room) -> None:
        with pytest.raises(Unavailable, match="have to stay free"):
            await room.captures.start(Order(), "root")

    run(program, script)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"card": "lo"}, "card: there is no 'lo'; there are: eth0, eth1"),
        ({"hosts": ["phone"]}, "hosts: 'phone' is no address"),
        ({"hosts": ["127.0.0.1"]}, "nobody's"),
        ({"ports": (20000, 20010)}, "ask for audio too"),
        ({"ports": (20010, 20000), "audio": True}, "the lower one first"),
        ({"call": "c9"}, "nothing is known of a call 'c9'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(
    program: Program, order: dict[str, Any], words: str
) -> None:
    async def script(room: Room) -> None:
        with pytest.raises(LocalError, match=words):
            await room.captures.start(Order(**order), "root")
        assert room.captures.kept() == []
        assert program.asked == []

    run(program, script)


def test_a_call_is_named_and_its_phones_and_ports_are_asked_for(program: Program) -> None:
    async def script(room: Room) -> None:
        capture = await room.finished(call="c1", audio=True, card="eth1")
        asked = program.asked[0]
        assert asked["hosts"] == ["192.0.2.101", "192.0.2.102"] == capture.hosts
        assert asked["audio"] == [[10000, 10001]]
        assert asked["card"] == "eth1"
        await room.finished(hosts=["192.0.2.7"], audio=True, ports=(20000, 20100))
        assert program.asked[1]["audio"] == [[20000, 20100]]
        assert program.asked[1]["hosts"] == ["192.0.2.7"]

    run(program, script)


def test_ports_of_zones_sbcs_and_sites_are_signalling_too(program: Program) -> None:
    sbcs = (Sbc(host="sbc", port=5071, transport="TCP"), Sbc(host="b", port=5081))
    bundle = Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="71", domain="a.example", realm="a.example"),
        zones=(Zone(id="a", host="a", port=5191),),
        route_groups=(RouteGroup(id="r", sbcs=sbcs),),
        peers=(Peer(site="b", code="72", host="b", port=5991),),
    )

    async def script(room: Room) -> None:
        await room.finished()
        assert program.asked[0]["clear"] == [5060, 5071]
        assert program.asked[0]["secure"] == [5061, 5081, 5091, 5191, 5991]

    run(program, script, bundle)


def test_a_file_is_cut_where_its_blocks_end_whatever_its_pieces_are() -> None:
    whole = BEGINNING.split(b"\n", 1)[1] + PACKET + figures(3) + PACKET
    for size in (1, 5, 13, 64):
        blocks, taken = Blocks(), b""
        for at in range(0, len(whole), size):
            taken += blocks.take(whole[at : at + size])
        assert (taken, blocks.packets, blocks.dropped) == (whole, 2, 3)
