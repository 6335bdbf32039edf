"""Where zones are: SRV, addresses, and what was known before DNS died (reliability 7 and 30)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from appliance.adapters.zone_address import ZoneAddresses
from appliance.bundle import Zone
from appliance.errors import Unavailable
from tests.adapters.prober import Bench, both_loops
from tests.adapters.serving import LOOPS
from tests.adapters.zones import StreamZone, answering


class Names(asyncio.DatagramProtocol):
    """A name server with these records: `(name, kind): [text, ...]`."""

    def __init__(self, records: dict[tuple[str, str], list[str]], ttl: int = 5) -> None:
        self.records = records
        self.ttl = ttl
        self.dead = False
        self.rcode = dns.rcode.NXDOMAIN
        self.questions: list[tuple[str, str]] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> dns.asyncresolver.Resolver:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self._transport.get_extra_info("sockname")[1]
        return resolver

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), question.rdtype.name)
        self.questions.append(key)
        if self.dead or self._transport is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        texts = self.records.get(key)
        if texts is not None:
            answer = dns.rrset.from_text(question.name, self.ttl, "IN", key[1], *texts)
            response.answer.append(answer)
        elif not any(name == key[0] for name, _ in self.records):
            response.set_rcode(self.rcode)
        self._transport.sendto(response.to_wire(), address)


Named = Callable[[Names, ZoneAddresses, Path], Awaitable[None]]


def look_up(
    loop: str, folder: Path, records: dict[tuple[str, str], list[str]], scenario: Named
) -> None:
    async def all_of_it() -> None:
        names = Names(records)
        addresses = ZoneAddresses(
            asyncio.get_running_loop(), await names.start(), folder / "zones.json"
        )
        try:
            await asyncio.wait_for(scenario(names, addresses, folder), 20)
        finally:
            addresses.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


CLOUD = Zone(id="a", host="cloud.example")
SRV = {
    ("_sips._tcp.cloud.example", "SRV"): [
        "20 1 5092 two.cloud.example.",
        "10 1 5091 one.cloud.example.",
    ],
    ("one.cloud.example", "A"): ["192.0.2.1"],
    ("two.cloud.example", "A"): ["192.0.2.2"],
    ("two.cloud.example", "AAAA"): ["2001:db8::2"],
}


@both_loops
def test_srv_decides_where_a_zone_is_and_in_which_order(loop: str, tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        assert await addresses.find(CLOUD) == [
            ("192.0.2.1", 5091),
            ("192.0.2.2", 5092),
            ("2001:db8::2", 5092),
        ]

    look_up(loop, tmp_path, SRV, scenario)


def test_shares_by_srv_are_kept_and_outlast_a_restart(tmp_path: Path) -> None:
    answers = {**SRV, ("_sips._tcp.cloud.example", "SRV"): SHARED}

    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        found = await addresses.servers(CLOUD)
        assert [(one.priority, one.weight) for one in found] == [(10, 60), (10, 40), (10, 40)]
        after = ZoneAddresses(asyncio.get_running_loop(), None, folder / "zones.json")
        assert await after.servers(CLOUD) == found

    look_up("asyncio", tmp_path, answers, scenario)


SHARED = ["10 40 5092 two.cloud.example.", "10 60 5091 one.cloud.example."]


@pytest.mark.parametrize(
    ("transport", "name", "port"),
    [
        ("TLS", "_sips._tcp.cloud.example", 5091),
        ("TCP", "_sip._tcp.cloud.example", 5060),
        ("UDP", "_sip._udp.cloud.example", 5060),
    ],
)
def test_without_srv_the_name_itself_is_looked_up(
    tmp_path: Path, transport: str, name: str, port: int
) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        zone = Zone(id="a", host="cloud.example", transport=transport)
        assert await addresses.find(zone) == [("192.0.2.9", port)]
        assert names.questions[0] == (name, "SRV")

    look_up("uvloop", tmp_path, {("cloud.example", "A"): ["192.0.2.9"]}, scenario)


def test_with_a_port_srv_is_not_asked(tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        zone = Zone(id="a", host="one.cloud.example", port=7000)
        assert await addresses.find(zone) == [("192.0.2.1", 7000)]
        assert all(kind != "SRV" for _, kind in names.questions)

    look_up("asyncio", tmp_path, SRV, scenario)


def test_an_address_needs_no_dns(tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        assert await addresses.find(Zone(id="a", host="192.0.2.7")) == [("192.0.2.7", 5091)]
        assert names.questions == []

    look_up("asyncio", tmp_path, {}, scenario)


def test_a_name_is_not_looked_up_for_every_question(tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        for _ in range(10):
            await addresses.find(CLOUD)
        assert len([kind for _, kind in names.questions if kind == "SRV"]) == 1

    look_up("uvloop", tmp_path, SRV, scenario)


def test_a_name_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        with pytest.raises(Unavailable, match=r"the name cloud\.example does not exist"):
            await addresses.find(CLOUD)
        names.rcode = dns.rcode.SERVFAIL
        with pytest.raises(Unavailable, match="refuse to look up"):
            await addresses.find(CLOUD)

    look_up("uvloop", tmp_path, {}, scenario)


@both_loops
def test_dead_dns_is_named_when_nothing_is_known(loop: str, tmp_path: Path) -> None:
    async def all_of_it() -> None:
        names = Names(SRV)
        names.dead = True
        bench = Bench(tmp_path, await names.start())
        answer = await bench.ask(CLOUD, timeout=0.3)
        assert answer.layer == "dns"
        assert answer.failure == "dns: no name server answers for cloud.example"
        bench.prober.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


def test_the_last_good_answer_is_used_when_dns_dies_even_after_a_restart(tmp_path: Path) -> None:
    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        found = await addresses.find(CLOUD)
        names.dead = True
        again = ZoneAddresses(
            asyncio.get_running_loop(), await names.start(), folder / "zones.json"
        )
        assert await asyncio.wait_for(again.find(CLOUD), 0.1) == found
        again.close()

    look_up("asyncio", tmp_path, SRV, scenario)


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "zones.json").write_bytes(b'{"x": 7')

    async def scenario(names: Names, addresses: ZoneAddresses, folder: Path) -> None:
        assert len(await addresses.find(CLOUD)) == 3

    look_up("asyncio", tmp_path, SRV, scenario)


@both_loops
def test_of_several_addresses_the_one_that_works_is_used(loop: str, tmp_path: Path) -> None:
    async def all_of_it() -> None:
        zone = await StreamZone(answering(200)).start()
        dead = await StreamZone(answering(200)).start()
        dead.stop()
        names = Names(
            {
                ("_sip._tcp.cloud.example", "SRV"): [
                    f"10 1 {dead.port} one.cloud.example.",
                    f"20 1 {zone.port} one.cloud.example.",
                ],
                ("one.cloud.example", "A"): ["127.0.0.1"],
            }
        )
        bench = Bench(tmp_path, await names.start())
        answer = await bench.ask(Zone(id="a", host="cloud.example", transport="TCP"))
        assert answer.status == 200
        bench.prober.close()
        zone.stop()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())
