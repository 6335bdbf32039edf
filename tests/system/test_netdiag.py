"""Packets of our own on a real network: DHCP of dnsmasq, and a phone with our address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.diagnostics.check import Check, Result, Surroundings
from appliance.diagnostics.checks import cables, dhcp, doubled, gateway
from appliance.diagnostics.examiner import perform
from appliance.errors import Unavailable
from appliance.settings import Settings
from tests.system.network import APPLIANCE, ROUTER, Network
from tests.system.waiting import until


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network(1)
    yield made
    made.close()


def look(network: Network, folder: Path, check: Check) -> Result:
    """Run one check as the appliance would."""

    async def ask(name: str, **arguments: Any) -> Any:
        raise Unavailable("there is no core here")

    around = Surroundings(Settings(data=folder, run=folder), None, ask)
    with network.appliance.inside():
        return asyncio.run(perform(check, around))


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
