"""A whole outage on real phones: the cloud goes, the site talks on, the cloud comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE, ROUTER
from tests.system.sip import Line
from tests.system.sipp import Sipp
from tests.system.site import DOMAIN, System, password
from tests.system.waiting import until

MONITORING = {"stable_window": 10.0}
"""Default settings, but for the window, which is five minutes on a real site."""
OLD_PHONES = {"digest_algorithms": ["MD5"]}
"""baresip 1.0 gives up when any challenge, first or second, is not MD5."""
EXPIRES = 12
"""Seconds for which the phones register, so that they notice soon."""
TONES = (440, 620, 810, 1000)
DNS = f"dns_server {ROUTER}:53"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path, 6, MONITORING, OLD_PHONES)
    try:
        yield system
    finally:
        system.close()


def account(number: int, transport: str, server: str = "") -> str:
    """Write a phone's account; without a server it follows the SRV records of its domain."""
    name = str(101 + number)
    encryption = ";mediaenc=srtp-mand" if transport == "tls" else ""
    outbound = f';outbound="sip:{server};transport={transport}"' if server else ""
    return (
        f"<sip:{name}@{DOMAIN};transport={transport}>;auth_user={name};auth_pass={password(name)}"
        f";regint={EXPIRES};audio_codecs=PCMU;answermode=auto{encryption}{outbound}"
    )


def phone(site: System, number: int, transport: str) -> Baresip:
    """Start a phone that finds its servers by the name of its domain."""
    words = account(number, transport)
    return Baresip(site.phone(number), site.folder, TONES[number], words, dns=DNS)


def registered_here(site: System) -> set[str]:
    """Give the extensions registered at the appliance."""
    return {row["extension"] for row in site.holdfast("phones", "--registered") or []}


def talk(caller: Baresip, callee: Baresip) -> None:
    """Call, and let each recognise the other's tone."""
    before, there = len(caller.events), len(callee.events)
    caller.dial(f"sip:{callee.name}@{DOMAIN}")
    caller.wait("CALL_ESTABLISHED", 15, before)
    callee.wait("CALL_ESTABLISHED", 15, there)
    hear_each_other(caller, callee)


def hear_each_other(one: Baresip, other: Baresip) -> None:
    until(lambda: one.hears(other.tone), 8, f"{one.name} hears {other.tone} Hz", one.trace)
    until(lambda: other.hears(one.tone), 8, f"{other.name} hears {one.tone} Hz", other.trace)


def hang_up(one: Baresip, other: Baresip) -> None:
    """Let one hang up, and the other notice."""
    before = len(other.events)
    one.do("hangup")
    other.wait("CALL_CLOSED", 10, before)


def hold_and_resume(one: Baresip, other: Baresip) -> None:
    """Put a call on hold: who is held takes music, who holds takes nothing; then resume."""
    one.do("hold")
    until(other.listening, 8, "music while on hold", other.trace)
    until(lambda: not one.listening(), 8, "silence for who holds", one.trace)
    one.do("resume")
    until(lambda: one.listening() and other.listening(), 8, "both hear again", one.trace)


def test_a_site_loses_its_cloud_and_talks_on(site: System) -> None:
    tls = [phone(site, number, "tls") for number in (0, 1)]
    udp = [phone(site, number, "udp") for number in (2, 3)]
    phones = [*tls, *udp]
    for one in phones:
        one.wait("REGISTER_OK", 20)
    until(lambda: site.registered_at_zones() >= 4, 10, "four phones at the zones", site.evidence)

    away = site.account("110", Line(site.phone(4))).register()
    assert away.status == 503
    assert int(away.first("Retry-After")) > 0
    assert site.mode() == "standby"

    seen = [len(one.events) for one in phones]
    began = time.monotonic()
    site.network.cut(verdict="reject")
    until(lambda: first_admission(site) != 503, 16, "a REGISTER is admitted", site.evidence)
    assert time.monotonic() - began <= 16
    assert site.mode() == "survivability"

    # Over UDP baresip asks for its servers anew with each request and so never gets past the
    # first; an admin or its keypad would send it to the second server, and here the test does.
    for number in (2, 3):
        phones[number].become(account(number, "udp", APPLIANCE))
    expected = {one.name for one in phones}
    until(lambda: registered_here(site) >= expected, 60, "four phones here", site.evidence, 0.5)
    for one, before in zip(phones, seen, strict=True):
        one.wait("REGISTER_OK", 10, before)

    talk(tls[0], tls[1])
    hold_and_resume(tls[0], tls[1])
    hang_up(tls[0], tls[1])
    talk(tls[1], tls[0])
    hang_up(tls[0], tls[1])
    talk(udp[0], udp[1])
    hang_up(udp[1], udp[0])

    sipp = Sipp(site.phone(5), site.folder, "111")
    sipp.register()
    echo = sipp.answer()
    udp[0].dial(f"sip:111@{DOMAIN}")
    until(lambda: udp[0].hears(udp[0].tone), 10, "the echo of one's own tone", sipp.trace)
    udp[0].do("hangup")
    sipp.finished(echo)
    sipp.call(udp[1].name)

    site.network.heal()
    site.wait_for_mode("recovering", 20)
    talk(udp[1], udp[0])
    site.wait_for_mode("standby", 40)
    assert udp[0].hears(udp[1].tone), "no call is dropped by the return"
    hang_up(udp[1], udp[0])

    until(lambda: len(site.cloud_records()) == 6, 30, "six records at the cloud", site.evidence)
    time.sleep(3)
    records = site.cloud_records()
    assert len(records) == 6
    assert {entry["arrivals"] for entry in records} == {1}
    assert {entry["record"]["outcome"] for entry in records} == {"answered"}
    assert sum(entry["record"]["mode"] == "survivability" for entry in records) == 5
    for number in (2, 3):
        phones[number].become(account(number, "udp"))
    until(lambda: site.registered_at_zones() >= 4, 60, "four phones at the zones", site.evidence)


def first_admission(site: System) -> int:
    """Give the status of one REGISTER without credentials: 503 while the appliance is shut."""
    line = Line(site.phone(4), server=(APPLIANCE, 5060))
    try:
        return site.account("110", line).ask().status
    finally:
        line.close()
