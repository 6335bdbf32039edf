"""Zones that come and go do not send phones back and forth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.sip import Line
from tests.system.site import QUICK, System

WINDOW = 6.0
MONITORING = {**QUICK, "stable_window": WINDOW}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path, 1, MONITORING)
    try:
        yield system
    finally:
        system.close()


def modes_during(site: System, seconds: float) -> set[str]:
    """Watch the mode for a while."""
    end, seen = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        seen.add(site.mode())
    return seen


def test_flapping_keeps_recovering_and_phones_are_served_throughout(site: System) -> None:
    phone = site.account("101", Line(site.phone(0)))
    site.wait_for_mode("standby", 10)
    assert phone.register().status == 503
    site.network.cut()
    site.wait_for_mode("survivability", 10)
    site.network.heal()
    site.wait_for_mode("recovering", 10)
    for _ in range(4):
        site.network.cut()
        assert modes_during(site, 2.5) == {"recovering"}
        assert phone.register().status == 200
        site.network.heal()
        assert modes_during(site, 2.0) == {"recovering"}
    healed = time.monotonic()
    site.wait_for_mode("standby", WINDOW + 10)
    assert time.monotonic() - healed >= WINDOW - 3
    assert phone.register().status == 503
    history = site.holdfast("mode")["history"]
    assert [row["after"] for row in history][:3] == ["standby", "recovering", "survivability"]


def test_one_zone_alone_never_changes_the_mode(site: System) -> None:
    site.wait_for_mode("standby", 10)
    site.cloud_zone("primary", "down")
    assert modes_during(site, 4) == {"standby"}
    site.cloud_zone("primary", "up")
    site.cloud_zone("secondary", "tls-broken")
    assert modes_during(site, 4) == {"standby"}
