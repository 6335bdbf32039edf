"""The audio of calls between real phones, where more is asked of it than to pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE
from tests.system.site import DOMAIN, System, password, site_in_outage
from tests.system.test_outage import hang_up, talk
from tests.system.waiting import until

POLICIES = {"digest_algorithms": ["MD5"], "max_expires": 300}
HOLD_PORTS = """
import socket, sys, time
held = []
for port in map(int, sys.argv[2:]):
    held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    held[-1].bind((sys.argv[1], port))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    with site_in_outage(tmp_path, 2, policies=POLICIES) as system:
        yield system


def phone(site: System, number: int, more: str = "") -> Baresip:
    name = str(101 + number)
    account = (
        f"<sip:{name}@{DOMAIN}>;auth_user={name};auth_pass={password(name)};regint=300"
        f';audio_codecs=PCMU;answermode=auto;outbound="sip:{APPLIANCE}"{more}'
    )
    one = Baresip(site.phone(number), site.folder, 500 + 200 * number, account)
    one.wait("REGISTER_OK", 20)
    return one


def record_of(site: System, known: int = 0) -> dict[str, object]:
    """Wait for a record more than were known, and give the newest."""

    def newest() -> dict[str, object] | None:
        rows = site.holdfast("records") or []
        return dict(max(rows, key=lambda row: row["started"])) if len(rows) > known else None

    return until(newest, 10, "a call record", site.evidence)


def test_ports_that_another_program_holds_cost_no_call(site: System) -> None:
    held = ["20000", "20003", "20004", "20007"]
    log = site.folder / "holder.log"
    site.network.appliance.start(sys.executable, "-c", HOLD_PORTS, APPLIANCE, *held, log=log)
    until(lambda: "held" in log.read_text(), 10, "the ports are held", log.read_text)
    one, other = phone(site, 0), phone(site, 1)
    talk(one, other)
    hang_up(one, other)
    steps = record_of(site)["steps"]
    assert sum("held by another process" in step for step in steps) == 4, steps  # type: ignore[attr-defined]
