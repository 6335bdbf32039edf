"""The reference cloud's SIP zones on real sockets, in each state they can be commanded into."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.cloud.reference.faults import ZoneOrder
from appliance.cloud.reference.phone_link import Link, Server, connect
from appliance.errors import Unavailable
from appliance.sip.framing import parse
from tests.cloud.reference_trial import reference_cloud

TRANSPORTS = ("UDP", "TCP", "TLS")
SOON = 1.0


class Caller:
    """One connection to a zone, and what came back on it."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.link: Link | None = None

    async def connect(self, cloud: Any, transport: Any, zone: str = "primary") -> "Caller":
        server = Server("127.0.0.1", cloud.zones[zone].port, transport)
        context = cloud.authority.client_context()
        self.link = await connect(server, context, self._receive, self._lose)
        return self

    def _receive(self, link: Link, data: bytes) -> None:
        self.answers.put_nowait(parse(data))

    def _lose(self, link: Link, reason: str) -> None:
        self.lost.put_nowait(reason)

    async def ask(self, method: str = "OPTIONS", uri: str = "sip:127.0.0.1") -> Any:
        assert self.link is not None
        transport = self.link.flow.transport
        head = (
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK1;rport",
            "From: <sip:probe@127.0.0.1>;tag=1",
            "To: <sip:127.0.0.1>",
            "Call-ID: 1@probe",
            f"CSeq: 1 {method}",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        self.link.send("\r\n".join((*head, "", "")).encode())
        async with asyncio.timeout(SOON):
            return await self.answers.get()


Script = Callable[[Any], Awaitable[None]]


def with_cloud(folder: Path, script: Script) -> None:
    async def run() -> None:
        async with reference_cloud(folder) as cloud:
            await script(cloud)

    asyncio.run(run())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_options_is_answered_on_every_transport(tmp_path: Path, transport: str) -> None:
    async def script(cloud: Any) -> None:
        caller = await Caller().connect(cloud, transport)
        assert (await caller.ask()).status == 200

    with_cloud(tmp_path, script)


def test_an_invite_finds_nobody_or_no_phone(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        caller = await Caller().connect(cloud, "TCP")
        assert (await caller.ask("INVITE", "sip:1001@cloud.test")).status == 480
        assert (await caller.ask("INVITE", "sip:5555@cloud.test")).status == 404

    with_cloud(tmp_path, script)


def test_a_double_break_is_answered_with_one(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        port = cloud.zones["primary"].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(SOON):
            assert await reader.readexactly(2) == b"\r\n"
        writer.close()

    with_cloud(tmp_path, script)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_zone_that_is_down_refuses_and_cuts(tmp_path: Path, transport: str) -> None:
    async def script(cloud: Any) -> None:
        caller = await Caller().connect(cloud, transport)
        await caller.ask()
        await cloud.zones["primary"].command(ZoneOrder(state="down"))
        if transport == "UDP":
            with pytest.raises(TimeoutError):
                await caller.ask()
        async with asyncio.timeout(SOON):
            assert await caller.lost.get()
        if transport != "UDP":
            with pytest.raises(Unavailable):
                await Caller().connect(cloud, transport)
        await cloud.zones["primary"].command(ZoneOrder(state="up"))
        again = await Caller().connect(cloud, transport)
        assert (await again.ask()).status == 200

    with_cloud(tmp_path, script)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_silent_zone_takes_packets_and_says_nothing(tmp_path: Path, transport: str) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="silent"))
        caller = await Caller().connect(cloud, transport)
        with pytest.raises(TimeoutError):
            await caller.ask()
        assert caller.lost.empty()

    with_cloud(tmp_path, script)


def test_a_refusing_zone_says_503_and_when_to_come_back(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="refusing"))
        caller = await Caller().connect(cloud, "TLS")
        answer = await caller.ask()
        assert (answer.status, answer.first("Retry-After")) == (503, "5")

    with_cloud(tmp_path, script)


def test_a_slow_zone_answers_late(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="slow", delay=0.2))
        caller = await Caller().connect(cloud, "UDP")
        began = asyncio.get_running_loop().time()
        assert (await caller.ask()).status == 200
        assert asyncio.get_running_loop().time() - began >= 0.19

    with_cloud(tmp_path, script)


def test_broken_tls_shows_an_expired_certificate_and_leaves_tcp_alone(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="tls-broken"))
        with pytest.raises(Unavailable, match="expired"):
            await Caller().connect(cloud, "TLS")
        caller = await Caller().connect(cloud, "TCP")
        assert (await caller.ask()).status == 200

    with_cloud(tmp_path, script)


def test_a_flapping_zone_goes_down_and_up(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        zone = cloud.zones["primary"]
        await zone.command(ZoneOrder(state="flapping", period=0.1))
        seen = set()
        for _ in range(40):
            seen.add(zone.status()["listening"])
            await asyncio.sleep(0.01)
        assert seen == {True, False}
        await zone.command(ZoneOrder(state="up"))
        assert zone.status()["listening"]

    with_cloud(tmp_path, script)


def test_a_flapping_zone_obeys_at_every_moment(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        zone = cloud.zones["primary"]
        for turns in range(6):  # of the loop, since it began to go down
            await zone.command(ZoneOrder(state="flapping", period=0.001))
            for listening in (True, False):
                while zone.status()["listening"] is not listening:
                    await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            order = asyncio.create_task(zone.command(ZoneOrder(state="up")))
            assert await asyncio.wait([order], timeout=SOON) == ({order}, set())
            assert zone.status()["listening"]
        caller = await Caller().connect(cloud, "TCP")
        assert (await caller.ask()).status == 200

    with_cloud(tmp_path, script)


def test_one_zone_fails_without_the_other(tmp_path: Path) -> None:
    async def script(cloud: Any) -> None:
        await cloud.zones["primary"].command(ZoneOrder(state="down"))
        caller = await Caller().connect(cloud, "TLS", "secondary")
        assert (await caller.ask()).status == 200

    with_cloud(tmp_path, script)
