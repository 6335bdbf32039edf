"""The layers of zones on real sockets, good and bad ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from appliance.adapters.zone_address import Server
from appliance.bundle import Zone
from appliance.diagnostics import layers
from appliance.diagnostics.gateway import gateway_answers
from appliance.diagnostics.ground import Neighbour, Way
from appliance.diagnostics.layers import probe_layers
from appliance.evidence import Step
from tests.adapters.zones import Authority, StreamZone, answering, silent


def run(probing: Coroutine[Any, Any, list[Step]]) -> dict[str, Step]:
    return {step.layer: step for step in asyncio.run(probing)}


async def alive(address: str, way: Way) -> bool:
    return True


async def probe(server: StreamZone, zone: Zone) -> list[Step]:
    await server.start()
    try:
        there = Zone(
            id=zone.id, host=zone.host, port=server.port, transport=zone.transport, ca=zone.ca
        )
        return await probe_layers(there, None, lambda: {"eth0": True}, alive)
    finally:
        server.stop()


def tls_zone(tmp_path: Path, *names: str, days: int = 1) -> tuple[StreamZone, Zone]:
    authority = Authority(tmp_path)
    server = StreamZone(answering(200), authority.context(*names, days=days))
    return server, Zone(id="a", host="127.0.0.1", ca=authority.pem)


def test_a_zone_that_is_well_is_well_at_every_layer(tmp_path: Path) -> None:
    told = run(probe(*tls_zone(tmp_path, "127.0.0.1")))
    assert list(told) == ["link", "gateway", "dns", "tcp", "tls", "certificate", "sip"]
    assert {step.verdict for step in told.values()} <= {"ok", "skipped"}
    assert "answers 200" in told["sip"].text


@pytest.mark.parametrize(
    ("names", "days", "kind"), [("127.0.0.1", -1, "expired"), ("other.example", 1, "name")]
)
def test_a_bad_certificate_is_told_from_a_bad_handshake(
    tmp_path: Path, names: str, days: int, kind: str
) -> None:
    told = run(probe(*tls_zone(tmp_path, names, days=days)))
    assert (told["certificate"].verdict, told["certificate"].kind) == ("fail", kind)
    assert told["tcp"].verdict == told["tls"].verdict == "ok" and "sip" not in told


def test_a_certificate_of_a_stranger_is_untrusted(tmp_path: Path) -> None:
    server, zone = tls_zone(tmp_path, "127.0.0.1")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").pem
    told = run(probe(server, Zone(id="a", host=zone.host, ca=stranger)))
    assert told["certificate"].kind == "untrusted"


@pytest.mark.parametrize(("reply", "kind"), [(answering(503), "refusing"), (silent, "silence")])
def test_a_zone_that_does_not_serve_fails_at_sip(
    reply: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "ANSWERING", 0.1)
    told = run(probe(StreamZone(reply), Zone(id="a", host="127.0.0.1", transport="TCP")))
    assert (told["sip"].kind, told["tcp"].verdict) == (kind, "ok")


def test_a_port_where_nobody_listens_is_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    zone = Zone(id="a", host="127.0.0.1", port=port)
    told = run(probe_layers(zone, None, lambda: {"eth0": True}, alive))
    assert (told["tcp"].verdict, told["tcp"].kind) == ("fail", "reset")


def test_without_a_signal_nothing_else_is_asked() -> None:
    zone = Zone(id="a", host="127.0.0.1")
    told = run(probe_layers(zone, None, lambda: {"eth0": False, "eth1": False}, alive))
    assert list(told) == ["link"] and told["link"].text == "eth0, eth1 has no signal"


def test_a_name_nobody_knows_fails_at_dns_and_the_last_address_is_used(tmp_path: Path) -> None:
    memory = tmp_path / "zone_addresses.json"
    known = {"TCP zone.invalid 5060": [Server(("127.0.0.1", 1))]}
    memory.write_bytes(msgspec.json.encode(known))
    zone = Zone(id="a", host="zone.invalid", port=5060, transport="TCP")
    told = run(probe_layers(zone, memory, lambda: {"eth0": True}, alive))
    assert told["dns"].verdict == "fail" and "127.0.0.1:1 before" in told["dns"].text
    assert told["tcp"].kind == "reset"


WAY = Way("eth0", 2, "127.0.0.1", "127.0.0.1")


def gateway(*known: Neighbour | None, address: str = "127.0.0.1") -> tuple[bool | None, float]:
    told = list(known)
    begun = monotonic()
    answer = asyncio.run(
        gateway_answers(address, WAY, 0.6, lambda a, n: told.pop(0) if told else None)
    )
    return answer, monotonic() - begun


def test_a_router_that_says_that_nobody_listens_is_alive() -> None:
    assert gateway()[0] is True


def test_a_silent_router_is_judged_by_its_card() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind(("127.0.0.1", 33434))
        heard_long_ago = Neighbour("reachable", "", 20.0)
        assert gateway(heard_long_ago, Neighbour("reachable", "", 0.0))[0] is True
        assert (
            gateway(Neighbour("failed", "", 60.0), None, Neighbour("failed", "", 60.0))[0] is False
        )
        assert gateway(heard_long_ago, heard_long_ago, heard_long_ago)[0] is None
