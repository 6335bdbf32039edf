"""What a relay's packets tell of its quality on their way: all RTCP, and one RTP header in sixteen.

A packet that passes as it is has been sent on before we look at it, so looking may use the packet
buffer up: SRTCP is opened in it, for reading only. What goes through a translator comes in clear.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.call.actions import Codec, Keys, Relay, RelaySide
from appliance.call.record import MediaCounters
from appliance.errors import LocalError
from appliance.media.buffer import BUFFER, VIEW
from appliance.media.leg import Leg
from appliance.media.loop import Loop
from appliance.media.srtp import SrtpReceiver
from appliance.rtp.packet import is_rtcp, is_rtp
from appliance.rtp.quality import SessionQuality, Side
from appliance.rtp.sampled import KERNEL_PERIOD, SAMPLE_MASK, Format, Place

SIDES: tuple[Side, Side] = (0, 1)


class Watch:
    """Looks at what one leg's phone sends."""

    def __init__(self, loop: Loop, leg: Leg, side: Side, session: SessionQuality) -> None:
        self._loop = loop
        self._leg = leg
        self._side = side
        self._session = session
        self._keys: Keys | None = None
        self._reader: SrtpReceiver | None = None
        leg.sampler = self._sampled
        leg.reporters += (self._reported,)
        leg.rtcp.watch(self._report, 0)

    def begin(self) -> None:
        """Look at the packets as the leg is now; after every change of it."""
        # RTCP among RTP has no sequence number: there every packet must be looked at.
        self._leg.rtp.watch(self._packet, 0 if self._leg.muxed else SAMPLE_MASK)
        if self._leg.receives != self._keys:
            self._keys = self._leg.receives
            self._reader = _reader(self._keys)

    def copied(self, packet: bytes | memoryview, arrival: float) -> None:
        """Look at a packet that the kernel passed on and copied to us, RTP or RTCP.

        `arrival` on the monotonic clock.
        """
        if is_rtcp(packet):
            BUFFER[: len(packet)] = packet
            self._read(len(packet), arrival, None)
        elif is_rtp(packet):
            self._session.header(self._side, packet, arrival, None, KERNEL_PERIOD)

    def noted(self, header: bytes, arrival: float) -> None:
        """Look at an RTP header of the sample that the kernel has noted; `arrival` as above."""
        self._session.header(self._side, header, arrival, None, KERNEL_PERIOD)

    def _packet(self, size: int) -> None:
        """Look at a packet of the RTP port, in the buffer and already sent on."""
        packet = VIEW[:size]
        count = None if self._leg.muxed else self._leg.rtp.packets
        if is_rtp(packet):
            self._session.header(self._side, packet, self._loop.now, count)
        elif self._leg.muxed and is_rtcp(packet):
            self._report(size)

    def _report(self, size: int) -> None:
        """Look at a packet of the RTCP port, in the buffer and already sent on."""
        self._read(size, self._loop.now, None if self._leg.muxed else self._leg.rtp.packets)

    def _read(self, size: int, arrival: float, count: int | None) -> None:
        if self._keys is not None:
            size = self._reader.rtcp(size) if self._reader is not None else 0
        if size:
            self._session.rtcp(self._side, VIEW[:size], arrival, count)

    def _sampled(self, packet: memoryview, arrival: float) -> None:
        """Take an RTP packet of the sample, which the port will count when it is translated."""
        if is_rtp(packet):
            count = None if self._leg.muxed else self._leg.rtp.packets + 1
            self._session.header(self._side, packet, arrival, count)

    def _reported(self, packet: memoryview, arrival: float) -> None:
        """Take RTCP that was opened to be translated."""
        self._session.rtcp(self._side, packet, arrival, self._leg.rtp.packets)


class RelayQuality:
    """The quality of one relay's streams, from its legs; side 0 is a, 1 is b."""

    def __init__(self, loop: Loop, legs: Sequence[Leg]) -> None:
        self._session = SessionQuality()
        self.watches = [
            Watch(loop, leg, side, self._session) for side, leg in zip(SIDES, legs, strict=False)
        ]

    def agree(self, relay: Relay) -> None:
        """Take what the sides say of their codecs and keys, after each change of the relay."""
        # A phone sends what the other one takes; without another one, what it takes itself.
        self._session.agree(0, _formats(relay.b, relay.a))
        self._session.agree(1, _formats(relay.a, relay.b))
        for watch in self.watches:
            watch.begin()

    def place(self, side: Side, now: float) -> Place | None:
        """Return how far what a side sends has come; None: it sent nothing."""
        return self._session.streams[side].sampled.place_at(now)

    @property
    def packet_time(self) -> float:
        """Seconds of audio in a packet, the shorter of both sides; 0: not known yet."""
        times = (stream.sampled.packet_time for stream in self._session.streams)
        return min((seconds for seconds in times if seconds), default=0.0)

    def counted(self, side: Side, packets: int, now: float) -> None:
        """Take how many packets the kernel has passed on from a side by now."""
        self._session.read(side, packets, now)

    def told(self, side: Side, counters: MediaCounters, recent: bool = False) -> MediaCounters:
        """Return the counters of what came from a side with its quality; `recent`: as it is now."""
        quality = self._session.report(side, counters.packets, counters.octets, recent)
        return msgspec.structs.replace(counters, quality=quality)


def _reader(keys: Keys | None) -> SrtpReceiver | None:
    """Return what opens SRTCP to be read; a suite that only passes as it is stays closed."""
    try:
        return SrtpReceiver(keys) if keys is not None else None
    except LocalError:
        return None


def _formats(*sides: RelaySide | None) -> dict[int, Format]:
    codecs: list[Codec] = [codec for side in sides if side is not None for codec in side.codecs]
    found: dict[int, Format] = {}
    for codec in codecs:
        if codec.clock > 0:
            found.setdefault(codec.payload_type, Format(codec.name, codec.clock))
    return found
