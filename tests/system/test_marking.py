"""Each class of traffic leaves with its mark, as tshark reads it on the far side."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.bundle.seal import opened
from tests.system.baresip import Baresip
from tests.system.capture import Capture
from tests.system.media import RTCP, Media, Phone, relay_between, rtp
from tests.system.network import APPLIANCE, APPLIANCE_6, Network
from tests.system.sip import PORTS, Line, trusting
from tests.system.site import CLOUD_PORT, DOMAIN, ZONE_PORTS, System, password
from tests.system.waiting import until

SIP_UDP = "udp.srcport == 5060"
SIP_STREAMS = "tcp.len > 0 && (tcp.srcport == 5060 || tcp.srcport == 5091)"
AUDIO = "udp.srcport >= 20000 && udp.srcport <= 64000 && !icmp && !icmpv6"
"""Not what a phone that has hung up sends back of it in an ICMP error."""
OPTIONS = "tcp.len > 0 && (" + " || ".join(f"tcp.dstport == {p}" for p in ZONE_PORTS) + ")"
PULLS = f"tcp.len > 0 && tcp.dstport == {CLOUD_PORT}"
API = "tcp.len > 0 && tcp.srcport == 8443"
MD5 = {"digest_algorithms": ["MD5"]}
OTHER = [
    {"traffic": "real-time", "name": "CS5", "value": 40},
    {"traffic": "signalling", "name": "AF41", "value": 34},
]


def phone(site: System, number: int, transport: str) -> Baresip:
    name = str(101 + number)
    account = (
        f"<sip:{name}@{DOMAIN};transport={transport}>;auth_user={name};regint=60"
        f";auth_pass={password(name)};answermode=auto"
        f';outbound="sip:{APPLIANCE}:{PORTS[transport.upper()]};transport={transport}"'
    )
    return Baresip(site.phone(number), site.folder, 500 + 200 * number, account)


def register_every_way(site: System) -> None:
    for address in (APPLIANCE, APPLIANCE_6):
        for transport, port in PORTS.items():
            line = Line(site.phone(0), transport, (address, port))
            assert site.account("105", line).register().status == 200
            line.close()


def ask_api(site: System, address: str) -> None:
    with site.phone(0).inside():
        plain = socket.create_connection((address, 8443), 5)
    with trusting().wrap_socket(plain) as asking:
        name = f"[{address}]" if ":" in address else address
        asking.sendall(f"GET /api/v1/qos HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert b"401" in asking.recv(4096)


def apply_other_marks(site: System) -> None:
    bundle = json.loads(opened((site.data / "bundle.json").read_bytes())[1])
    file = site.folder / "other.json"
    file.write_text(json.dumps(bundle | {"version": bundle["version"] + 1, "dscp": OTHER}))
    assert site.holdfast("bundle", "apply", str(file))["applied"]


@pytest.mark.parametrize(
    ("strategy", "transport", "admin", "management"),
    [("12-queue", "tls", APPLIANCE_6, "16"), ("4-queue", "udp", APPLIANCE, "26")],
)
def test_every_class_is_marked_and_follows_the_bundle(
    tmp_path: Path, strategy: str, transport: str, admin: str, management: str
) -> None:
    settings = {"admin_address": "::" if ":" in admin else "0.0.0.0"}
    site = System(tmp_path, 2, policies={"dscp_strategy": strategy, **MD5}, settings=settings)
    try:
        at_cloud = Capture(site.network.cloud, tmp_path / "cloud.pcap")
        # Started anew it asks for a bundle at once; otherwise a question waits for half a minute.
        site.kill("admin")
        at_cloud.end_after(OPTIONS, PULLS)
        assert at_cloud.marks(OPTIONS) == {"24"}
        assert at_cloud.marks(PULLS) == {management}
        assert site.holdfast("qos")["strategy"] == strategy

        site.network.cut()
        site.wait_for_mode("survivability", 20)
        here = Capture(site.phone(0), tmp_path / "phone.pcap")
        register_every_way(site)
        ask_api(site, admin)
        one, other = phone(site, 0, transport), phone(site, 1, transport)
        for each in (one, other):
            each.wait("REGISTER_OK", 20)
        one.dial(f"sip:{other.name}@{DOMAIN}")
        until(lambda: one.hears(other.tone), 15, "the other's tone", one.trace)
        here.end_after(SIP_UDP, SIP_STREAMS, AUDIO, API)
        assert here.marks(SIP_UDP) == here.marks(SIP_STREAMS) == {"24"}
        assert here.marks(AUDIO) == {"46"}
        assert here.marks(API) == {management}

        # The call and its connection were there before the bundle.
        apply_other_marks(site)
        here = Capture(site.phone(0), tmp_path / "after.pcap")
        until(lambda: here.marks(AUDIO), 10, "audio goes on")
        other.do("hangup")
        one.wait("CALL_CLOSED")
        ask_api(site, admin)
        own = SIP_UDP if transport == "udp" else SIP_STREAMS
        here.end_after(own, API)
        assert here.marks(own) == {"34"}
        assert here.marks(AUDIO) == {"40"}
        assert here.marks(API) == {management}
    finally:
        site.close()


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network(2)
    yield made
    made.close()


@pytest.mark.parametrize("kernel", ["required", "off"])
@pytest.mark.parametrize(
    ("ours", "a", "b"),
    [(APPLIANCE, "10.77.0.11", "10.77.0.12"), (APPLIANCE_6, "fd77::11", "fd77::12")],
    ids=["IPv4", "IPv6"],
)
def test_both_relays_mark_audio_and_its_reports(
    network: Network, tmp_path: Path, ours: str, a: str, b: str, kernel: str
) -> None:
    media = Media(network.appliance, tmp_path, media_kernel=kernel)
    speaker, hearer = Phone(network.phones[0], a), Phone(network.phones[1], b)
    try:
        media.put(relay_between(speaker, (ours, 20000), hearer, (ours, 20002)))
        if kernel == "required":
            media.wait_for_flows(4)
        for value in (46, 34, 0, 63):
            media.ask("media.marks", media=value)
            capture = Capture(network.phones[1], tmp_path / f"{value}.pcap")
            for number in range(5):
                speaker.rtp.sendto(rtp(number), (ours, 20000))
                hearer.hears(rtp(number))
            speaker.rtcp.sendto(RTCP, (ours, 20001))
            hearer.hears(RTCP, rtcp=True)
            capture.end_after("udp.srcport == 20003")
            assert capture.marks("udp.srcport == 20002") == {str(value)}
            assert capture.marks("udp.srcport == 20003") == {str(value)}
    finally:
        speaker.close()
        hearer.close()
        media.drop("call/0")
        media.end()
