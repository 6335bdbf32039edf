"""Each check, on a site where all is well and where it is not."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from appliance.bundle import Bundle, Site, Zone
from appliance.diagnostics.check import Outcome, Surroundings
from appliance.diagnostics.checks import (
    audio_ports,
    cables,
    certificates,
    clock,
    cloud,
    configuration,
    gateway,
    machine,
    trunk,
    zones,
)
from appliance.diagnostics.cloud_line import probe_https
from appliance.diagnostics.ground import Card, Way
from appliance.settings import Settings
from tests.adapters.zones import Authority, StreamZone, answering
from tests.fake_core import STATUS, TRUNK


def around(folder: Path, *there: Zone, **told: Any) -> Surroundings:
    async def ask(name: str, **arguments: Any) -> Any:
        return told[name.replace(".", "_")]

    site = Site(id="hq", name="HQ", code="71", domain="a.example", realm="a.example")
    bundle = Bundle(version=4, site=site, zones=there or (Zone(id="a", host="192.0.2.1"),))
    settings = Settings(data=folder, cloud_url="https://cloud.example")
    settings.bundle_file.write_text("{}")
    return Surroundings(settings, bundle, ask)


def look(check: Any, surroundings: Surroundings) -> Outcome:
    found: Outcome = asyncio.run(check.run(surroundings))
    return found


async def with_zones(folder: Path, check: Any, *servers: tuple[StreamZone, str]) -> Outcome:
    there = []
    for number, (server, ca) in enumerate(servers):
        await server.start()
        there.append(Zone(id=f"z{number}", host="127.0.0.1", port=server.port, ca=ca))
    try:
        found: Outcome = await check.run(around(folder, *there))
        return found
    finally:
        for server, _ in servers:
            server.stop()


def tls(folder: Path, status: int, days: int) -> tuple[StreamZone, str]:
    authority = Authority(folder)
    return StreamZone(answering(status), authority.context("127.0.0.1", days=days)), authority.pem


def test_zones_that_answer_are_well_and_one_that_does_not_is_to_be_seen_to(tmp_path: Path) -> None:
    told = asyncio.run(with_zones(tmp_path, zones, tls(tmp_path, 200, 1)))
    assert (told.verdict, told.text) == ("ok", "all 1 zones answer at every layer")
    both = (tls(tmp_path, 200, 1), tls(tmp_path, 503, 2))
    told = asyncio.run(with_zones(tmp_path, zones, *both))
    assert told.verdict == "warn" and "Zone z1 does not serve" in told.text
    told = asyncio.run(with_zones(tmp_path, zones, tls(tmp_path, 503, 1)))
    assert told.verdict == "fail" and any("  sip: it answers 503" in line for line in told.evidence)


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [(90, "ok", "are good"), (20, "warn", "lasts for 19 d"), (-1, "fail", "expired")],
)
def test_certificates_are_judged_by_how_long_they_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, verdict: str, words: str
) -> None:
    monkeypatch.setattr(certificates, "certificate_files", lambda settings: [])
    told = asyncio.run(with_zones(tmp_path, certificates, tls(tmp_path, 200, days)))
    assert told.verdict == verdict and words in told.text


def test_a_clock_that_is_off_is_told_with_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "clock_synchronised", lambda: True)
    for ahead, verdict, words in (
        (0, "ok", "within 3 s"),
        (20, "warn", "behind the cloud's clock"),
        (-7200, "fail", "ahead of the cloud's clock"),
    ):

        async def tell(settings: Settings, ahead: int = ahead) -> tuple[int, str, float]:
            return 404, formatdate(time.time() + ahead, usegmt=True), 0.0

        monkeypatch.setattr(clock, "ask_cloud", tell)
        told = look(clock, around(tmp_path))
        assert (told.verdict, words in told.text) == (verdict, True), told


def test_a_cloud_that_does_not_answer_is_wrong_and_none_is_not_needed(tmp_path: Path) -> None:
    there = around(tmp_path)
    closed = Settings(data=tmp_path, cloud_url="https://127.0.0.1:1")
    assert look(cloud, Surroundings(closed, there.bundle, there.ask)).verdict == "fail"
    by_hand = Settings(data=tmp_path)
    assert look(cloud, Surroundings(by_hand, None, there.ask)).verdict == "not_applicable"


def test_a_cloud_url_that_is_none_is_told_and_costs_no_evidence(tmp_path: Path) -> None:
    odd = Settings(data=tmp_path, cloud_url="https://[::1")
    step = asyncio.run(probe_https(odd))
    assert step is not None and step.verdict == "unknown" and "cloud_url" in step.text
    assert asyncio.run(probe_https(Settings(data=tmp_path))) is None


def test_ports_that_somebody_else_holds_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_ports, "EPHEMERAL", tmp_path / "none")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = Settings(data=tmp_path, media_ports=(port, port))
        there = Surroundings(settings, None, around(tmp_path).ask)
        told = look(audio_ports, there)
        assert told.verdict == "ok" and "1 are in use" in told.evidence[0]
        monkeypatch.setattr(os, "getuid", lambda: 4242)
        told = look(audio_ports, there)
        assert told.verdict == "warn" and str(port) in told.text
    monkeypatch.undo()
    (tmp_path / "range").write_text("32768\t60999\n")
    monkeypatch.setattr(audio_ports, "EPHEMERAL", tmp_path / "range")
    monkeypatch.setattr(audio_ports, "_bound", lambda: iter(()))
    told = look(audio_ports, around(tmp_path))
    assert told.verdict == "warn" and "32768 to 60999" in told.text


GOOD = Card("eth0", True, 1000, "full", 1500, None, 0, 0, 2)


@pytest.mark.parametrize(
    ("card", "verdict", "words"),
    [
        (GOOD, "ok", "every cable is well"),
        (GOOD._replace(vlan=20), "ok", "every cable is well"),
        (GOOD._replace(signal=False), "fail", "no card has a signal"),
        (GOOD._replace(duplex="half"), "fail", "half duplex"),
        (GOOD._replace(speed=10), "warn", "10 Mbit/s"),
        (GOOD._replace(errors=7), "warn", "7 broken packets"),
        (GOOD._replace(changes=40), "warn", "come and gone 40 times"),
    ],
)
def test_cables_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: Card, verdict: str, words: str
) -> None:
    monkeypatch.setattr(cables, "cards", lambda: [card])
    told = look(cables, around(tmp_path))
    assert (told.verdict, words in told.text) == (verdict, True), told
    if card.vlan:
        assert "VLAN 20" in told.evidence[0]


def test_a_second_card_without_a_cable_is_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cables, "cards", lambda: [GOOD, GOOD._replace(name="eth1", signal=False)])
    assert look(cables, around(tmp_path)).verdict == "warn"


@pytest.mark.parametrize(("answers", "verdict"), [(True, "ok"), (False, "fail"), (None, "warn")])
def test_the_gateway_is_alive_dead_or_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool | None, verdict: str
) -> None:
    async def told(address: str, way: Way, patience: float) -> bool | None:
        return answers

    monkeypatch.setattr(gateway, "way_out", lambda: Way("eth0", 2, "192.0.2.1", "192.0.2.2"))
    monkeypatch.setattr(gateway, "neighbour", lambda address, number: None)
    monkeypatch.setattr(gateway, "gateway_answers", told)
    assert look(gateway, around(tmp_path)).verdict == verdict
    monkeypatch.setattr(gateway, "way_out", lambda: None)
    assert look(gateway, around(tmp_path)).text == "no gateway is set"


SYNC = {
    "url": "https://cloud.example",
    "failure": "",
    "asked_at": None,
    "failing_since": None,
    "version": 4,
    "newest": 4,
    "held": None,
    "problems": [],
}
HOUR = 3600.0


@pytest.mark.parametrize(
    ("sync", "verdict", "words"),
    [
        ({}, "ok", "it is in force"),
        ({"asked_at": -100.0}, "ok", "the cloud answered 1 min ago"),
        ({"failure": "503", "asked_at": -30 * HOUR}, "ok", "https://cloud.example: 503"),
        ({"failure": "503", "asked_at": -40 * HOUR}, "warn", "not be asked for changes for 1 d"),
        ({"failure": "503", "asked_at": -200 * HOUR}, "fail", "not be asked for changes for 8 d"),
        ({"failure": "503", "failing_since": -40 * HOUR}, "warn", "not be asked for changes"),
        ({"asked_at": -200 * HOUR}, "ok", "it is in force"),
        ({"held": {"version": 5}}, "warn", "version 5 is held"),
        ({"problems": [{"text": "not signed"}]}, "warn", "refused: not signed"),
        ({"newest": 6}, "ok", "rolled back from version 6"),
        ({"url": ""}, "ok", "come by file"),
    ],
)
def test_a_configuration_that_may_be_old_is_to_be_seen_to(
    tmp_path: Path, sync: dict[str, Any], verdict: str, words: str
) -> None:
    there = around(tmp_path, bundle_info={"version": 4, "users": 60, "devices": 84})
    now = {name: time.time() + value for name, value in sync.items() if isinstance(value, float)}
    told = look(configuration, dataclasses.replace(there, sync=SYNC | sync | now))
    assert told.verdict == verdict
    assert any(words in line for line in (told.text, *told.evidence))


def test_a_configuration_that_is_stored_and_not_in_force_is_wrong(tmp_path: Path) -> None:
    served = {"version": 4, "users": 60, "devices": 84}
    told = look(configuration, around(tmp_path, bundle_info=served))
    assert told.verdict == "ok" and told.evidence == ("60 users, 84 phones",)
    told = look(configuration, around(tmp_path, bundle_info=served | {"version": 3}))
    assert told.verdict == "fail" and "version 3 is in force" in told.text
    assert look(configuration, around(tmp_path, bundle_info=None)).verdict == "fail"


def test_sbcs_that_are_down_drained_and_absent(tmp_path: Path) -> None:
    down = TRUNK["sbcs"][0]
    up = down | {"state": "up", "rtt": 0.02}
    assert look(trunk, around(tmp_path, trunk={"sbcs": [down]})).verdict == "fail"
    assert look(trunk, around(tmp_path, trunk={"sbcs": [up, down]})).verdict == "warn"
    assert look(trunk, around(tmp_path, trunk={"sbcs": [up]})).verdict == "ok"
    told = look(trunk, around(tmp_path, trunk={"sbcs": [up | {"drained": True}]}))
    assert told.verdict == "warn" and "drained" in told.text
    assert look(trunk, around(tmp_path, trunk={"sbcs": []})).verdict == "not_applicable"


def test_head_room_is_told_with_the_calls_that_are_up(tmp_path: Path) -> None:
    told = look(machine, around(tmp_path, status=STATUS))
    assert any("calls: 1 of the 11000" in line for line in told.evidence)
    told = look(machine, around(tmp_path, status=STATUS | {"calls": 10_000}))
    assert told.verdict in ("warn", "fail")
