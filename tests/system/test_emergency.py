"""Somebody calls for help: over a full trunk, under a flood, and is called back after a crash."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE, Host
from tests.system.site import DOMAIN, ROOT, System, bundle, password, site_in_outage
from tests.system.waiting import until

USER, STRANGER, GUARD, SBC, NOISE = range(5)
SBC_ADDRESS = "10.77.0.14"
ELIN = "+13125560001"
FAR = "+15125550199"
POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300, "srtp": "off"}
FLOOD = 20_000
"""SIP requests a second."""
WITHIN = 3.0
"""Seconds from dialling to the answer."""


class Scene:
    """A user, somebody unknown, one of the safety team, and an SBC that takes one call."""

    def __init__(self, site: System) -> None:
        self.site = site
        self.user = Baresip(site.phone(USER), site.folder, 500, registered("101"))
        self.guard = Baresip(site.phone(GUARD), site.folder, 600, registered("102"))
        self.stranger = Baresip(site.phone(STRANGER), site.folder, 700, unregistered("nobody"))
        self.sbc = Baresip(site.phone(SBC), site.folder, 900, answering("911"))
        self.sbc.do("uanew", answering(FAR))
        for phone in (self.user, self.guard):
            phone.wait("REGISTER_OK", 20)
        up = f"SBC pstn/{SBC_ADDRESS}:5060 is up"
        until(lambda: up in site.log.read_text(), 20, "the SBC answers OPTIONS", site.evidence)

    def calls_for_help(self) -> float:
        """Have the stranger dial 911; return the seconds until the answer."""
        since = len(self.stranger.events)
        began = time.monotonic()
        self.stranger.dial(f"sip:911@{DOMAIN}")
        self.stranger.wait("CALL_ESTABLISHED", 10, since)
        return time.monotonic() - began

    def hang_up(self, phone: Baresip, other: Baresip) -> None:
        since = len(other.events)
        phone.do("hangup")
        other.wait("CALL_CLOSED", 10, since)

    def records(self) -> list[dict[str, Any]]:
        return [row for row in self.site.holdfast("records") or [] if row["sealed"]]


def registered(name: str) -> str:
    return (
        f"<sip:{name}@{DOMAIN}>;auth_user={name};auth_pass={password(name)};regint=300"
        f';audio_codecs=PCMU;answermode=auto;outbound="sip:{APPLIANCE}"'
    )


def unregistered(name: str) -> str:
    account = f"<sip:{name}@{DOMAIN}>;regint=0;audio_codecs=PCMU;answermode=auto"
    return f'{account};outbound="sip:{APPLIANCE}"'


def answering(number: str) -> str:
    return f"<sip:{number}@{SBC_ADDRESS}>;regint=0;audio_codecs=PCMU;answermode=auto"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("emergency")
    sbc = {"host": SBC_ADDRESS, "port": 5060, "transport": "UDP", "max_calls": 1}
    parts = {
        "users": bundle({}, {})["users"],
        "route_groups": [{"id": "pstn", "sbcs": [sbc], "srtp": "off", "interval": 1}],
        "number_plan": {"outside_prefix": "9", "site_number": "+13125550100"},
        "locations": [
            {"id": "hall", "name": "Hall", "elin": ELIN, "networks": ["10.77.0.0/24"]},
        ],
        "emergency": {"safety_team": ["102"]},
    }
    with site_in_outage(folder, 5, policies=POLICIES, parts=parts) as site:
        yield Scene(site)


def test_on_a_full_trunk_a_stranger_is_answered_within_three_seconds(scene: Scene) -> None:
    since, guarded = len(scene.user.events), len(scene.guard.events)
    scene.user.dial(f"sip:9{FAR[1:]}@{DOMAIN}")
    scene.user.wait("CALL_ESTABLISHED", 10, since)
    took = scene.calls_for_help()
    scene.guard.wait("CALL_ESTABLISHED", 2 - min(took, 1.5), guarded)
    print(f"answered after {took:.2f} s, the team is told")
    assert took < WITHIN
    scene.user.wait("CALL_CLOSED", 5, since)
    until(lambda: scene.stranger.hears(900), 15, "the stranger hears the SBC", scene.site.evidence)
    until(lambda: scene.sbc.hears(700), 15, "the SBC hears the stranger", scene.site.evidence)
    until(lambda: scene.guard.heard_amount() > 8000, 15, "the team hears who and where")
    scene.hang_up(scene.stranger, scene.sbc)
    until(lambda: len(scene.records()) == 2, 10, "two records", scene.site.evidence)
    help, dropped = sorted(scene.records(), key=lambda row: row["callee"] != "911")
    assert dropped["reason"] == "ended to make room for an emergency call"
    assert any("101" in step and "make room" in step for step in help["steps"])
    assert help["emergency"]["shown"] == ELIN
    assert "the safety team is alerted: 102" in help["steps"]


def test_after_a_crash_the_number_that_was_shown_leads_back(scene: Scene) -> None:
    assert scene.calls_for_help() < WITHIN
    scene.hang_up(scene.stranger, scene.sbc)
    (before,) = {row["until"] for row in scene.site.holdfast("emergency", "show")["callbacks"][:1]}
    scene.site.kill("core")
    until(lambda: scene.site.holdfast("emergency", "show"), 20, "core is back", scene.site.evidence)
    rows = scene.site.holdfast("emergency", "show")["callbacks"]
    assert rows[0]["number"] == ELIN
    assert abs(rows[0]["until"] - before) < 1
    since = len(scene.stranger.events)
    scene.sbc.dial(f"sip:{ELIN}@{APPLIANCE}")
    scene.stranger.wait("CALL_ESTABLISHED", 10, since)
    until(lambda: scene.stranger.hears(900), 15, "the stranger hears the SBC", scene.site.evidence)
    scene.hang_up(scene.sbc, scene.stranger)


def flood(site: System, host: Host, seconds: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.system.flood", APPLIANCE, str(FLOOD), str(seconds)]
    log = site.folder / "flood.log"
    return host.start(*words, log=log, environment={"PYTHONPATH": str(ROOT)})


def test_under_a_flood_it_is_answered_within_three_seconds(scene: Scene) -> None:
    site = scene.site
    rules = (ROOT / "systemd" / "firewall.nft").read_text()
    site.network.appliance.run("nft", "-f", "-", text=rules)
    sending = flood(site, site.phone(NOISE), 5)
    time.sleep(1)
    took = scene.calls_for_help()
    assert sending.poll() is None, "the flood was over before"
    print(f"answered after {took:.2f} s under the flood")
    assert took < WITHIN
    scene.hang_up(scene.stranger, scene.sbc)
    sending.wait(15)
