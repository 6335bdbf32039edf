"""An SBC dies in the middle of sixty calls: those that were not answered go on to the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.pki import Pki
from tests.system.kamailio_sbc import KamailioSbc
from tests.system.network import APPLIANCE
from tests.system.sipp import Sipp
from tests.system.site import DOMAIN, System, bundle, site_in_outage
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300, "srtp": "off"}
INSIDE, SBC_1, SBC_2, OUTSIDE = range(4)
HOSTS = ("10.77.0.12", "10.77.0.13")
FAR = "15125550199"
CALLS = 60


class Burst:
    """A site with two SBCs, a phone inside and somebody outside."""

    def __init__(self, site: System, folder: Path, theirs: Pki, ours: Path) -> None:
        self.site = site
        outside = site.phone(OUTSIDE)
        self.sbcs = [
            KamailioSbc(site.phone(number), folder, outside, theirs.leaf(host, host), ours)
            for number, host in zip((SBC_1, SBC_2), HOSTS, strict=True)
        ]
        self.inside = Sipp(site.phone(INSIDE), folder, "101")
        self.outside = Sipp(outside, folder, "outside")
        self.inside.register()
        until(lambda: self.states() == ["up", "up"], 30, "both SBCs are up", self.evidence)

    def states(self) -> list[str]:
        told = self.site.holdfast("trunk") or {"sbcs": []}
        return [row["state"] for row in told["sbcs"]]

    def invited(self, number: int) -> int:
        """Give how many calls of ours have come to an SBC."""
        heard = self.sbcs[number].heard()
        return len({name for name in map(call_id, heard) if name})

    def records(self) -> list[dict[str, Any]]:
        told = self.site.holdfast("records", "--limit", "200") or []
        return [row for row in told if row["sealed"]]

    def evidence(self) -> str:
        return "\n".join([self.site.evidence(), *(sbc.trace() for sbc in self.sbcs)])


def call_id(message: bytes) -> str:
    """Give the Call-ID of an INVITE."""
    if not message.startswith(b"INVITE "):
        return ""
    found = re.search(rb"^Call-ID: (.*?)\r$", message, re.MULTILINE)
    return found[1].decode() if found else ""


@pytest.fixture(scope="module")
def burst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Burst]:
    folder = tmp_path_factory.mktemp("burst")
    ours, theirs = Pki(folder, "ours"), Pki(folder, "theirs")
    certificate, key = ours.leaf("holdfast", APPLIANCE)
    (folder / "ours.pem").write_text(ours.pem)
    sbcs = [{"host": host, "priority": number} for number, host in enumerate(HOSTS)]
    group = {"id": "main", "sbcs": sbcs, "srtp": "required", "ca": theirs.pem}
    parts = {
        "users": bundle({}, {})["users"],
        "route_groups": [{**group, "interval": 2, "misses": 2, "answers": 1}],
        "number_plan": {
            "outside_prefix": "9",
            "site_number": "+13125550100",
            "limits": {"concurrent": 100, "per_minute": 1000},
        },
    }
    settings = {"trunk_certificate": str(certificate), "trunk_key": str(key)}
    with site_in_outage(folder, 4, policies=POLICIES, parts=parts, settings=settings) as site:
        yield Burst(site, folder, theirs, folder / "ours.pem")


def test_no_call_is_lost_that_was_not_answered(burst: Burst) -> None:
    burst.outside.rings(2 * CALLS)
    calling = burst.inside.calls(f"9{FAR}", CALLS, 4)
    until(lambda: burst.invited(0) >= 40, 15, "forty calls", burst.evidence, 0.02)
    burst.sbcs[0].die()
    before = burst.invited(0)
    burst.inside.finished(calling, 40)
    until(lambda: len(burst.records()) == CALLS, 10, "sixty records", burst.evidence)
    records = burst.records()
    assert [row for row in records if row["answered"] is None] == []
    moved = [row for row in records if any("(503)" in step for step in row["steps"])]
    print(f"{before} calls went to the first SBC, {burst.invited(1)} to the second")
    print(f"{len(moved)} of them from the one to the other")
    rung_twice = burst.invited(1) + before - CALLS
    assert 10 <= rung_twice <= len(moved) <= burst.invited(1) < CALLS


def test_nothing_of_the_inside_came_to_either(burst: Burst) -> None:
    sent = burst.inside.sent_and_received()
    secrets = {burst.inside.host.address.encode(), DOMAIN.encode(), b"User 101", b"sip:101@"}
    for name in (rb"Call-ID", rb"User-Agent"):
        secrets |= set(re.findall(rb"^" + name + rb": (.*?)\r?$", sent, re.MULTILINE))
    secrets |= set(re.findall(rb"branch=(z9hG4bK-[\w-]+)", sent))
    secrets |= {b"o=sipp"}
    assert len(secrets) > CALLS
    ours = [message for sbc in burst.sbcs for message in sbc.heard()]
    assert len(ours) > 3 * CALLS
    looked = re.compile(b"|".join(map(re.escape, secrets)))
    for message in ours:
        found = looked.search(message)
        assert found is None, message.decode(errors="replace")
