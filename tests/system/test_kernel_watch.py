"""What user space knows of audio that only the kernel sees: silence, counters, quality."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from appliance.call.actions import Codec, Relay
from appliance.call.events import MediaEvent, RelaySilent
from appliance.ipc import Frames, Message, encode
from appliance.media import kernel_plane
from appliance.media.carried import Share
from appliance.media.commands import read_event
from appliance.media.control import Connection
from appliance.media.kernel_plane import KernelPlane
from appliance.media.kernel_table import KernelTable
from appliance.media.loop import Loop
from appliance.media.worker import Worker
from appliance.settings import Settings
from tests.system.media import Phone, relay_between, rtp
from tests.system.network import APPLIANCE, Network
from tests.system.waiting import until

LOCAL_A, LOCAL_B = (APPLIANCE, 20000), (APPLIANCE, 20002)
RULES_ALONE = pytest.mark.parametrize("trial", ["off"], indirect=True)
"""Without the short cut: it would shut, or be seen, before what is tried here."""
PCMU = (Codec(0, "PCMU", 8000),)


class Trial:
    """A worker of this process, with its sockets and its table in the appliance's namespace."""

    def __init__(
        self, network: Network, folder: Path, shortcut: Literal["auto", "off"] = "auto"
    ) -> None:
        self.network = network
        self.loop = Loop()
        with network.appliance.inside():
            self._table = KernelTable(Settings(run=folder, media_shortcut=shortcut), 1)
            self.plane = KernelPlane(self.loop, Share(), self._table.arrays)
            self.worker = Worker(self.loop, 10, kernel=self.plane)
        self._frames = Frames()
        ours, self._core = socket.socketpair()
        self._core.setblocking(False)
        Connection(self.loop, ours, self.worker.receive, self.worker.gone)
        self.events: list[MediaEvent] = []

    def put(self, relay: Relay) -> None:
        self._ask("media.put", relays=[relay])
        until(lambda: self.plane.relays.flows == 4, 5, "the kernel has it", self._elements)

    def drop(self, key: str) -> None:
        self._ask("media.drop", keys=[key])

    def turn(self) -> None:
        """Serve what is there, in the appliance's namespace, and hear what core is told."""
        with self.network.appliance.inside():
            for _ in range(20):
                self.loop.turn(0.01)
        try:
            for message in self._frames.feed(self._core.recv(1 << 20)):
                if message.event:
                    self.events.append(read_event(message))
        except BlockingIOError:
            pass

    def read_counters(self) -> None:
        self.plane.count()
        self.turn()

    def close(self) -> None:
        with self.network.appliance.inside():
            self.worker.close()
            self._table.close()
            self.loop.close()

    def _ask(self, do: str, **arguments: object) -> None:
        self._core.send(encode(Message(id=7, do=do, arguments=arguments)))
        self.turn()

    def _elements(self) -> str:
        return self.network.appliance.run("nft", "list", "table", "inet", "holdfast_media")


@pytest.fixture
def trial(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Trial]:
    network = Network(2)
    made = Trial(network, tmp_path, getattr(request, "param", "auto"))
    yield made
    made.close()
    network.close()


def short(number: int) -> bytes:
    """Make a packet of 5 ms."""
    whole = rtp(number, 40)
    return whole[:4] + (number * 40).to_bytes(4, "big") + whole[8:]


@pytest.fixture
def phones(trial: Trial) -> Iterator[tuple[Phone, Phone]]:
    hosts = trial.network.phones
    a, b = Phone(hosts[0], "10.77.0.11"), Phone(hosts[1], "10.77.0.12")
    yield a, b
    a.close()
    b.close()


def speak(a: Phone, b: Phone, numbers: range, packet: Callable[[int], bytes] = rtp) -> None:
    for number in numbers:
        a.rtp.sendto(packet(number), LOCAL_A)
        assert b.hears(packet(number)) == LOCAL_B


def test_silence_is_told_although_no_packet_is_seen(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    stream = trial.worker._relays["call/0"]
    for at in (0.0, 20.0, 40.0):
        speak(a, b, range(int(at), int(at) + 3))
        trial.read_counters()
        assert stream.silent_for(1000.0 + at, 30.0) is None
    trial.read_counters()
    assert stream.silent_for(1069.0, 30.0) is None
    assert stream.silent_for(1071.0, 30.0) == 31.0


def test_the_record_has_quality_from_copies_of_headers(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    speak(a, b, range(1024))
    trial.turn()
    trial.drop("call/0")
    (ended,) = trial.events
    assert not isinstance(ended, RelaySilent)
    quality = ended.from_a.quality  # type: ignore[union-attr]
    assert quality is not None
    assert (quality.source, quality.codec, quality.loss) == ("headers", "PCMU", 0.0)
    assert ended.from_a.packets == 1024  # type: ignore[union-attr]


def test_of_short_packets_no_header_is_missed_between_two_readings(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    """At 5 ms four bursts come in five seconds, and a slot has room for two."""
    a, b = phones
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    for second in range(12):
        speak(a, b, range(200 * second, 200 * second + 200), short)
        if second == 4:
            trial.read_counters()
        trial.loop.sweep()
        trial.turn()
    trial.drop("call/0")
    (ended,) = trial.events
    quality = ended.from_a.quality  # type: ignore[union-attr]
    assert quality is not None
    assert (quality.source, quality.loss) == ("headers", 0.0)


def test_rtcp_that_the_kernel_passes_is_read(trial: Trial, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    speak(a, b, range(300))
    # B says that it lost a quarter of what A sent (RFC 3550, 6.4.2).
    report = bytes.fromhex("81c90007") + b"B's!" + b"ssrc" + bytes([64]) + (75).to_bytes(3, "big")
    report += (299).to_bytes(4, "big") + bytes(12)
    b.rtcp.sendto(report, (APPLIANCE, 20003))
    assert a.hears(report, rtcp=True) == (APPLIANCE, 20001)
    trial.turn()
    trial.drop("call/0")
    (ended,) = trial.events
    quality = ended.from_a.quality  # type: ignore[union-attr]
    assert quality is not None
    assert quality.source == "rtcp"
    assert quality.loss == 0.25


@RULES_ALONE
def test_counters_are_read_every_few_seconds(trial: Trial, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    speak(a, b, range(9))
    assert trial.worker.stats.packets == 0
    trial.loop.now += kernel_plane.COUNT_EVERY + 1
    trial.plane._sweep()
    trial.turn()
    assert trial.worker.stats.packets == 9


def test_a_flood_is_left_to_user_space_until_the_next_offer(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    relay = relay_between(a, LOCAL_A, b, LOCAL_B)
    trial.put(relay)
    trial.read_counters()
    speak(a, b, range(3))
    trial.read_counters()
    assert trial.plane.relays.flows == 4
    for number in range(30_000):
        a.rtp.sendto(rtp(number), LOCAL_A)
    trial.read_counters()
    trial.turn()
    assert trial.plane.relays.flows == 0
    trial._ask("media.put", relays=[relay])
    assert trial.plane.relays.flows == 0
    trial.put(structs.replace(relay, revision=2))


@RULES_ALONE
def test_a_rule_that_drops_calls_is_noticed_at_the_next_second(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    host = trial.network.appliance
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    for _ in range(2):
        speak(a, b, range(30))
        trial.read_counters()
    rules = (
        "table ip theirs {\nchain f {\ntype filter hook forward priority 0; policy drop;\n}\n}\n"
    )
    host.run("nft", "-f", "-", text=rules)
    lost = [rtp(number) for number in range(30)]
    for flows in (4, 0):
        for packet in lost:
            a.rtp.sendto(packet, LOCAL_A)
        trial.loop.now += 1.1 if flows == 0 else kernel_plane.COUNT_EVERY + 1
        with host.inside():
            trial.plane._sweep()
        trial.turn()
        assert trial.plane.relays.flows == flows
    a.rtp.sendto(rtp(99), LOCAL_A)
    trial.turn()
    assert b.hears(rtp(99)) == LOCAL_B


def test_what_cannot_be_forwarded_comes_back_to_user_space_and_goes_again(
    trial: Trial, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    host = trial.network.appliance
    trial.put(relay_between(a, LOCAL_A, b, LOCAL_B))
    for value, flows in (("0", 0), ("1", 4)):
        host.run("sysctl", "-q", "-w", f"net.ipv4.ip_forward={value}")
        trial.loop.now += kernel_plane.REACH_EVERY + 1
        with host.inside():
            trial.plane._sweep()
        trial.turn()
        assert trial.plane.relays.flows == flows
        trial.plane._reached_at = 0.0
