"""A phone's stream on a virtual clock, through a network that loses, repeats and reorders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from appliance.rtp.packet import RtpPacket
from appliance.rtp.quality import SessionQuality, Side


@dataclass
class Sender:
    """Makes packets with their times of sending."""

    ssrc: int = 0x1234
    sequence: int = 65_000
    timestamp: int = 4_000_000_000
    kind: int = 0
    clock: int = 8000
    ptime: float = 0.02
    payload: int = 160
    now: float = 100.0

    def talk(self, seconds: float, marker: bool = True) -> Iterator[tuple[float, bytes]]:
        for number in range(round(seconds / self.ptime)):
            yield self.now, self.packet(self.kind, marker and not number)
            self.now += self.ptime
            self.timestamp += round(self.ptime * self.clock)

    def packet(self, kind: int, marker: bool = False) -> bytes:
        made = RtpPacket(
            kind,
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
            bytes(self.payload),
            marker,
        )
        self.sequence += 1
        return made.encode()

    def be_silent(self, seconds: float, counting: bool = True) -> None:
        """Send nothing; the timestamp goes on as RFC 3550 wants, or stands still as it may not."""
        self.now += seconds
        if counting:
            self.timestamp += round(seconds * self.clock)


@dataclass
class Network:
    """What happens to packets on their way."""

    loss: float = 0.0
    jitter: float = 0.0
    """Mean seconds of an exponential delay."""
    repeats: float = 0.0
    keeps_order: bool = True
    dice: Random = field(default_factory=lambda: Random(7))

    def carry(self, packets: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
        arrived: list[tuple[float, bytes]] = []
        for then, packet in packets:
            if self.dice.random() < self.loss:
                continue
            at = then + 0.03
            if self.jitter:
                at += self.dice.expovariate(1 / self.jitter)
            if self.keeps_order and arrived:
                at = max(at, arrived[-1][0])
            arrived.append((at, packet))
            if self.dice.random() < self.repeats:
                arrived.append((at + 0.001, packet))
        return iter(sorted(arrived, key=lambda one: one[0]))


@dataclass
class Observer:
    """Hands one side's packets to a session, and counts them."""

    session: SessionQuality
    side: Side = 0
    counts: bool = True
    """Beside each packet, as the user-space relay does."""
    reads: bool = False
    """Every 5 s, as the counters of the kernel relay are read."""
    packets: int = 0
    octets: int = 0
    read_at: float = 0.0

    def watch(self, packets: Iterable[tuple[float, bytes]]) -> None:
        for at, packet in packets:
            if self.reads and at >= self.read_at:
                self.session.read(self.side, self.packets, at)
                self.read_at = at + 5.0
            self.packets += 1
            self.octets += len(packet)
            self.session.header(self.side, packet, at, self.packets if self.counts else None)
