"""Calls through a media process whose site has two networks, and what it leaves in the kernel."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.media import RTCP, Media, Phone, relay_between, rtp
from tests.system.network import APPLIANCE, APPLIANCE_6, Host, Network
from tests.system.program_run import programs_on
from tests.system.two_networks import FAR_APPLIANCE, FAR_APPLIANCE_6, FAR_PHONE, FAR_PHONE_6, build

Place = tuple[str, str, str, str]
"""A phone, the appliance's address there, the other phone, and the appliance's address there."""
LAN: dict[int, Place] = {
    4: ("10.77.0.11", APPLIANCE, "10.77.0.12", APPLIANCE),
    6: ("fd77::11", APPLIANCE_6, "fd77::12", APPLIANCE_6),
}
ACROSS: dict[int, Place] = {
    4: ("10.77.0.11", APPLIANCE, FAR_PHONE, FAR_APPLIANCE),
    6: ("fd77::11", APPLIANCE_6, FAR_PHONE_6, FAR_APPLIANCE_6),
}


class Call:
    """Two phones and the relay between them."""

    def __init__(self, network: Network, place: Place) -> None:
        here, self.local_a, there, self.local_b = place
        far = network.phones[3] if there in (FAR_PHONE, FAR_PHONE_6) else network.phones[1]
        self.a, self.b = Phone(network.phones[0], here), Phone(far, there)
        self.relay = relay_between(self.a, (self.local_a, 20000), self.b, (self.local_b, 20002))

    def talks(self, numbers: range = range(5), reports: bool = False) -> None:
        """Let RTP go both ways, and RTCP, each packet from the port that the phone sends to."""
        a, b = (self.local_a, 20000), (self.local_b, 20002)
        for number in numbers:
            self.a.rtp.sendto(rtp(number), a)
            assert self.b.hears(rtp(number)) == b
            self.b.rtp.sendto(rtp(number), b)
            assert self.a.hears(rtp(number)) == a
        if reports:
            self.a.rtcp.sendto(RTCP, (a[0], a[1] + 1))
            assert self.b.hears(RTCP, rtcp=True) == (b[0], b[1] + 1)
            self.b.rtcp.sendto(RTCP, (b[0], b[1] + 1))
            assert self.a.hears(RTCP, rtcp=True) == (a[0], a[1] + 1)

    def close(self) -> None:
        """Close both phones."""
        self.a.close()
        self.b.close()


MakeCall = Callable[..., Call]


def on(host: Host, interface: str = "eth0") -> int:
    """Give how many programs are on an interface."""
    with host.inside():
        return programs_on(socket.if_nametoindex(interface))


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = build()
    yield made
    made.close()


@pytest.fixture
def media(network: Network, tmp_path: Path) -> Iterator[Media]:
    """A media process that leaves neither table nor program."""
    made = Media(network.appliance, tmp_path)
    yield made
    made.drop("call/0")
    made.end()
    assert "holdfast_media" not in network.appliance.run("nft", "list", "tables")
    assert on(network.appliance) == 0


@pytest.fixture
def call(network: Network) -> Iterator[MakeCall]:
    """Makes calls, which end with the test."""
    calls: list[Call] = []

    def make(place: Place = LAN[4]) -> Call:
        calls.append(Call(network, place))
        return calls[-1]

    yield make
    for one in calls:
        one.close()
