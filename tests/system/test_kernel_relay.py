"""The kernel relay between phones in namespaces: what passes, and what does not."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.call.actions import Relay, RelaySide
from tests.system.media import RTCP, Media, Phone, relay_between, rtp
from tests.system.network import APPLIANCE, Network
from tests.system.relayed import ACROSS, LAN, Call, MakeCall, Place, call, media, network
from tests.system.waiting import until

__all__ = ["call", "media", "network"]

STRANGER = {4: "10.77.0.13", 6: "fd77::13"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("places", [LAN, ACROSS], ids=["lan", "across"])
def test_audio_passes_without_the_process(
    media: Media, call: MakeCall, places: dict[int, Place], version: int
) -> None:
    made = call(places[version])
    media.put(made.relay)
    media.wait_for_flows(4)
    media.process.send_signal(signal.SIGSTOP)
    try:
        made.talks(reports=True)
    finally:
        media.process.send_signal(signal.SIGCONT)
    (ended,) = media.drop("call/0")
    for side in (ended.from_a, ended.from_b):
        assert (side.packets, side.octets, side.dropped) == (5, 5 * 172, 0)
    assert media.flows() == 0


def test_phones_on_the_appliance_itself(media: Media, network: Network, call: MakeCall) -> None:
    a, b = (Phone(network.appliance, APPLIANCE, port) for port in (4000, 4010))
    media.put(relay_between(a, (APPLIANCE, 20000), b, (APPLIANCE, 20002)))
    media.wait_for_flows(4)
    media.process.send_signal(signal.SIGSTOP)
    a.rtp.sendto(rtp(1), (APPLIANCE, 20000))
    assert b.hears(rtp(1)) == (APPLIANCE, 20002)
    b.rtcp.sendto(RTCP, (APPLIANCE, 20003))
    assert a.hears(RTCP, rtcp=True) == (APPLIANCE, 20001)
    media.process.send_signal(signal.SIGCONT)
    a.close()
    b.close()


def test_from_a_phone_on_the_appliance_to_one_elsewhere(media: Media, network: Network) -> None:
    a, b = Phone(network.appliance, APPLIANCE), Phone(network.phones[0], "10.77.0.11")
    media.put(relay_between(a, (APPLIANCE, 20000), b, (APPLIANCE, 20002)))
    for number in range(3):
        a.rtp.sendto(rtp(number), (APPLIANCE, 20000))
        assert b.hears(rtp(number)) == (APPLIANCE, 20002)
        b.rtp.sendto(rtp(number), (APPLIANCE, 20002))
        assert a.hears(rtp(number)) == (APPLIANCE, 20000)
    assert media.flows() == 0
    a.close()
    b.close()


@pytest.mark.parametrize("version", [4, 6])
def test_a_strangers_packets_are_dropped_and_counted(
    media: Media, network: Network, call: MakeCall, version: int
) -> None:
    made = call(LAN[version])
    stranger = Phone(network.phones[2], STRANGER[version])
    media.put(made.relay)
    media.wait_for_flows(4)
    for number in range(20):
        for port in (20000, 20001, 20002, 20003):
            stranger.rtp.sendto(rtp(number), (made.local_a, port))
    assert made.a.hears_nothing() and made.b.hears_nothing()
    made.talks(reports=True)
    (ended,) = media.drop("call/0")
    assert (ended.from_a.dropped, ended.from_b.dropped) == (40, 40)
    assert (ended.from_a.packets, ended.from_b.packets) == (5, 5)
    stranger.close()


def test_who_sends_first_does_not_capture_a_phone_that_is_learnt(
    media: Media, network: Network, call: MakeCall
) -> None:
    made = call()
    attacker = Phone(network.phones[2], "10.77.0.13")
    # The SDP names an address behind the phone's NAT; it signals from the one it really has.
    behind = RelaySide(
        (APPLIANCE, 20000), ("192.168.1.5", 7000), learn=True, learn_from="10.77.0.11"
    )
    media.put(Relay("call/0", 1, behind, made.relay.b))
    for number in range(5):
        attacker.rtp.sendto(rtp(number), (APPLIANCE, 20000))
    assert made.b.hears_nothing()
    made.a.rtp.sendto(rtp(1), (APPLIANCE, 20000))
    assert made.b.hears(rtp(1)) == (APPLIANCE, 20002)
    made.a.rtcp.sendto(RTCP, (APPLIANCE, 20001))
    assert made.b.hears(RTCP, rtcp=True) == (APPLIANCE, 20003)
    media.wait_for_flows(4)
    media.process.send_signal(signal.SIGSTOP)
    attacker.rtp.sendto(rtp(6), (APPLIANCE, 20000))
    made.talks(reports=True)
    media.process.send_signal(signal.SIGCONT)
    (ended,) = media.drop("call/0")
    assert ended.from_a.dropped == 6
    attacker.close()


def test_a_phone_is_learnt_again_only_after_another_offer(
    media: Media, network: Network, call: MakeCall
) -> None:
    made = call()
    moved = Phone(network.phones[0], "10.77.0.11", 4100)
    behind = RelaySide((APPLIANCE, 20000), None, learn=True, learn_from="10.77.0.11")
    media.put(Relay("call/0", 1, behind, made.relay.b))
    made.a.rtp.sendto(rtp(1), (APPLIANCE, 20000))
    made.b.hears(rtp(1))
    media.wait_for_flows(2)
    moved.rtp.sendto(rtp(2), (APPLIANCE, 20000))
    assert made.b.hears_nothing()
    media.put(Relay("call/0", 2, behind, made.relay.b))
    media.wait_for_flows(0)
    moved.rtp.sendto(rtp(3), (APPLIANCE, 20000))
    made.b.hears(rtp(3))
    media.wait_for_flows(2)
    made.b.rtp.sendto(rtp(4), (APPLIANCE, 20002))
    assert moved.hears(rtp(4)) == (APPLIANCE, 20000)
    moved.close()


def test_a_changed_address_takes_effect_and_counts_go_on(
    media: Media, network: Network, call: MakeCall
) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    made.talks(reports=True)
    other = Phone(network.phones[2], "10.77.0.13")
    media.put(Relay("call/0", 2, made.relay.a, RelaySide(made.relay.b.local, other.address)))
    until(lambda: "10.77.0.13" in media.elements(), 5, "the new address", media.evidence)
    made.a.rtp.sendto(rtp(9), (APPLIANCE, 20000))
    assert other.hears(rtp(9)) == (APPLIANCE, 20002)
    made.b.rtp.sendto(rtp(9), (APPLIANCE, 20002))
    assert made.a.hears_nothing()
    (ended,) = media.drop("call/0")
    assert (ended.from_a.packets, ended.from_b.packets, ended.from_b.dropped) == (6, 5, 1)
    other.close()


def test_a_call_that_is_recorded_or_held_comes_back_to_user_space(
    media: Media, call: MakeCall
) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    held = RelaySide(made.relay.b.local, None)
    media.put(Relay("call/0", 2, made.relay.a, held))
    media.wait_for_flows(0)
    media.put(Relay("call/0", 3, made.relay.a, made.relay.b))
    media.wait_for_flows(4)
    made.talks(reports=True)


@contextmanager
def rules_for_forwarded_packets(network: Network, *rules: str) -> Iterator[None]:
    """Let the appliance have a table of somebody else's, which drops what it does not allow."""
    host = network.appliance
    lines = ["type filter hook forward priority 0; policy drop;", *rules]
    text = "\n".join(["table inet theirs {", "chain f {", *lines, "}", "}", ""])
    host.run("nft", "-f", "-", text=text)
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "inet", "theirs")


@pytest.mark.parametrize("version", [4, 6])
def test_where_others_drop_what_is_forwarded_user_space_carries(
    media: Media, network: Network, call: MakeCall, version: int
) -> None:
    made = call(LAN[version])
    with rules_for_forwarded_packets(network):
        until(lambda: "nothing takes the short cut" in media.log.read_text(), 5, "it is shut")
        media.put(made.relay)
        media.wait_for_flows(4)
        began = time.monotonic()
        for number in range(500):
            made.a.rtp.sendto(rtp(number), (made.local_a, 20000))
            made.b.rtp.sendto(rtp(number), (made.local_b, 20002))
            if not made.a.hears_nothing(0.02):
                break
        assert time.monotonic() - began < 6
        assert media.flows() == 0
        for phone in (made.a, made.b):
            while not phone.hears_nothing(0.1):
                pass
        made.talks(reports=True)
    said = [line for line in media.log.read_text().splitlines() if "does not leave" in line]
    assert len(said) == 1 and made.local_a in said[0]


def test_others_may_allow_what_the_kernel_relays(
    media: Media, network: Network, call: MakeCall
) -> None:
    made = call()
    allowed = "meta mark & 0xf0000000 == 0x40000000 accept"
    with rules_for_forwarded_packets(network, allowed):
        media.put(made.relay)
        media.wait_for_flows(4)
        for _ in range(4):
            made.talks(range(40), reports=True)
            time.sleep(1)
        assert media.flows() == 4
    assert "does not leave" not in media.log.read_text()


def test_ports_used_again_at_once_are_the_new_calls_alone(
    media: Media, network: Network, call: MakeCall
) -> None:
    first = call()
    other = Phone(network.phones[2], "10.77.0.13")
    second = relay_between(
        other, first.relay.a.local, first.b, (first.local_b, 20002), "call/again"
    )
    for number in range(10):
        media.put(first.relay)
        media.wait_for_flows(4)
        first.a.rtp.sendto(rtp(number), (APPLIANCE, 20000))
        assert first.b.hears(rtp(number)) == (APPLIANCE, 20002)
        (ended,) = media.drop("call/0")
        assert ended.from_a.packets == 1
        media.put(second)
        media.wait_for_flows(4)
        # Who has not noticed yet that the first call is over talks on.
        first.a.rtp.sendto(rtp(1000), (APPLIANCE, 20000))
        other.rtp.sendto(rtp(number), (APPLIANCE, 20000))
        assert first.b.hears(rtp(number)) == (APPLIANCE, 20002)
        (ended,) = media.drop("call/again")
        assert (ended.from_a.packets, ended.from_a.dropped) == (1, 1)
        media.events.clear()
    assert first.b.hears_nothing()
    assert media.flows() == 0
    other.close()


def test_fragments_pass_by_user_space(media: Media, call: MakeCall) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    made.a.rtp.sendto(rtp(1, 3000), (APPLIANCE, 20000))
    assert made.b.hears(rtp(1, 3000)) == (APPLIANCE, 20002)
    made.talks(reports=True)


@pytest.mark.parametrize("version", [4, 6])
def test_checksums_are_right(media: Media, network: Network, call: MakeCall, version: int) -> None:
    """A packet with its whole checksum comes with one that the hearer takes."""
    made = call(LAN[version])
    media.put(made.relay)
    media.wait_for_flows(4)
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with network.phones[0].inside():
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    raw.bind((made.a.address[0], 0))
    good = udp(made.a.address, (made.local_a, 20000), rtp(7))
    raw.sendto(good, (made.local_a, 0))
    assert made.b.hears(rtp(7)) == (made.local_b, 20002)
    if version == 4:
        raw.sendto(good[:6] + b"\0\0" + good[8:], (made.local_a, 0))
        assert made.b.hears(rtp(7)) == (made.local_b, 20002)
    raw.sendto(good[:6] + b"\x12\x34" + good[8:], (made.local_a, 0))
    assert made.b.hears_nothing()
    raw.close()


def udp(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    """Make a UDP datagram with its checksum (RFC 768)."""
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    hosts = b"".join(socket.inet_pton(family, host) for host, _ in (source, target))
    head = source[1].to_bytes(2, "big") + target[1].to_bytes(2, "big")
    head += (len(payload) + 8).to_bytes(2, "big")
    summed = hosts + (17).to_bytes(4, "big") + head[4:6] + head + payload
    summed += bytes(len(summed) % 2)
    total = sum(int.from_bytes(summed[at : at + 2], "big") for at in range(0, len(summed), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head + ((~total & 0xFFFF) or 0xFFFF).to_bytes(2, "big") + payload


@pytest.mark.parametrize("version", [4, 6])
def test_packets_are_marked_ef_and_no_phone_is_redirected(
    media: Media, network: Network, call: MakeCall, version: int, tmp_path: Path
) -> None:
    made = call(LAN[version])
    media.put(made.relay)
    media.wait_for_flows(4)
    before = redirects(network)
    capture = tmp_path / "packets.pcap"
    host = network.phones[1]
    listening = host.start(
        "tcpdump", "-i", "eth0", "-U", "-w", str(capture), "udp", log=tmp_path / "tcpdump.log"
    )
    until(capture.exists, 5, "tcpdump listens")
    # ECN's two bits are the phone's (RFC 3168) and stay.
    ecn = (
        (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
        if version == 6
        else (socket.IPPROTO_IP, socket.IP_TOS)
    )
    made.a.rtp.setsockopt(*ecn, 1)
    made.talks(range(20), reports=True)
    field = "ipv6.tclass.dscp" if version == 6 else "ip.dsfield.dscp"
    congestion = "ipv6.tclass.ecn" if version == 6 else "ip.dsfield.ecn"

    def shown(what: str) -> list[str]:
        return host.run(
            "tshark", "-r", str(capture), "-Y", "udp.srcport == 20002", "-T", "fields", "-e", what
        ).split()

    until(lambda: len(shown(field)) == 20, 5, "all packets captured")
    listening.terminate()
    listening.wait(5)
    assert set(shown(field)) == {"46"}
    assert set(shown(congestion)) == {"1"}
    assert redirects(network) == before


def redirects(network: Network) -> list[str]:
    """Give how many ICMP redirects the phones have had."""
    counts = []
    for phone in network.phones[:2]:
        names, values = (
            line.split()
            for line in phone.run("cat", "/proc/net/snmp").splitlines()
            if line.startswith("Icmp:")
        )
        counts.append(dict(zip(names, values, strict=True))["InRedirects"])
        lines = phone.run("cat", "/proc/net/snmp6").splitlines()
        counts += [line.split()[1] for line in lines if line.startswith("Icmp6InRedirects")]
    return counts


def test_two_workers_share_the_table(network: Network, tmp_path: Path) -> None:
    media = Media(network.appliance, tmp_path, media_workers="2")
    made = Call(network, LAN[4])
    others = [
        Relay(
            f"call/{n}",
            1,
            RelaySide((APPLIANCE, 20000 + 4 * n), ("10.77.0.11", 5000 + 4 * n)),
            RelaySide((APPLIANCE, 20002 + 4 * n), ("10.77.0.12", 5000 + 4 * n)),
        )
        for n in range(1, 20)
    ]
    media.put(made.relay, *others)
    media.wait_for_flows(80)
    made.talks(reports=True)
    (ended, *_) = media.drop("call/0", *(one.key for one in others))
    assert (ended.from_a.packets, ended.from_b.packets) == (5, 5)
    assert media.flows() == 0
    made.close()
    media.end()
