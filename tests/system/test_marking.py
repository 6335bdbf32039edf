"""Signalling leaves marked CS3 and audio EF, as tshark reads it at the phone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.baresip import Baresip
from tests.system.network import APPLIANCE, Host
from tests.system.site import DOMAIN, System, password, site_in_outage
from tests.system.waiting import until

CS3, EF = "24", "46"
PORTS = {"udp": 5060, "tls": 5091}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    with site_in_outage(tmp_path, 2, policies={"digest_algorithms": ["MD5"]}) as system:
        yield system


def phone(site: System, number: int, transport: str) -> Baresip:
    name = str(101 + number)
    account = (
        f"<sip:{name}@{DOMAIN};transport={transport}>;auth_user={name};regint=60"
        f";auth_pass={password(name)};answermode=auto"
        f';outbound="sip:{APPLIANCE}:{PORTS[transport]};transport={transport}"'
    )
    return Baresip(site.phone(number), site.folder, 500 + 200 * number, account)


def marks(host: Host, capture: Path, chosen: str) -> set[str]:
    """Give the DSCP values of the packets from the appliance that a display filter chooses."""
    asked = ["-Y", f"ip.src == {APPLIANCE} && {chosen}", "-T", "fields", "-e", "ip.dsfield.dscp"]
    shown = subprocess.run(
        ["tshark", "-r", str(capture), *asked],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_what_the_appliance_sends_is_marked(site: System, transport: str) -> None:
    host = site.phone(0)
    capture = site.folder / "packets.pcap"
    listening = host.start(
        "tcpdump", "-i", "eth0", "-U", "-w", str(capture), log=site.folder / "tcpdump.log"
    )
    until(capture.exists, 5, "tcpdump listens")
    one, other = phone(site, 0, transport), phone(site, 1, transport)
    for each in (one, other):
        each.wait("REGISTER_OK", 20)
    one.dial(f"sip:{other.name}@{DOMAIN}")
    until(lambda: one.hears(other.tone), 15, "the other's tone", one.trace)
    one.do("hangup")
    other.wait("CALL_CLOSED")
    listening.terminate()
    listening.wait(5)
    signalling = (
        "tcp.srcport == 5091 && tcp.len > 0" if transport == "tls" else "udp.srcport == 5060"
    )
    assert marks(host, capture, signalling) == {CS3}
    assert marks(host, capture, "udp.srcport >= 20000 && udp.length > 100") == {EF}
