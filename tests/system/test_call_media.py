"""The audio of calls between real phones, where more is asked of it than to pass."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.media.sounds import Sounds
from appliance.rtp.g711 import decode_ulaw
from tests.system.baresip import Baresip
from tests.system.desk import desk_phone
from tests.system.network import APPLIANCE
from tests.system.secure_phone import LENGTHS, SecurePhone
from tests.system.site import System, site_in_outage
from tests.system.test_outage import hang_up, talk
from tests.system.tone import PACKET, RATE
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
    with site_in_outage(tmp_path, 3, policies=POLICIES) as system:
        yield system


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
    one, other = desk_phone(site, 0), desk_phone(site, 1)
    talk(one, other)
    hang_up(one, other)
    steps = record_of(site)["steps"]
    assert sum("held by another process" in step for step in steps) == 4, steps  # type: ignore[attr-defined]


def test_rtp_and_srtp_phones_hear_each_other_both_ways(site: System) -> None:
    clear, secure = desk_phone(site, 0), desk_phone(site, 1, more=";mediaenc=srtp-mand")
    talk(clear, secure)
    hang_up(clear, secure)
    shown = str(record_of(site)["steps"])
    assert "102 refused RTP" in shown
    assert "caller RTP, callee AEAD_AES_256_GCM, bridged" in shown
    talk(secure, clear)
    hang_up(secure, clear)
    shown = str(record_of(site, 1)["steps"])
    assert "bridged" in shown
    assert "callee RTP" in shown


def test_srtp_phones_share_a_key_and_packets_pass(site: System) -> None:
    one, other = (desk_phone(site, number, more=";mediaenc=srtp-mand") for number in (0, 1))
    talk(one, other)
    until(lambda: site.kernel_flows() == 4, 5, "the kernel has the call", site.evidence)
    hang_up(other, one)
    assert "callee AES_CM_128_HMAC_SHA1_80, passed" in str(record_of(site)["steps"])


def test_every_suite_is_bridged_and_keys_change_while_people_talk(site: System) -> None:
    clear = desk_phone(site, 0)
    secure = SecurePhone(site.phone(2), "103", 980)
    try:
        for suite in LENGTHS:
            assert secure.call(clear.name, suite).status == 200
            assert secure.hears(clear.tone), suite
            assert is_heard(secure, clear), clear.trace()
            secure.change_key()
            assert secure.hears(clear.tone), suite
            assert is_heard(secure, clear), clear.trace()
            secure.hang_up()
    finally:
        secure.close()
    assert secure.refused <= 5 * len(LENGTHS)
    records = until(lambda: enough(site, len(LENGTHS)), 10, "all records", site.evidence)
    shown = [str(record["steps"]) for record in sorted(records, key=lambda row: row["started"])]
    for suite, steps in zip(LENGTHS, shown, strict=True):
        assert f"caller {suite}, callee RTP, bridged" in steps


def is_heard(one: SecurePhone, other: Baresip) -> bool:
    """Talk until the other has recognised the tone."""
    return any(one.talk(0.4) is not None and other.hears(one.tone) for _ in range(15))


def enough(site: System, count: int) -> list[dict[str, Any]]:
    rows = site.holdfast("records") or []
    return rows if len(rows) == count else []


def test_who_is_held_hears_the_music_sample_by_sample(site: System) -> None:
    clear = desk_phone(site, 0)
    secure = SecurePhone(site.phone(2), "103", 980)
    try:
        for suite in ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"):
            secure.call(clear.name, suite)
            assert secure.hears(clear.tone)
            clear.do("hold")
            assert any(is_music(secure.talk(1.0)[-RATE // 2 :]) for _ in range(5))
            assert "a=sendonly" in secure.offers[-1]
            clear.do("resume")
            assert secure.hears(clear.tone)
            assert "a=sendrecv" in secure.offers[-1]
            secure.hang_up()
    finally:
        secure.close()


@pytest.mark.parametrize("encryption", ["", ";mediaenc=srtp-mand"])
def test_a_held_phone_takes_the_music_and_then_its_peer_again(
    site: System, encryption: str
) -> None:
    one, other = desk_phone(site, 0, more=encryption), desk_phone(site, 1, more=encryption)
    talk(one, other)
    for _ in range(2):
        one.do("hold")
        until(other.listening, 10, "the held phone takes music", other.trace)
        assert not one.listening()
        one.do("resume")
        until(lambda: one.listening() and other.listening(), 10, "both talk", other.trace)
    hang_up(one, other)


def is_music(heard: array[int]) -> bool:
    """Tell whether most of what was heard is the music, sample by sample."""
    frames = Sounds().frames("music", "PCMU")
    assert frames is not None
    music = decode_ulaw(b"".join(frames)).tobytes()
    octets = heard.tobytes()
    packets = [octets[at : at + 2 * PACKET] for at in range(0, len(octets), 2 * PACKET)]
    found = sum(packet in music for packet in packets if any(packet))
    return bool(packets) and found > len(packets) // 2
