"""Our own cable and address: our cut is no cut of the cloud, a new address serves at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.network import Host
from tests.system.sip import Line
from tests.system.site import QUICK, System
from tests.system.waiting import until

NEW = "10.77.0.22"
OUTAGE = QUICK["interval"] + QUICK["misses"] * (QUICK["timeout"] + 0.25)
"""Seconds in which zones that do not answer are down."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("link"), 1)
    yield system
    system.close()


def switch(site: System) -> Host:
    return site.network.router


def status(site: System) -> dict[str, Any]:
    return dict(site.holdfast("status") or {})


def zones(site: System) -> set[str]:
    return {zone["state"] for zone in status(site).get("zones", [])}


def test_a_pulled_cable_is_told_as_such_and_changes_no_mode(site: System) -> None:
    until(lambda: zones(site) == {"up"}, 10, "both zones have answered", site.evidence)
    switch(site).run("ip", "link", "set", "port0", "down")
    until(lambda: not status(site)["link"]["up"], 5, "link down is told", site.evidence)
    time.sleep(OUTAGE + 1)
    shown = status(site)
    assert shown["mode"] == "standby" and {zone["state"] for zone in shown["zones"]} == {"up"}
    assert shown["zones"][0]["last_failure"]["layer"] == "link"
    assert "our own cable has no signal" in " ".join(shown["complaints"])
    assert "ALARM network.link" in site.log.read_text()


def test_with_the_cable_back_zones_are_heard_again_and_a_true_outage_counts(site: System) -> None:
    switch(site).run("ip", "link", "set", "port0", "up")
    until(lambda: status(site)["link"]["up"], 5, "link up is told", site.evidence)
    assert status(site)["mode"] == "standby"
    site.network.cut()
    site.wait_for_mode("survivability", OUTAGE + 5)


def test_a_new_address_is_served_within_five_seconds_and_the_old_one_let_go(
    site: System,
) -> None:
    appliance = site.network.appliance
    assert site.account("101", Line(site.phone(0))).register().status == 200
    appliance.run("ip", "addr", "del", "10.77.0.2/24", "dev", "eth0")
    appliance.run("ip", "addr", "add", f"{NEW}/24", "dev", "eth0")
    changed = time.monotonic()
    for transport, port in (("TCP", 5060), ("TLS", 5091)):
        line = until(lambda t=transport, p=port: reached(site, t, p), 5, f"{transport} at {NEW}")
        assert site.account("101", line).register().status == 200
    udp = site.account("101", Line(site.phone(0), "UDP", (NEW, 5060)))
    assert udp.register().status == 200
    assert time.monotonic() - changed < 5
    served = {place[0] for places in status(site)["served"].values() for place in places}
    assert NEW in served and "10.77.0.2" not in served


def reached(site: System, transport: str, port: int) -> Line | None:
    try:
        return Line(site.phone(0), transport, (NEW, port))
    except OSError:
        return None
