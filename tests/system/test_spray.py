"""A stranger who sends RTP to every port: none of it gets anywhere, and nothing comes back.

Once to each port, or with HOLDFAST_SPRAY_SECONDS=600 as often as that takes ten minutes.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.call.actions import Relay, RelaySide
from tests.system.media import Media, Phone, relay_between, rtp
from tests.system.network import APPLIANCE, APPLIANCE_6, Host, Network
from tests.system.site import ROOT

PORTS = range(20000, 64001)
RATE = 20_000
"""Packets a second, in bursts of 100."""
SECONDS = float(os.environ.get("HOLDFAST_SPRAY_SECONDS", "0"))
EVIL = rtp(666, 40)
WAYS = {4: (APPLIANCE, "10.77.0.14"), 6: (APPLIANCE_6, "fd77::14")}
"""The appliance's address and the stranger's."""
NEIGHBOURS = (b"\x87", b"\x88")
"""Types of ICMPv6 by which hosts on one network find each other."""


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network(4)
    rules = (ROOT / "systemd" / "firewall.nft").read_text()
    made.appliance.run("nft", "-f", "-", text=rules)
    yield made
    made.close()


@pytest.fixture
def media(network: Network, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Media]:
    made = Media(network.appliance, tmp_path, media_kernel=request.param)
    yield made
    made.resync()
    made.end()


class Stranger:
    """Sends from one port, and sees all that comes to its host in answer."""

    def __init__(self, host: Host, version: int) -> None:
        self.version = version
        self._target, own = WAYS[version]
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        with host.inside():
            self.rtp = socket.socket(family, socket.SOCK_DGRAM)
            self.errors = socket.socket(family, socket.SOCK_RAW, protocol)
        self.rtp.bind((own, 4000))
        for one in (self.rtp, self.errors):
            one.setblocking(False)

    def spray(self) -> None:
        """Send a packet to each port."""
        began = time.monotonic()
        for number, port in enumerate(PORTS):
            with suppress(ConnectionRefusedError):
                self.rtp.sendto(EVIL, (self._target, port))
            ahead = number / RATE - (time.monotonic() - began)
            if number % 100 == 0 and ahead > 0:
                time.sleep(ahead)

    def heard(self) -> list[bytes]:
        """Give what has come."""
        came = []
        for one in (self.rtp, self.errors):
            with suppress(BlockingIOError):
                while True:
                    came.append(one.recv(2048))
        return [packet for packet in came if packet[:1] not in NEIGHBOURS]

    def close(self) -> None:
        self.rtp.close()
        self.errors.close()


@pytest.fixture
def stranger(network: Network, request: pytest.FixtureRequest) -> Iterator[Stranger]:
    made = Stranger(network.phones[3], request.param)
    yield made
    made.close()


@pytest.fixture
def phones(network: Network) -> Iterator[list[Phone]]:
    made = [Phone(host, host.address) for host in network.phones[:3]]
    yield made
    for phone in made:
        phone.close()


@pytest.mark.parametrize(("media", "stranger"), [("auto", 4), ("off", 6)], indirect=True)
def test_no_port_lets_a_stranger_in_or_answers_it(
    media: Media, phones: list[Phone], stranger: Stranger
) -> None:
    ana, bob, eve = phones
    behind = RelaySide((APPLIANCE, 20004), None, learn=True, learn_from=eve.address[0])
    other = RelaySide((APPLIANCE, 20006), ("10.77.0.12", 4100))
    media.put(relay_between(ana, (APPLIANCE, 20000), bob, (APPLIANCE, 20002)))
    media.put(Relay("waiting/0", 1, behind, other))
    sprays, end = 0, time.monotonic() + SECONDS
    while not sprays or time.monotonic() < end:
        stranger.spray()
        sprays += 1
        for number in range(5):
            ana.rtp.sendto(rtp(number), (APPLIANCE, 20000))
            assert bob.hears(rtp(number)) == (APPLIANCE, 20002)
            bob.rtp.sendto(rtp(number), (APPLIANCE, 20002))
            assert ana.hears(rtp(number)) == (APPLIANCE, 20000)
        assert all(phone.hears_nothing() for phone in phones)
        assert stranger.heard() == [], "nothing comes back, not even an error"
    print(f"{sprays * len(PORTS):,} packets to {len(PORTS):,} ports")
    talking, waiting = media.drop("call/0", "waiting/0")
    if stranger.version == 4:
        assert [talking.from_a.dropped, talking.from_b.dropped] == [2 * sprays, 2 * sprays]
        assert [waiting.from_a.dropped, waiting.from_b.dropped] == [2 * sprays, 2 * sprays]
    assert [waiting.from_a.packets, waiting.from_b.packets] == [0, 0]
