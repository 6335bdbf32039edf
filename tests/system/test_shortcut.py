"""The short cut beside the kernel relay's rules: who takes it, who does not, and what is left."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.call.actions import Relay, RelaySide
from tests.system.keeper import Keeper
from tests.system.media import Media, Phone, rtp
from tests.system.network import APPLIANCE, Host, Network
from tests.system.relayed import ACROSS, LAN, MakeCall, call, media, network, on
from tests.system.two_networks import FAR_APPLIANCE
from tests.system.waiting import until

__all__ = ["call", "media", "network"]

PACKETS = range(4, 304)
BY_RULES = 2
"""Of these packets: those after a sample. One is the first, by which neighbours are known."""
PLACES = {"lan-4": LAN[4], "lan-6": LAN[6], "across-4": ACROSS[4], "across-6": ACROSS[6]}
CHECKSUMS_IN_SOFTWARE = """
import array, fcntl, socket, struct, sys
values = array.array("B", struct.pack("=II", 0x17, 0))  # ETHTOOL_STXCSUM
request = struct.pack("16sP16x", sys.argv[1].encode(), values.buffer_info()[0])
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)
"""
OTHERS_RULES = "table inet theirs {\nchain f {\ntype filter hook forward priority 0;\n}\n}\n"


def by_the_rules(media: Media) -> list[int]:
    """Give how many packets of each stream the rules have seen."""
    return sorted(int(count) for count in re.findall(r"counter packets (\d+)", media.elements()))


def says(media: Media, text: str) -> None:
    until(lambda: text in media.log.read_text(), 5, text, media.evidence)


@contextmanager
def set_up(host: Host, begin: str, end: str) -> Iterator[None]:
    """Have something on the host for a while."""
    host.run(*begin.split())
    try:
        yield
    finally:
        host.run(*end.split())


@pytest.mark.parametrize("place", PLACES)
def test_audio_takes_it_and_its_sample_is_noted(media: Media, call: MakeCall, place: str) -> None:
    made = call(PLACES[place])
    media.put(made.relay)
    media.wait_for_flows(4)
    media.process.send_signal(signal.SIGSTOP)
    try:
        made.talks(PACKETS)
        assert by_the_rules(media) == [0, 0, BY_RULES, BY_RULES]
    finally:
        media.process.send_signal(signal.SIGCONT)
    (ended,) = media.drop("call/0")
    for side in (ended.from_a, ended.from_b):
        assert (side.packets, side.octets, side.dropped) == (300, 300 * 172, 0)
        assert side.quality is not None and side.quality.codec == "PCMU"


@pytest.mark.parametrize("place", ["across-4", "across-6"])
def test_checksums_that_the_card_was_to_add_up_are_right(
    network: Network, media: Media, call: MakeCall, place: str
) -> None:
    """Phones here leave their checksums to the interface; now the one they leave by adds up."""
    made = call(PLACES[place])
    for interface in ("eth0", "eth1"):
        network.appliance.run(sys.executable, "-c", CHECKSUMS_IN_SOFTWARE, interface)
    media.put(made.relay)
    media.wait_for_flows(4)
    made.talks(PACKETS)


def test_counters_are_shown_while_the_call_is_up(media: Media, call: MakeCall) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    made.talks(PACKETS)
    assert media.stats.packets == 600 - 2 * BY_RULES
    until(lambda: media.stats.packets == 600, 8, "those of the rules as well", media.evidence)


def test_another_offer_takes_effect_at_once_and_counts_go_on(
    network: Network, media: Media, call: MakeCall
) -> None:
    made = call()
    other = Phone(network.phones[2], "10.77.0.13")
    media.put(made.relay)
    media.wait_for_flows(4)
    made.talks(range(5, 105))
    media.put(Relay("call/0", 2, made.relay.a, RelaySide(made.relay.b.local, other.address)))
    until(lambda: "10.77.0.13" in media.elements(), 5, "the new address", media.evidence)
    made.a.rtp.sendto(rtp(9), (APPLIANCE, 20000))
    assert other.hears(rtp(9)) == (APPLIANCE, 20002)
    made.b.rtp.sendto(rtp(9), (APPLIANCE, 20002))
    assert made.a.hears_nothing() and made.b.hears_nothing()
    held = RelaySide(made.relay.b.local, None)
    media.put(Relay("call/0", 3, made.relay.a, held))
    media.wait_for_flows(0)
    made.a.rtp.sendto(rtp(10), (APPLIANCE, 20000))
    assert other.hears_nothing()
    (ended,) = media.drop("call/0")
    assert (ended.from_a.packets, ended.from_b.packets, ended.from_b.dropped) == (102, 100, 1)
    other.close()


def test_strangers_are_dropped_and_counted(network: Network, media: Media, call: MakeCall) -> None:
    made = call()
    stranger = Phone(network.phones[2], "10.77.0.13")
    media.put(made.relay)
    media.wait_for_flows(4)
    for number in range(5, 25):
        stranger.rtp.sendto(rtp(number), (APPLIANCE, 20000))
    assert made.b.hears_nothing()
    made.talks(range(5, 10))
    (ended,) = media.drop("call/0")
    assert (ended.from_a.packets, ended.from_a.dropped) == (5, 20)
    stranger.close()


def test_while_others_have_rules_for_forwarded_packets_all_goes_by_ours(
    network: Network, media: Media, call: MakeCall
) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    network.appliance.run("nft", "-f", "-", text=OTHERS_RULES)
    says(media, "nothing takes the short cut: table inet theirs has rules for forwarded packets")
    assert on(network.appliance) == on(network.appliance, "eth1") == 0
    made.talks(range(5, 55))
    assert by_the_rules(media) == [0, 0, 50, 50]
    network.appliance.run("nft", "delete", "table", "inet", "theirs")
    says(media, "calls take the short cut again")
    made.talks(range(55, 105))
    assert by_the_rules(media) == [0, 0, 50, 50]


def test_ipsec_shuts_it(network: Network, media: Media) -> None:
    host, ends = network.appliance, "src 10.50.0.0/24 dst 10.51.0.0/24 dir fwd"
    with set_up(host, f"ip xfrm policy add {ends} action block", "ip xfrm policy flush"):
        says(media, "nothing takes the short cut: there are IPsec policies")
        assert on(host) == 0
    says(media, "calls take the short cut again")
    assert on(host) == 1


def test_where_the_kernel_checks_ways_back_packets_come_by_the_rules(
    network: Network, media: Media
) -> None:
    host, strict = network.appliance, "sysctl -qw net.ipv4.conf.eth1.rp_filter="
    with set_up(host, f"{strict}1", f"{strict}0"):
        until(lambda: on(host, "eth1") == 0, 5, "eth1 is left alone", media.evidence)
        assert on(host, "eth0") == 1
    until(lambda: on(host, "eth1") == 1, 5, "eth1 is used again", media.evidence)


def test_what_is_too_large_for_the_next_network_goes_by_the_rules(
    network: Network, media: Media, call: MakeCall
) -> None:
    made = call(ACROSS[4])
    media.put(made.relay)
    media.wait_for_flows(4)
    with set_up(network.appliance, "ip link set eth1 mtu 600", "ip link set eth1 mtu 1500"):
        made.a.rtp.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: may be cut up.
        made.a.rtp.sendto(rtp(5, 1000), (APPLIANCE, 20000))
        assert made.b.hears(rtp(5, 1000)) == (FAR_APPLIANCE, 20002)
    assert by_the_rules(media) == [0, 0, 0, 1]


def test_interfaces_that_come_and_go_are_followed(
    network: Network, media: Media, call: MakeCall
) -> None:
    host, made = network.appliance, call()
    media.put(made.relay)
    media.wait_for_flows(4)
    with set_up(host, "ip link add new0 type veth peer name new1", "ip link del new0"):
        until(lambda: on(host, "new0") == on(host, "new1") == 1, 5, "new ones", media.evidence)
        made.talks(range(5, 55))
        host.run(*["ip", "link", "add", "bridge0", "type", "bridge"])
        host.run(*["ip", "link", "set", "new0", "master", "bridge0"])
        until(lambda: on(host, "new0") == 0, 5, "a bridge's is left alone", media.evidence)
        host.run(*["ip", "link", "del", "bridge0"])
    time.sleep(1.2)
    made.talks(range(55, 105))
    assert on(host) == 1
    assert by_the_rules(media) == [0, 0, 0, 0]


def test_streams_that_were_removed_meanwhile_are_forgotten(
    network: Network, tmp_path: Path, call: MakeCall
) -> None:
    keeper, made = Keeper(tmp_path), call()
    media = Media(network.appliance, tmp_path, keeper)
    media.put(made.relay)
    media.wait_for_flows(4)
    media.end(signal.SIGKILL)
    made.talks(range(5, 10))
    network.appliance.run("nft", "delete", "table", "inet", "holdfast_media")
    media.start()
    assert "2 streams on the short cut were nobody's" in media.log.read_text()
    made.a.rtp.sendto(rtp(10), (APPLIANCE, 20000))
    assert made.b.hears_nothing()
    media.end()
    assert keeper.names == []
    assert on(network.appliance) == 0
    keeper.close()


def test_with_nobody_to_hold_it_calls_go_on_by_the_rules(
    network: Network, tmp_path: Path, call: MakeCall
) -> None:
    made = call()
    media = Media(network.appliance, tmp_path)
    media.put(made.relay)
    media.wait_for_flows(4)
    made.talks(range(5, 10))
    media.end(signal.SIGKILL)
    assert on(network.appliance) == 0
    made.talks(range(10, 15))
    media.start()
    media.resync(made.relay)
    made.talks(range(15, 20))
    (ended,) = media.drop("call/0")
    assert ended.from_a.packets == 10
    media.end()


def permitted(*capabilities: str) -> list[str]:
    only = ",".join(["-all", *(f"+{one}" for one in capabilities)])
    return ["setpriv", f"--bounding-set={only}", f"--inh-caps={only}"]


def test_two_capabilities_are_enough_and_with_one_the_rules_do_all(
    network: Network, tmp_path: Path, call: MakeCall
) -> None:
    made = call()
    media = Media(network.appliance, tmp_path)
    for permissions, programs in ((("net_admin", "bpf"), 1), (("net_admin",), 0)):
        media.end()
        media.log.write_text("")
        media.start(*permitted(*permissions))
        assert on(network.appliance) == programs
        media.put(made.relay)
        media.wait_for_flows(4)
        made.talks(range(5, 10))
        assert by_the_rules(media) == ([0, 0, 0, 0] if programs else [0, 0, 5, 5])
        (ended,) = media.drop("call/0")
        media.events.clear()
        assert ended.from_a.packets == 5
        said = [line for line in media.log.read_text().splitlines() if "short cut" in line]
        refused = "media: no short cut beside nftables (Operation not permitted)"
        assert said == ([] if programs else [refused])
    media.end()


def test_it_can_be_switched_off_in_the_middle_of_a_call(
    network: Network, tmp_path: Path, call: MakeCall
) -> None:
    keeper, made = Keeper(tmp_path), call()
    media = Media(network.appliance, tmp_path, keeper)
    media.put(made.relay)
    media.wait_for_flows(4)
    media.end(signal.SIGKILL)
    assert on(network.appliance) == 1
    assert keeper.names == ["slots2", "slots2", "ways", "ways"]
    made.talks(range(5, 10))
    media = Media(network.appliance, tmp_path, keeper, media_shortcut="off")
    until(lambda: on(network.appliance) == 0, 5, "no program", media.evidence)
    until(lambda: keeper.names == [], 5, "nothing is held", media.evidence)
    media.resync(made.relay)
    made.talks(range(10, 15))
    assert by_the_rules(media) == [0, 0, 5, 5]
    assert "short cut" not in media.log.read_text()
    media.drop("call/0")
    media.end()
    keeper.close()


def test_another_mark_is_on_the_wire_within_a_second(media: Media, call: MakeCall) -> None:
    made = call()
    media.put(made.relay)
    media.wait_for_flows(4)
    made.b.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)

    def mark(number: int) -> int:
        made.a.rtp.sendto(rtp(number), (APPLIANCE, 20000))
        _, told, _, _ = made.b.rtp.recvmsg(2048, 64)
        return int(told[0][2][0]) >> 2

    assert mark(5) == 46
    media.ask("media.marks", media=34)
    until(lambda: mark(6) == 34, 2, "the new mark", media.evidence)
    assert by_the_rules(media) == [0, 0, 0, 0]
