"""The signalling process is killed in the middle of an outage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.desk import desk_phone
from tests.system.sip import Account, Line, Message
from tests.system.site import DOMAIN, System, site_in_outage
from tests.system.waiting import until

BACK_WITHIN = 2.0
"""Seconds, without those that a busy machine gave to others."""
POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    with site_in_outage(tmp_path, 3, policies=POLICIES) as system:
        yield system


def options(account: Account, number: int) -> Message | None:
    """Send OPTIONS and give the answer, if one comes at once."""
    line = account.line
    text = (
        f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {line.own};branch=z9hG4bKo{number}"
        f";rport\r\nFrom: <sip:a@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: o{number}\r\n"
        f"CSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    try:
        line.send(text.encode())
    except ConnectionRefusedError:
        return None
    return line.receive(0.05)


def bindings(site: System) -> set[tuple[str, str]]:
    """Give who is registered, and where."""
    rows = site.holdfast("phones", "--registered") or []
    return {(row["extension"], row["contact"]) for row in rows}


def test_a_killed_core_is_back_within_two_seconds_with_its_phones(site: System) -> None:
    one, other = desk_phone(site, 0), desk_phone(site, 1)
    before = bindings(site)
    assert {extension for extension, _ in before} == {"101", "102"}
    asker = site.account("103", Line(site.phone(2)))
    time.sleep(0.2)

    site.kill("core")
    killed = time.monotonic()
    numbers = iter(range(1, 1000))
    until(lambda: options(asker, next(numbers)), 10, "an answer after the crash", site.evidence)
    assert time.monotonic() - killed - site.waited("core") <= BACK_WITHIN

    until(lambda: bindings(site) == before, 5, "all bindings", site.evidence)
    assert site.mode() == "survivability"
    assert asker.register().status == 200
    one.dial(f"sip:{other.name}@{DOMAIN}")
    other.wait("CALL_ESTABLISHED", 10)
    until(lambda: one.hears(other.tone), 8, "the callee's tone", one.trace)
    until(lambda: other.hears(one.tone), 8, "the caller's tone", other.trace)


def test_records_outlive_crashes_and_reach_the_cloud_once(site: System) -> None:
    one, other = desk_phone(site, 0), desk_phone(site, 1)
    for number in (1, 2, 3):
        seen = len(one.events)
        one.dial(f"sip:{other.name}@{DOMAIN}")
        one.wait("CALL_ESTABLISHED", 10, seen)
        one.do("hangup")
        one.wait("CALL_CLOSED", 10, seen)
        until(lambda n=number: len(site.holdfast("records") or []) == n, 10, "a record")
        site.kill("core")
        until(lambda: site.mode() == "survivability", 10, "core is back", site.evidence)
    site.network.heal()
    site.wait_for_mode("standby", 40)
    until(lambda: len(site.cloud_records()) == 3, 20, "three records", site.evidence)
    time.sleep(2)
    assert sorted(entry["arrivals"] for entry in site.cloud_records()) == [1, 1, 1]
