"""The short cut's program run by the kernel over single packets: what it sends on, and what not."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from appliance.media import bpf
from appliance.media.flow import Flow
from appliance.media.shortcut import Shortcut
from appliance.media.shortcut_program import NEXT, shortcut
from appliance.media.slot import ENTRIES, LAYOUTS
from tests.system.media import RTCP, rtp
from tests.system.network import APPLIANCE, APPLIANCE_6, Host, Network
from tests.system.program_run import run

SENT_ON = 7
"""TC_ACT_REDIRECT."""
MAC, NEIGHBOUR = "02:00:00:00:00:01", "02:00:00:00:00:12"
PHONES = {4: ("10.77.0.11", "10.77.0.12"), 6: ("fd77::11", "fd77::12")}
OURS = {4: APPLIANCE, 6: APPLIANCE_6}
HEADER = {4: IP, 6: IPv6}
MARK = 0x40000004


def flow_of(version: int, target: str = "", port: int = 20000) -> Flow:
    source, other = PHONES[version]
    via = (OURS[version], port + 2)
    return Flow((source, 4000), (OURS[version], port), (target or other, 5000), via)


@dataclass
class Trial:
    """The program with its arrays, and the interface it is on."""

    host: Host
    slots: Shortcut
    program: int
    interface: int

    def run(self, packet: Packet | bytes, segment: int = 0) -> tuple[int, bytes]:
        with self.host.inside():
            return run(self.program, bytes(packet), self.interface, segment)

    def leaves(self, packet: Packet | bytes, segment: int = 0) -> bool:
        """Tell whether the packet goes to the rules as it came."""
        return self.run(packet, segment) == (NEXT, bytes(packet))


def load(arrays: dict[int, int], exits: list[int], dscp: int = 46) -> int:
    return bpf.load_program("trial", shortcut(arrays, exits, dscp))


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    network = Network(1)
    host = network.appliance
    host.run("ip", "link", "set", "eth0", "address", MAC)
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    for _, other in PHONES.values():
        host.run("ip", "neigh", "replace", other, "lladdr", NEIGHBOUR, "dev", "eth0")
    arrays = {v: bpf.create_array(f"t{v}", LAYOUTS[v].size, ENTRIES) for v in LAYOUTS}
    with host.inside():
        interface = socket.if_nametoindex("eth0")
    made = Trial(host, Shortcut(arrays), load(arrays, [9999, interface]), interface)
    for version in arrays:
        made.slots.put(flow_of(version), MARK)
    yield made
    made.slots.close()
    for descriptor in (made.program, *arrays.values()):
        os.close(descriptor)
    network.close()


def packet(
    version: int, payload: bytes = rtp(7), ip: dict[str, Any] | None = None, **udp: Any
) -> Packet:
    """Make what phone A sends, with something different."""
    given = {"src": PHONES[version][0], "dst": OURS[version], **(ip or {})}
    ends = {"sport": 4000, "dport": 20000, **udp}
    made = Ether(src="02:00:00:00:00:11", dst=MAC) / HEADER[version](**given)
    return made / UDP(**ends) / Raw(payload)


def sent_on(version: int, payload: bytes = rtp(7), left: int = 63, ecn: int = 0) -> bytes:
    """Give what phone B has to get."""
    facts = {**hops(version, left), **traffic_class(version, 46 << 2 | ecn)}
    made = HEADER[version](src=OURS[version], dst=PHONES[version][1], **facts)
    whole = Ether(src=MAC, dst=NEIGHBOUR) / made / UDP(sport=20002, dport=5000) / Raw(payload)
    return bytes(whole)


def hops(version: int, count: int) -> dict[str, int]:
    return {"ttl": count} if version == 4 else {"hlim": count}


def traffic_class(version: int, value: int) -> dict[str, int]:
    return {"tos": value} if version == 4 else {"tc": value}


versions = pytest.mark.parametrize("version", [4, 6])


@versions
def test_rtp_leaves_as_it_would_by_the_rules(trial: Trial, version: int) -> None:
    """Addresses, ports, class, hops and both checksums are those of a packet made anew."""
    before = trial.slots.counters(flow_of(version))
    for sequence in (7, 255, 256, 261, 65535):
        payload = rtp(sequence)
        made = packet(version, payload, hops(version, 64))
        assert trial.run(made) == (SENT_ON, sent_on(version, payload))
    after = trial.slots.counters(flow_of(version))
    assert (after[0] - before[0], after[1] - before[1]) == (5, 5 * 172)


@versions
def test_headers_of_the_sample_are_noted_with_the_moment_they_came(
    trial: Trial, version: int
) -> None:
    flow = flow_of(version, port=20030)
    tally = trial.slots.put(flow, MARK)
    assert tally is not None
    begun = time.monotonic()
    sequences = (255, 256, 257, 258, 259, 261, 512, 515, 65535)
    for sequence in sequences:
        trial.run(packet(version, rtp(sequence), dport=20030))
    now = time.monotonic()
    told = tally.samples(now)
    noted = [sequence for sequence in sequences if sequence % 256 < 4]
    assert [sample.header for sample in told] == [rtp(sequence)[:12] for sequence in noted]
    arrivals = [sample.arrival for sample in told]
    assert arrivals == sorted(arrivals)
    # To a unit of a stamp.
    assert begun - 3e-6 <= arrivals[0] and arrivals[-1] <= now
    assert tally.samples(now) == []
    trial.slots.take(flow)


@versions
def test_a_sample_replaces_the_one_before_the_last(trial: Trial, version: int) -> None:
    flow = flow_of(version, port=20032)
    tally = trial.slots.put(flow, MARK)
    assert tally is not None
    for sequence in (0, 256, 512, 768 + 3):
        trial.run(packet(version, rtp(sequence), dport=20032))
    told = tally.samples(time.monotonic())
    assert [sample.header for sample in told] == [rtp(n)[:12] for n in (256, 512, 771)]
    trial.slots.take(flow)


@versions
@pytest.mark.parametrize("size", [0, 1, 7, 33, 1200])
def test_any_length_is_summed_up_right(trial: Trial, version: int, size: int) -> None:
    payload = rtp(5, size)
    assert trial.run(packet(version, payload, hops(version, 2))) == (
        SENT_ON,
        sent_on(version, payload, left=1),
    )


@versions
def test_the_phones_mark_is_replaced_and_congestion_kept(trial: Trial, version: int) -> None:
    for value in (0, 46 << 2, 63 << 2, 10 << 2):
        for ecn in range(4):
            ip = {**traffic_class(version, value | ecn), **hops(version, 64)}
            assert trial.run(packet(version, ip=ip)) == (SENT_ON, sent_on(version, ecn=ecn))


def test_a_packet_without_a_checksum_stays_without(trial: Trial) -> None:
    _, after = trial.run(packet(4, chksum=0))
    assert Ether(after)[UDP].chksum == 0


@versions
def test_a_wrong_checksum_stays_wrong(trial: Trial, version: int) -> None:
    right = Ether(sent_on(version))[UDP].chksum
    _, after = trial.run(packet(version, chksum=0x1234, ip=hops(version, 64)))
    assert Ether(after)[UDP].chksum not in (0, right)


OTHERS: dict[str, Callable[[int], Packet | bytes]] = {
    "another source": lambda v: packet(v, ip={"src": PHONES[v][1]}),
    "another port of the phone's": lambda v: packet(v, sport=4002),
    "another address of ours": lambda v: packet(v, ip={"dst": PHONES[v][1]}),
    "another port of ours": lambda v: packet(v, dport=20004),
    "RTCP's port": lambda v: packet(v, dport=20001),
    "RTCP on RTP's port": lambda v: packet(v, RTCP + bytes(20)),
    "the one after a sample": lambda v: packet(v, rtp(256 + 4)),
    "the one after the first sample": lambda v: packet(v, rtp(4)),
    "no RTP": lambda v: packet(v, bytes(40)),
    "hardly RTP": lambda v: packet(v, rtp(7)[:11]),
    "nothing": lambda v: packet(v, b""),
    "its last hop": lambda v: packet(v, ip=hops(v, 1)),
    "no hop": lambda v: packet(v, ip=hops(v, 0)),
    "padded by the network": lambda v: bytes(packet(v)) + b"\0",
    "shorter than its header says": lambda v: bytes(packet(v))[:-1],
    "a length of UDP that differs": lambda v: packet(v, len=100),
    "for another machine": lambda v: Ether(dst="02:00:00:00:00:99") / packet(v).payload,
    "for everybody": lambda v: Ether(dst="ff:ff:ff:ff:ff:ff") / packet(v).payload,
    "larger than an interface takes": lambda v: packet(v, rtp(7, 1480)),
    "cut off": lambda v: bytes(packet(v))[:61],
    "of no known kind": lambda v: bytes(packet(v))[:12] + b"\x88\xcc" + bytes(60),
    "tagged": lambda v: Ether(dst=MAC) / Dot1Q(vlan=7) / packet(v).payload,
}
OTHERS_4: dict[str, Callable[[], Packet | bytes]] = {
    "with options": lambda: packet(4, ip={"options": [b"\x01" * 4]}),
    "the first fragment": lambda: packet(4, ip={"flags": "MF"}),
    "a later fragment": lambda: packet(4, ip={"frag": 3}),
    "TCP": lambda: packet(4, ip={"proto": 6}),
    "another version inside": lambda: bytes(packet(4))[:14] + b"\x65" + bytes(packet(4))[15:],
}
OTHERS_6: dict[str, Callable[[], Packet | bytes]] = {
    "TCP": lambda: packet(6, ip={"nh": 6}),
    "an extension header": lambda: (
        Ether(dst=MAC)
        / IPv6(src=PHONES[6][0], dst=OURS[6])
        / IPv6ExtHdrDestOpt()
        / UDP(sport=4000, dport=20000)
        / Raw(rtp(7))
    ),
    "a length of IP that differs": lambda: packet(6, ip={"plen": 60}),
}


@versions
@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_is_left_as_it_is(trial: Trial, version: int, what: str) -> None:
    before = trial.slots.counters(flow_of(version))
    assert trial.leaves(OTHERS[what](version))
    assert trial.slots.counters(flow_of(version)) == before


@pytest.mark.parametrize("what", OTHERS_4)
def test_ipv4_that_needs_more_is_left_as_it_is(trial: Trial, what: str) -> None:
    assert trial.leaves(OTHERS_4[what]())


@pytest.mark.parametrize("what", OTHERS_6)
def test_ipv6_that_needs_more_is_left_as_it_is(trial: Trial, what: str) -> None:
    assert trial.leaves(OTHERS_6[what]())


@versions
def test_several_gathered_into_one_are_left_as_they_are(trial: Trial, version: int) -> None:
    assert trial.leaves(packet(version), segment=100)


@versions
def test_where_no_route_or_neighbour_is_known_the_rules_decide(trial: Trial, version: int) -> None:
    nobody = {4: ("10.77.0.99", "10.99.0.1", OURS[4]), 6: ("fd77::99", "fd99::1", OURS[6])}
    for target in nobody[version]:
        trial.slots.put(flow_of(version, target, 20010), MARK)
        assert trial.leaves(packet(version, dport=20010))
        trial.slots.take(flow_of(version, target, 20010))


@versions
def test_a_stream_that_is_taken_back_goes_by_the_rules_at_once(trial: Trial, version: int) -> None:
    flow = flow_of(version, port=20020)
    trial.slots.put(flow, MARK)
    made = packet(version, dport=20020)
    assert trial.run(made)[0] == SENT_ON
    assert trial.slots.take(flow) == (1, 172)
    assert trial.leaves(made)


@versions
def test_no_packet_leaves_by_an_interface_that_is_not_named(trial: Trial, version: int) -> None:
    arrays = {v: bpf.create_array(f"t{v}", LAYOUTS[v].size, ENTRIES) for v in LAYOUTS}
    slots = Shortcut(arrays)
    slots.put(flow_of(version), MARK)
    for exits, result in (([trial.interface], SENT_ON), ([trial.interface + 1], NEXT)):
        program = load(arrays, exits)
        with trial.host.inside():
            assert run(program, bytes(packet(version)), trial.interface)[0] == result
        os.close(program)
    slots.close()
    for descriptor in arrays.values():
        os.close(descriptor)


def test_no_part_of_a_packet_is_sent_on_or_dropped(trial: Trial) -> None:
    for version in (4, 6):
        whole = bytes(packet(version))
        for size in range(54, len(whole)):
            assert trial.run(whole[:size])[0] == NEXT
