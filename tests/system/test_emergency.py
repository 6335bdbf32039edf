"""Somebody calls for help over Kamailio with mutual TLS and SRTP, and is called back after a crash.

The phone is unknown or its user stopped for fraud; the trunk is full, a flood comes, or every phone
registers at once.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.generator import COMMON, compile_program
from tests.adapters.pki import Pki
from tests.system.baresip import Baresip
from tests.system.desk import account
from tests.system.kamailio_sbc import KamailioSbc
from tests.system.network import APPLIANCE, Host
from tests.system.site import (
    DOMAIN,
    ROOT,
    System,
    bundle,
    credential,
    site_in_outage,
)
from tests.system.waiting import until

USER, STRANGER, GUARD, SBC, OUTSIDE, NOISE = range(6)
SBC_ADDRESS = "10.77.0.14"
PREMIUM = "919005550199"
IDLE = 2000
"""Connections of a slow loris, to both ports of phones."""
AVALANCHE = 10_000
"""Phones that register at once, over TLS."""
THEIRS = "10.99.0.0"
"""Network of their addresses, a /16."""
ELIN = "+13125560001"
FAR = "+15125550199"
POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300, "srtp": "off"}
FLOOD = 20_000
"""SIP requests a second."""
WITHIN = 3.0
"""Seconds from dialling to the answer."""


class Scene:
    """A user, somebody unknown, one of the safety team, an SBC that takes one call, and who answers
    behind it."""

    def __init__(self, site: System, folder: Path, files: tuple[Path, Path], ours: Path) -> None:
        self.site = site
        self.user = Baresip(site.phone(USER), site.folder, 500, account(0))
        self.guard = Baresip(site.phone(GUARD), site.folder, 600, account(1))
        self.stranger = Baresip(site.phone(STRANGER), site.folder, 700, unregistered("nobody"))
        outside = site.phone(OUTSIDE)
        self.sbc = KamailioSbc(site.phone(SBC), folder, outside, files, ours)
        self.far = Baresip(outside, site.folder, 900, answering("911"))
        self.far.do("uanew", answering(FAR))
        for phone in (self.user, self.guard):
            phone.wait("REGISTER_OK", 20)
        up = f"SBC pstn/{SBC_ADDRESS}:5061 is up"
        until(lambda: up in site.log.read_text(), 20, "the SBC answers OPTIONS", site.evidence)

    def calls_for_help(self, phone: Baresip | None = None) -> float:
        """Have the stranger, or another, dial 911; return the seconds until the answer."""
        phone = phone or self.stranger
        since = len(phone.events)
        began = time.monotonic()
        phone.dial(f"sip:911@{DOMAIN}")
        phone.wait("CALL_ESTABLISHED", 10, since)
        return time.monotonic() - began

    def is_refused(self, number: str) -> bool:
        """Have the user dial a number; tell whether the call ends without an answer."""
        since = len(self.user.events)
        self.user.dial(f"sip:{number}@{DOMAIN}")
        self.user.wait("CALL_CLOSED", 10, since)
        return self.user.seen("CALL_ESTABLISHED", since) is None

    def hang_up(self, phone: Baresip, other: Baresip) -> None:
        since = len(other.events)
        phone.do("hangup")
        other.wait("CALL_CLOSED", 10, since)

    def records(self) -> list[dict[str, Any]]:
        return [row for row in self.site.holdfast("records") or [] if row["sealed"]]


def unregistered(name: str) -> str:
    account = f"<sip:{name}@{DOMAIN}>;regint=0;audio_codecs=PCMU;answermode=auto"
    return f'{account};outbound="sip:{APPLIANCE}"'


def answering(number: str) -> str:
    account = f"<sip:{number}@{SBC_ADDRESS}>;regint=0;audio_codecs=PCMU;answermode=auto"
    return f'{account};mediaenc=srtp-mand;outbound="sip:{SBC_ADDRESS}"'


def many() -> list[dict[str, Any]]:
    """Give the users who come all at once; one name for all is spoken once."""
    names = map(str, range(100_000, 100_000 + AVALANCHE))
    return [
        {"id": name, "name": "Phone", "extension": name, "credentials": [credential(name)]}
        for name in names
    ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("emergency")
    ours, theirs = Pki(folder, "ours"), Pki(folder, "theirs")
    certificate, key = ours.leaf("holdfast", APPLIANCE)
    (folder / "ours.pem").write_text(ours.pem)
    pstn = {
        "id": "pstn",
        "sbcs": [{"host": SBC_ADDRESS, "max_calls": 1}],
        "srtp": "required",
        "ca": theirs.pem,
        "interval": 1,
    }
    parts = {
        "users": bundle({}, {})["users"] + many(),
        "route_groups": [pstn],
        "number_plan": {
            "outside_prefix": "9",
            "site_number": "+13125550100",
            "limits": {"refused_per_hour": 1},
        },
        "locations": [
            {"id": "hall", "name": "Hall", "elin": ELIN, "networks": ["10.77.0.0/24"]},
        ],
        "emergency": {"safety_team": ["102"]},
    }
    settings = {"trunk_certificate": str(certificate), "trunk_key": str(key)}
    files = theirs.leaf("sbc", SBC_ADDRESS)
    with site_in_outage(folder, 6, policies=POLICIES, parts=parts, settings=settings) as site:
        yield Scene(site, folder, files, folder / "ours.pem")


def test_on_a_full_trunk_a_stranger_is_answered_within_three_seconds(scene: Scene) -> None:
    since, guarded = len(scene.user.events), len(scene.guard.events)
    scene.user.dial(f"sip:9{FAR[1:]}@{DOMAIN}")
    scene.user.wait("CALL_ESTABLISHED", 10, since)
    took = scene.calls_for_help()
    scene.guard.wait("CALL_ESTABLISHED", 2 - min(took, 1.5), guarded)
    print(f"answered after {took:.2f} s, the team is told")
    assert took < WITHIN
    scene.user.wait("CALL_CLOSED", 5, since)
    until(lambda: scene.stranger.hears(900), 15, "the stranger hears outside", scene.site.evidence)
    until(lambda: scene.far.hears(700), 15, "outside hears the stranger", scene.site.evidence)
    until(lambda: scene.guard.heard_amount() > 8000, 15, "the team hears who and where")
    scene.hang_up(scene.stranger, scene.far)
    until(lambda: len(scene.records()) == 2, 10, "two records", scene.site.evidence)
    help, dropped = sorted(scene.records(), key=lambda row: row["callee"] != "911")
    assert dropped["reason"] == "ended to make room for an emergency call"
    assert any("101" in step and "make room" in step for step in help["steps"])
    assert help["emergency"]["shown"] == ELIN
    assert "the safety team is alerted: 102" in help["steps"]


def test_after_a_crash_the_number_that_was_shown_leads_back(scene: Scene) -> None:
    assert scene.calls_for_help() < WITHIN
    scene.hang_up(scene.stranger, scene.far)
    (before,) = {row["until"] for row in scene.site.holdfast("emergency", "show")["callbacks"][:1]}
    guarded = len(scene.guard.events)
    scene.site.kill("core")
    until(lambda: scene.site.holdfast("emergency", "show"), 20, "core is back", scene.site.evidence)
    scene.guard.wait("CALL_ESTABLISHED", 10, guarded)
    rows = scene.site.holdfast("emergency", "show")["callbacks"]
    assert rows[0]["number"] == ELIN
    assert abs(rows[0]["until"] - before) < 1
    since = len(scene.stranger.events)
    scene.far.dial(f"sip:{ELIN}@{SBC_ADDRESS}")
    scene.stranger.wait("CALL_ESTABLISHED", 10, since)
    until(lambda: scene.stranger.hears(900), 15, "the stranger hears outside", scene.site.evidence)
    scene.hang_up(scene.far, scene.stranger)


def test_who_was_stopped_for_fraud_is_answered_within_three_seconds(scene: Scene) -> None:
    assert scene.is_refused(PREMIUM)
    assert scene.is_refused(PREMIUM)
    stopped = scene.site.holdfast("trunk")["stopped"]
    assert [row["user"] for row in stopped] == ["101"]
    assert scene.is_refused(f"9{FAR[1:]}"), "it still calls outside"
    took = scene.calls_for_help(scene.user)
    print(f"answered after {took:.2f} s for a user who is stopped")
    assert took < WITHIN
    scene.hang_up(scene.user, scene.far)


@contextmanager
def avalanche(site: System, host: Host) -> Iterator[subprocess.Popen[bytes]]:
    """Have all the phones register at once, from addresses of their own, until the block ends."""
    compile_program(site.folder, "register", COMMON, ["-lssl", "-lcrypto"])
    host.run("ip", "route", "add", "local", f"{THEIRS}/16", "dev", "lo")
    site.network.appliance.run("ip", "route", "add", f"{THEIRS}/16", "via", host.address)
    asked = {"transport": "tls", "host": APPLIANCE, "port": 5091, "own": THEIRS}
    asked |= {"phones": AVALANCHE, "window": 0, "domain": DOMAIN}
    words = [f"{name}={value}" for name, value in asked.items()]
    sending = host.start(str(site.folder / "register"), *words, log=site.folder / "avalanche.json")
    try:
        yield sending
    finally:
        sending.kill()
        sending.wait(10)


def test_in_an_avalanche_of_registrations_it_is_answered_within_three_seconds(
    scene: Scene,
) -> None:
    site = scene.site
    with avalanche(site, site.phone(NOISE)) as coming:
        until(lambda: bindings(site) > 100, 20, "phones register", site.evidence)
        calls = []
        for _ in range(3):
            calls.append(scene.calls_for_help())
            scene.hang_up(scene.stranger, scene.far)
        came = bindings(site)
        print(f"answered after {', '.join(f'{took:.2f}' for took in calls)} s; {came} had come")
        assert not (site.folder / "avalanche.json").read_text(), "the avalanche was over before"
        assert coming.poll() is None
    assert max(calls) < WITHIN


def bindings(site: System) -> int:
    """Give how many phones have registered."""
    told = site.holdfast("status") or {"phones": {"registered": 0}}
    return int(told["phones"]["registered"])


def test_beside_a_slow_loris_it_is_answered_within_three_seconds(scene: Scene) -> None:
    idle = []
    try:
        with scene.site.phone(NOISE).inside():
            for number in range(IDLE):
                port = (5060, 5091)[number % 2]
                idle.append(socket.create_connection((APPLIANCE, port), 5))
        for one in idle[::4]:
            one.send(b"\x16" if one.getpeername()[1] == 5091 else b"INVITE sip:911")
        took = scene.calls_for_help()
    finally:
        for one in idle:
            one.close()
    print(f"answered after {took:.2f} s beside {IDLE} connections that say next to nothing")
    assert took < WITHIN
    scene.hang_up(scene.stranger, scene.far)


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
    scene.hang_up(scene.stranger, scene.far)
    sending.wait(15)
