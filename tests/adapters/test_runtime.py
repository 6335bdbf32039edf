import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.adapters.ipc import IpcPeer
from appliance.adapters.journal import Journal
from appliance.adapters.store import Store
from appliance.bundle import Bundle, Site, Zone
from appliance.call.actions import (
    Action,
    Close,
    DropRelay,
    LocateGateway,
    ModeChange,
    Notice,
    ProbeZone,
    PutRelay,
    Relay,
    RelaySide,
    SaveBinding,
    SaveMode,
    SaveRecord,
    Send,
    Trust,
    TrustGateways,
)
from appliance.call.events import GatewayLocated, MediaEvent, RelayFailed, ZoneAnswer
from appliance.call.record import LiveQuality, MediaCounters
from appliance.diagnostics.verdict import finding
from appliance.errors import LocalError
from appliance.ports import CertificateShown
from appliance.rtp.quality import MediaQuality
from appliance.runtime import Runtime
from appliance.sip.flow import Flow
from tests.adapters.serving import LOOPS, until
from tests.adapters.test_store import record

pytestmark = pytest.mark.parametrize("loop", LOOPS)
FLOW = Flow("UDP", ("127.0.0.1", 5060), ("127.0.0.1", 9))
US = IpcPeer(1, 1)


class Scripted:
    """A core that does what its test says."""

    def __init__(self) -> None:
        self.answers: dict[bytes, list[Action]] = {}
        self.heard: list[Any] = []
        self.due: list[float] = []

    def start(self, now: float) -> list[Action]:
        return [Notice("info", "started", "hello")]

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        return self.answers[data]

    def lost(self, flow: Flow, now: float, reason: str = "") -> list[Action]:
        self.heard.append(flow)
        return []

    def expire(self, now: float) -> list[Action]:
        self.heard.extend(at for at in self.due if at <= now)
        self.due = [at for at in self.due if at > now]
        return []

    def deadline(self) -> float | None:
        return min(self.due, default=None)

    def zone_answered(self, answer: ZoneAnswer, now: float) -> list[Action]:
        self.heard.append(answer)
        return []

    def media_event(self, event: MediaEvent, now: float) -> list[Action]:
        self.heard.append(event)
        return [Send(FLOW, b"bye")]

    def apply(self, bundle: Bundle, now: float) -> list[Action]:
        self.heard.append(bundle.version)
        return [Send(FLOW, b"applied")]

    @property
    def left(self) -> int:
        return 0

    def take_up(self, now: float) -> list[Action]:
        raise AssertionError("nothing is left")

    def gateway_located(self, event: GatewayLocated, now: float) -> list[Action]:
        return [Send(FLOW, event.failure.encode())]

    def command(self, name: str, arguments: dict[str, Any], now: float) -> tuple[Any, list[Action]]:
        if name == "status":
            return {"mode": "standby"}, [Send(FLOW, b"asked")]
        if name.startswith("peers"):
            return [{"site": name, "host": "east"}, {"site": name, "host": "west"}], []
        if name == "calls":
            return [{"id": "call-1"}, {"id": "call-2"}], []
        if name == "bug":
            raise ZeroDivisionError
        raise LocalError(f"unknown command {name}")


class World:
    """Everything around a runtime, remembering what was asked of it in order."""

    def __init__(self, folder: Path) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.lines: list[str] = []
        self.core = Scripted()
        self.journal = Journal(self.lines.append)
        self.store = Store(folder / "core.db", self.journal.notice)
        self.store.start()
        self.receive_media: Callable[[MediaEvent], None] = print
        loop = asyncio.get_running_loop()
        self.runtime = Runtime(loop, self.core, self.store, self, self, (self, self), self.journal)
        self.runtime.start(self, lambda: {"wire": {"connections": 0}})

    def send(self, flow: Flow, data: bytes) -> None:
        self.done.append(("send", data))

    def close(self, flow: Flow) -> None:
        self.done.append(("close", flow))

    def locate(self, asked: LocateGateway, answer: Callable[[GatewayLocated], None]) -> None:
        self.done.append(("locate", asked.key))
        answer(GatewayLocated(asked.key, failure="nowhere"))

    def trust(self, trusts: Iterable[Trust]) -> None:
        self.done.append(("trust", *(trust.name for trust in trusts)))

    def shown_by(self, name: str) -> CertificateShown | None:
        return CertificateShown((name,), "CN=Example CA", 2000.0) if name == "east" else None

    def shown(self) -> dict[str, CertificateShown]:
        return {"east": CertificateShown(("east",), "CN=Example CA", 2000.0)}

    def put(self, relay: Relay) -> None:
        self.done.append(("put", relay.key))

    def drop(self, key: str) -> None:
        self.done.append(("drop", key))

    def resync(self, relays: list[Relay]) -> None:
        self.done.append(("resync", len(relays)))

    async def quality(self, keys: list[str] | None = None) -> list[LiveQuality]:
        self.done.append(("quality", keys))
        heard = MediaCounters(packets=50, quality=MediaQuality(source="rtcp", mos=4.3))
        return [LiveQuality("call-1/0", heard, MediaCounters())]

    def on_event(self, receive: Callable[[MediaEvent], None]) -> None:
        self.receive_media = receive

    def probe(self, zone: Zone, timeout: float, answer: Callable[[ZoneAnswer], None]) -> None:
        answer(ZoneAnswer(zone.id, 200))

    async def ask(self, name: str, **arguments: Any) -> Any:
        return await self.runtime.command(name, arguments, US)


def run(loop: str, folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        world = World(folder)
        try:
            await asyncio.wait_for(scenario(world), 20)
        finally:
            world.runtime.stop()
            world.store.stop()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


ZONE = Zone(id="a", host="zone.example.com")
SIDE = RelaySide(("127.0.0.1", 20000), None)


def test_actions_are_performed_in_order(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.core.answers[b"x"] = [
            Send(FLOW, b"1"),
            PutRelay(Relay("k", 1, SIDE, SIDE)),
            Send(FLOW, b"2"),
            DropRelay("k"),
            Close(FLOW),
            ProbeZone(ZONE, 1.0),
            Notice("warning", "topic", "text"),
        ]
        world.runtime.receive(b"x", FLOW, 0.0)
        sends = [("send", b"1"), ("put", "k"), ("send", b"2"), ("drop", "k"), ("close", FLOW)]
        assert world.done == sends
        assert world.core.heard == [ZoneAnswer("a", 200)]
        assert world.lines[-1].endswith("WARNING topic text\n")

    run(loop, tmp_path, scenario)


def test_a_bug_costs_one_message_and_is_written_down(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.core.answers[b"good"] = [Send(FLOW, b"ok")]
        world.runtime.receive(b"bad\n<0>EMERG forged", FLOW, 0.0)
        world.runtime.receive(b"good", FLOW, 0.0)
        assert world.done == [("send", b"ok")]
        assert (world.runtime.faults, world.runtime.messages) == (1, 2)
        assert any("KeyError" in line for line in world.lines)
        assert all(line.startswith(("ERROR runtime.bug", "INFO")) for line in world.lines)

    run(loop, tmp_path, scenario)


def test_an_action_that_fails_does_not_keep_the_next(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.core.answers[b"x"] = [ProbeZone(None, 1.0), Send(FLOW, b"1")]  # type: ignore[arg-type]
        world.runtime.receive(b"x", FLOW, 0.0)
        assert world.done == [("send", b"1")]

    run(loop, tmp_path, scenario)


def test_the_core_is_called_when_it_is_due_and_not_before(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        begun = time.monotonic()
        world.core.due = [begun + 0.2]
        world.runtime.settled()
        world.core.due.append(begun + 0.05)
        world.runtime.settled()
        await until(lambda: len(world.core.heard) == 1)
        assert time.monotonic() - begun >= 0.05
        await until(lambda: len(world.core.heard) == 2)
        assert time.monotonic() - begun >= 0.2

    run(loop, tmp_path, scenario)


def test_the_world_reports_to_the_core(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.receive_media(RelayFailed("k", "port taken"))
        world.runtime.lost(FLOW)
        assert world.core.heard == [RelayFailed("k", "port taken"), FLOW]
        assert world.done == [("send", b"bye")]

    run(loop, tmp_path, scenario)


def test_records_and_history_come_from_the_store(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.core.answers[b"x"] = [
            SaveBinding("a", "c", b"row"),
            SaveMode(b"mode"),
            SaveRecord(record("r1")),
            SaveRecord(record("r2")),
        ]
        world.runtime.receive(b"x", FLOW, 0.0)
        assert len(await world.ask("records", limit=1)) == 1
        assert await world.ask("records.uploaded", ids=["r1"]) == 1
        assert [found["id"] for found in await world.ask("records.pending")] == ["r2"]
        assert await world.ask("mode.history") == []

    run(loop, tmp_path, scenario)


def test_what_is_found_of_a_zone_stands_in_the_history_of_the_outage(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        change = ModeChange("standby", "survivability", "every zone is down")
        world.core.answers[b"x"] = [SaveMode(b"mode", change)]
        world.runtime.receive(b"x", FLOW, 0.0)
        found = finding(time.time() - 1, "a", [])
        await world.ask("evidence.add", finding=msgspec.to_builtins(found))
        assert [one["zone"] for one in await world.ask("evidence")] == ["a"]
        [told] = await world.ask("mode.history")
        assert told["evidence"][0]["verdict"] == found.verdict
        with pytest.raises(LocalError, match="finding"):
            await world.ask("evidence.add", finding={"at": "soon"})

    run(loop, tmp_path, scenario)


def test_calls_tell_how_they_are_heard(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        one, other = await world.ask("calls")
        assert one["from_caller"].quality.mos == 4.3
        assert (other["from_caller"], other["from_callee"]) == (None, None)
        assert ("quality", ["call-1/0", "call-2/0"]) in world.done

    run(loop, tmp_path, scenario)


def test_status_is_the_cores_with_our_own_figures(loop: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        status = await world.ask("status")
        assert (status["mode"], status["faults"]) == ("standby", 0)
        assert status["records"] == {"pending": 0}
        assert status["wire"] == {"connections": 0}
        assert world.done == [("send", b"asked")]

    run(loop, tmp_path, scenario)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("records", {"limit": 0}, "limit"),
        ("records.uploaded", {}, "ids"),
        ("bundle.apply", {"path": "/nowhere/bundle.json"}, "No such file"),
        ("dance", {}, "unknown command"),
        ("bug", {}, "bug of ours"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    loop: str, tmp_path: Path, name: str, arguments: dict[str, Any], text: str
) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(LocalError, match=text):
            await world.ask(name, **arguments)
        assert world.runtime.faults == (name == "bug")

    run(loop, tmp_path, scenario)


def test_a_bundle_is_read_checked_and_applied(loop: str, tmp_path: Path) -> None:
    site = Site(id="hq", name="Head office", code="7", domain="example.com", realm="example.com")
    file = tmp_path / "bundle.json"
    file.write_bytes(msgspec.json.encode(Bundle(version=3, site=site, zones=(ZONE,))))

    async def scenario(world: World) -> None:
        assert await world.ask("bundle.info") is None
        applied = await world.ask("bundle.apply", path=str(file))
        assert (applied["version"], applied["site"]) == (3, "hq")
        assert await world.ask("bundle.info") == applied
        assert world.core.heard == [3]
        file.write_text("{}")
        with pytest.raises(LocalError, match="bundle refused"):
            await world.ask("bundle.apply", path=str(file))
        assert await world.ask("bundle.info") == applied

    run(loop, tmp_path, scenario)


@pytest.mark.parametrize("command", ["peers", "peers.drain", "peers.resume"])
def test_other_sites_are_told_with_what_they_have_shown(
    loop: str, tmp_path: Path, command: str
) -> None:
    async def scenario(world: World) -> None:
        east, west = await world.ask(command, site="east")
        assert east["site"] == command
        assert east["certificate"].expires == 2000.0
        assert west["certificate"] is None

    run(loop, tmp_path, scenario)


def test_where_sbcs_are_and_whose_certificates_count_goes_out_and_comes_back(
    loop: str, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        world.core.answers[b"x"] = [
            TrustGateways((Trust("sbc.example.net", ""),)),
            LocateGateway("main/sbc", "sbc.example.net", 5061, "TLS"),
        ]
        world.runtime.receive(b"x", FLOW, 0.0)
        assert world.done == [
            ("trust", "sbc.example.net"),
            ("locate", "main/sbc"),
            ("send", b"nowhere"),
        ]

    run(loop, tmp_path, scenario)
