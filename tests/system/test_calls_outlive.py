"""People talk; core or media is killed without a word; they talk on, hold, and hang up."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.baresip import Baresip
from tests.system.capture import Capture
from tests.system.desk import desk_phone
from tests.system.network import APPLIANCE
from tests.system.sipp import Sipp
from tests.system.site import DOMAIN, System, site_in_outage
from tests.system.test_outage import hang_up, hear_each_other, talk
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "min_expires": 10, "max_expires": 60}
PACKETS = 50
"""RTP packets a second of a phone that talks."""
AUDIO = "udp.length > 100"
RTP = "(udp.srcport >= 20000 || udp.dstport >= 20000)"
LATE = 0.1
"""Seconds in which a packet passes even on a machine that runs other tests meanwhile."""
BACK_WITHIN = 2.5
"""Seconds until the user-space relay carries again: the process starts, core connects."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    with site_in_outage(tmp_path, 4, policies=POLICIES) as system:
        yield system


@pytest.fixture
def site_without_kernel(tmp_path: Path) -> Iterator[System]:
    settings = {"media_kernel": "off"}
    with site_in_outage(tmp_path, 2, policies=POLICIES, settings=settings) as system:
        yield system


def phone(site: System, number: int, transport: str = "udp", answers: str = "auto") -> Baresip:
    return desk_phone(site, number, transport, answers=answers, expires=12)


class Traffic:
    """RTP packets of one phone, as its interface saw them: when each of a stream's numbers passed.

    What a busy phone does not send in time is not the appliance's gap: so packets are followed from
    the one phone's interface to the other's.
    """

    def __init__(self, one: Baresip, folder: Path) -> None:
        self.file = folder / f"{one.host.name}.pcap"
        self._capture = Capture(one.host, self.file)

    def end(self) -> tuple[dict[int, float], dict[int, float]]:
        """Give when which numbers were sent, and which came."""
        self._capture.end_after("udp.srcport >= 20000")
        fields = ("frame.time_epoch", "ip.src", "udp.payload")
        words = [word for field in fields for word in ("-e", field)]
        shown = subprocess.run(
            ["tshark", "-r", str(self.file), "-Y", f"{RTP} && {AUDIO}", "-T", "fields", *words],
            capture_output=True,
            text=True,
            timeout=60,
        )
        sent: dict[int, float] = {}
        came: dict[int, float] = {}
        for line in shown.stdout.splitlines():
            at, source, payload = line.split("\t")
            there = came if source == APPLIANCE else sent
            there.setdefault(int(payload.replace(":", "")[4:8], 16), float(at))
        return sent, came


@dataclass
class Passage:
    """What became of the packets between two phones, both ways together."""

    lost: int = 0
    in_a_row: float = 0.0
    """Seconds of the longest run of lost packets."""
    slowest: float = 0.0
    """Seconds from one phone's interface to the other's."""

    def add(self, sent: dict[int, float], came: dict[int, float]) -> None:
        """Take one direction; the first and the last moment may be in one capture only."""
        begin, end = max(min(sent.values()), min(came.values())), max(came.values())
        run = 0
        for number, at in sorted(sent.items(), key=lambda item: item[1]):
            if not begin <= at <= end - 0.1:
                continue
            run = 0 if number in came else run + 1
            self.lost += number not in came
            self.in_a_row = max(self.in_a_row, run / PACKETS)
            self.slowest = max(self.slowest, came.get(number, at) - at)


@contextmanager
def passage(site: System, one: Baresip, other: Baresip) -> Iterator[Passage]:
    """Follow the packets between two phones."""
    found = Passage()
    here, there = Traffic(one, site.folder), Traffic(other, site.folder)
    time.sleep(1)
    yield found
    time.sleep(1)
    (sent, came), (sent_there, came_there) = here.end(), there.end()
    assert min(len(sent), len(came)) > PACKETS
    found.add(sent, came_there)
    found.add(sent_there, came)
    print(found, "of", len(sent) + len(sent_there))


def hold_and_resume(one: Baresip, other: Baresip) -> None:
    """Hold the other, which silences this phone; take it back, and hear each other again."""
    one.do("hold")
    until(one.silent, 12, "silence while on hold", one.trace)
    one.do("resume")
    hear_each_other(one, other)


def calls(site: System) -> list[dict[str, Any]]:
    return site.holdfast("calls") or []


def kill_core(site: System) -> list[dict[str, Any]]:
    """Kill core, and give the calls that the next one shows."""
    site.kill("core")
    return until(lambda: calls(site), 30, "core is back with its calls", site.evidence)


def record(site: System) -> dict[str, Any]:
    def sealed() -> dict[str, Any] | None:
        rows = [row for row in site.holdfast("records") or [] if row["sealed"]]
        return rows[0] if rows else None

    return until(sealed, 10, "a sealed record", site.evidence)


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_a_call_outlives_core(site: System, transport: str) -> None:
    one, other = phone(site, 0, transport), phone(site, 1, transport)
    talk(one, other)
    before = calls(site)
    begun = time.monotonic()
    with passage(site, one, other) as found:
        after = kill_core(site)
        hear_each_other(one, other)
    assert [call["id"] for call in after] == [call["id"] for call in before]
    assert [call["state"] for call in after] == ["answered"]
    assert (found.lost, found.slowest < LATE) == (0, True), found
    if transport == "tls":
        both = {one.name, other.name}
        until(lambda: reachable(site) >= both, 40, "the phones are back", site.evidence)
    hold_and_resume(one, other)
    hold_and_resume(other, one)
    lasted = time.monotonic() - begun
    hang_up(other, one)
    ended = record(site)
    assert (ended["outcome"], ended["ended_by"]) == ("answered", "callee")
    assert "signalling restarted; the call goes on" in ended["steps"]
    assert ended["from_callee"]["packets"] > 0.7 * PACKETS * lasted
    assert ended["from_callee"]["quality"]["mos"] > 3.5
    until(lambda: site.holdfast("status")["ports"] == 0, 10, "no port is left", site.evidence)


def reachable(site: System) -> set[str]:
    rows = site.holdfast("phones", "--registered") or []
    return {row["extension"] for row in rows if row["reachable"]}


def test_a_phone_on_tls_that_hangs_up_at_once_ends_the_call_for_the_other(site: System) -> None:
    one, other = phone(site, 0, "tls"), phone(site, 1, "tls")
    talk(one, other)
    kill_core(site)
    seen = len(other.events)
    one.do("hangup")
    other.wait("CALL_CLOSED", 40, seen)
    assert record(site)["outcome"] == "answered"


def test_who_only_rings_rings_no_more(site: System) -> None:
    one, other = phone(site, 0), phone(site, 1, answers="manual")
    seen, there = len(one.events), len(other.events)
    one.dial(f"sip:{other.name}@{DOMAIN}")
    other.wait("CALL_INCOMING", 10, there)
    one.wait("CALL_RINGING", 10, seen)
    site.kill("core")
    one.wait("CALL_CLOSED", 10, seen)
    other.wait("CALL_CLOSED", 10, there)
    ended = record(site)
    assert (ended["outcome"], ended["status"]) == ("failed", 500)
    assert ended["reason"] == "signalling restarted while it rang"


def test_a_call_outlives_media_in_the_kernel(site: System) -> None:
    one, other = phone(site, 0), phone(site, 1)
    talk(one, other)
    with passage(site, one, other) as found:
        site.kill("media")
        until(lambda: site.processes("media"), 10, "media is back", site.evidence)
        hear_each_other(one, other)
    assert (found.lost, found.slowest < LATE) == (0, True), found
    hold_and_resume(one, other)
    hang_up(one, other)
    assert record(site)["from_caller"]["packets"] > 2 * PACKETS


def test_a_call_outlives_media_without_the_kernel(site_without_kernel: System) -> None:
    site = site_without_kernel
    one, other = phone(site, 0), phone(site, 1)
    talk(one, other)
    before = site.waited("core")
    with passage(site, one, other) as found:
        site.kill("media")
        until(lambda: site.processes("media"), 10, "media is back", site.evidence)
        hear_each_other(one, other)
    waited = site.waited("media") + site.waited("core") - before
    assert 0 < found.in_a_row < BACK_WITHIN + waited, "or the wrong process was killed"
    before = site.waited("media")
    with passage(site, one, other) as found:
        kill_core(site)
        hear_each_other(one, other)
    # Here every packet waits for the media process, and that for a processor.
    waited = site.waited("media") - before
    assert (found.lost, found.slowest < LATE + waited) == (0, True), found
    hold_and_resume(one, other)
    hang_up(one, other)
    assert record(site)["outcome"] == "answered"


def test_a_hundred_calls_outlive_core(site: System) -> None:
    one, other = phone(site, 0), phone(site, 1)
    caller, callee = (Sipp(site.phone(n), site.folder, str(101 + n)) for n in (2, 3))
    callee.register()
    talk(one, other)
    answering = callee.answers(100)
    time.sleep(0.5)
    calling = caller.calls("104", 100, 20)
    until(lambda: states(site).count("answered") == 101, 20, "101 calls", site.evidence)
    with passage(site, one, other) as found:
        site.kill("core")
        killed = time.monotonic()
        until(lambda: states(site).count("answered") == 101, 30, "all are back", site.evidence)
        back = time.monotonic() - killed
        hear_each_other(one, other)
    print(f"101 calls were back {back:.1f} s after the kill")
    assert (found.lost, found.slowest < LATE) == (0, True), found
    caller.finished(calling, 60)
    callee.finished(answering, 60)
    hang_up(one, other)

    def ended() -> bool:
        rows = site.holdfast("records", "--limit", "200") or []
        return len(rows) == 101 and all(row["sealed"] for row in rows)

    until(ended, 15, "101 sealed records", site.evidence)
    rows = site.holdfast("records", "--limit", "200") or []
    assert {(row["outcome"], row["ended_by"]) for row in rows} == {("answered", "caller")}
    assert site.holdfast("status")["ports"] == 0


def states(site: System) -> list[str]:
    return [call["state"] for call in calls(site)]
