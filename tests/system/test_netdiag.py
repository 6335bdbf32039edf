"""Packets of our own on a real network: DHCP of dnsmasq, and a phone with our address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.bundle import Bundle, Site, Zone
from appliance.cloud.reference.echo import Echo
from appliance.diagnostics.check import Check, Result, Surroundings
from appliance.diagnostics.checks import (
    audio,
    cables,
    dhcp,
    double_nat,
    doubled,
    gateway,
    marked,
    path_mtu,
)
from appliance.diagnostics.examiner import perform
from appliance.errors import Unavailable
from appliance.settings import Settings
from tests.system.network import APPLIANCE, CLOUD, ROUTER, Network
from tests.system.waiting import until


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network(1)
    yield made
    made.close()


async def ask(name: str, **arguments: Any) -> Any:
    raise Unavailable("there is no core here")


def look(network: Network, folder: Path, check: Check, bundle: Bundle | None = None) -> Result:
    """Run one check as the appliance would."""
    around = Surroundings(Settings(data=folder, run=folder), bundle, ask)
    with network.appliance.inside():
        return asyncio.run(perform(check, around))


def site_of(zone: Zone) -> Bundle:
    site = Site(id="hq", name="HQ", code="71", domain="a.example", realm="a.example")
    return Bundle(version=1, site=site, zones=(zone,))


def look_with_echo(network: Network, folder: Path, *checks: Check) -> list[Result]:
    """Run checks while the cloud sends audio back."""

    async def script() -> list[Result]:
        echo = Echo(CLOUD)
        with network.cloud.inside():
            echo.start()
        zone = Zone(id="a", host=CLOUD, port=5091, echo_port=echo.port)
        around = Surroundings(Settings(data=folder, run=folder), site_of(zone), ask)
        try:
            with network.appliance.inside():
                return [await perform(check, around) for check in checks]
        finally:
            echo.stop()

    return asyncio.run(script())


@contextmanager
def spoilt(network: Network, rule: str) -> Iterator[None]:
    """Have the router treat what leaves for the cloud badly."""
    hook = "type filter hook forward priority 0; policy accept;"
    rule = f'oifname "wan" meta l4proto udp {rule}'
    table = f"table ip spoilt {{\n chain f {{\n {hook}\n {rule}\n }}\n}}\n"
    network.router.run("nft", "-f", "-", text=table)
    try:
        yield
    finally:
        network.router.run("nft", "delete", "table", "ip", "spoilt")


def test_an_address_of_ours_that_a_phone_has_too_is_found(network: Network, tmp_path: Path) -> None:
    alone = look(network, tmp_path, doubled.CHECK)
    assert (alone.verdict, alone.text) == ("ok", "nobody else has our 1 addresses")
    phone = network.phones[0]
    phone.run("ip", "addr", "add", f"{APPLIANCE}/24", "dev", "eth0")
    mac = phone.run("cat", "/sys/class/net/eth0/address").strip()
    found = look(network, tmp_path, doubled.CHECK)
    phone.run("ip", "addr", "del", f"{APPLIANCE}/24", "dev", "eth0")
    assert found.verdict == "fail"
    assert f"{APPLIANCE} on eth0 is also at {mac}" in found.text


def test_dhcp_options_that_lead_phones_away_are_found(network: Network, tmp_path: Path) -> None:
    nobody = look(network, tmp_path, dhcp.CHECK)
    assert nobody.text == "no DHCP server answers on eth0"
    log = tmp_path / "dnsmasq.log"
    words = [
        "--keep-in-foreground",
        "--no-resolv",
        "--port=0",
        "--interface=lan",
        "--log-facility=-",
    ]
    words += ["--dhcp-range=10.77.0.100,10.77.0.120,2m", f"--dhcp-leasefile={tmp_path}/leases"]
    words += ["--dhcp-option-force=66,tftp.elsewhere.example", "--no-ping", "--user=root"]
    words += ["--dhcp-option-force=161,ftp.elsewhere.example", "--pid-file"]
    network.router.start("dnsmasq", *words, log=log)
    until(lambda: "DHCP, IP range" in log.read_text(), 5, "dnsmasq serves", log.read_text)
    found = look(network, tmp_path, dhcp.CHECK)
    assert found.verdict == "warn", (found, log.read_text())
    assert f"DHCP server {ROUTER} tells phones" in found.text
    assert any("option 66 (server of provisioning): tftp.elsewhere" in x for x in found.evidence)
    assert any("option 161" in line for line in found.evidence)
    assert not (tmp_path / "leases").exists() or not (tmp_path / "leases").read_text()


def test_gateway_and_cable_are_seen_through_the_kernel(network: Network, tmp_path: Path) -> None:
    alive = look(network, tmp_path, gateway.CHECK)
    assert alive.verdict == "ok" and ROUTER in alive.text
    cable = look(network, tmp_path, cables.CHECK)
    assert cable.verdict == "ok" and "eth0: signal" in cable.evidence[0]
    network.router.run("ip", "link", "set", "port0", "down")
    try:
        until(
            lambda: look(network, tmp_path, cables.CHECK).text == "no card has a signal",
            5,
            "the cable is seen to be out",
        )
    finally:
        network.router.run("ip", "link", "set", "port0", "up")


def test_audio_and_its_marks_are_followed_to_the_cloud_and_back(
    network: Network, tmp_path: Path
) -> None:
    heard, kept = look_with_echo(network, tmp_path, audio.CHECK, marked.CHECK)
    assert heard.verdict == "ok" and "0.0 % lost" in heard.evidence[0]
    assert (kept.verdict, kept.text) == ("ok", "marks are kept there and back")
    with spoilt(network, "ip dscp set cs0"):
        [lost] = look_with_echo(network, tmp_path, marked.CHECK)
    assert lost.verdict == "warn" and "audio (DSCP 46): it arrives there as 0" in lost.text
    with spoilt(network, "numgen inc mod 3 0 drop"):
        [bad] = look_with_echo(network, tmp_path, audio.CHECK)
    assert bad.verdict in ("warn", "fail") and "33." in bad.text


def test_a_narrow_way_and_its_first_router_are_found(network: Network, tmp_path: Path) -> None:
    there = site_of(Zone(id="a", host=CLOUD, port=5091))
    wide = look(network, tmp_path, path_mtu.CHECK, there)
    assert (wide.verdict, wide.evidence[0]) == ("ok", f"zone a: 1500 octets go whole to {CLOUD}")
    network.router.run("ip", "link", "set", "wan", "mtu", "1320")
    try:
        narrow = look(network, tmp_path, path_mtu.CHECK, there)
    finally:
        network.router.run("ip", "link", "set", "wan", "mtu", "1500")
    assert narrow.verdict == "warn" and f"1320 octets go whole to {CLOUD}" in narrow.text
    nat = look(network, tmp_path, double_nat.CHECK)
    assert nat.verdict == "ok" and f"{APPLIANCE} → {ROUTER}" in nat.evidence[0]
