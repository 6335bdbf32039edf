"""How each direction of an RTP session is heard: what RTCP and headers tell, put into one report.

A relay hands in all RTCP and the sampled RTP headers of both sides; nothing here does I/O, keeps
packets, or grows. Loss and jitter come from the best source there is: the far end's own reports
where they speak for at least half of the stream, then our sample of its headers, which knows the
way from its sender to us, then the sender's count of packets beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from appliance.errors import RemoteError
from appliance.rtp.e_model import speech_quality
from appliance.rtp.impairment import Impairment, impairment_of
from appliance.rtp.reception import Reception
from appliance.rtp.rtcp import Compound, SenderReport, parse
from appliance.rtp.sampled import PERIOD, Format, SampledStream

A: Final = 0
B: Final = 1
Side = Literal[0, 1]

FEWEST_PACKETS = 25
"""Half a second of audio; of less nothing can be said."""
_HEADER = 12
"""Octets of an RTP header, which are not the codec's."""
_USUAL_PACKET = 0.02
"""Seconds in a packet where no headers were seen."""
_LONGEST_BUFFER = 0.2
"""Seconds a phone holds packets back at most to even out jitter."""


class MediaQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How one leg's stream was heard at its far end, by the best source there was (H4)."""

    source: str
    """`rtcp` (the far end's own reports), `headers` (our look at RTP headers) or `counters`."""
    codec: str = ""
    """Encoding name of what was sent most; empty: unknown."""
    loss: float | None = None
    """Packets lost of those expected, average over the call, 0 to 1; None: nobody measured it."""
    loss_max: float | None = None
    """The worst interval's."""
    jitter: float | None = None
    """Seconds, average of the interarrival jitter (RFC 3550, 6.4.1); None: nobody measured it."""
    jitter_max: float | None = None
    delay: float | None = None
    """Seconds of round trip between us and the phone; None: nobody measured it."""
    bitrate: float = 0.0
    """Bits per second of RTP packets."""
    mos: float | None = None
    """Conversational quality by the E-model, 1 to 4.5; None: unknown codec or loss."""


class StreamQuality:
    """One direction: the stream as sampled by us, and as reported on by who hears it."""

    __slots__ = ("_counted", "_lost", "_sent", "reception", "sampled")

    def __init__(self) -> None:
        self.sampled = SampledStream()
        self.reception = Reception()
        self._counted: tuple[SenderReport, int] | None = None
        self._sent = self._lost = 0

    def sent(self, report: SenderReport, now: float, count: int | None) -> None:
        """Take its sender's report; `count` is how many of its packets have come to us so far."""
        self.reception.sent(report, now)
        before = self._counted
        self._counted = None if count is None else (report, count)
        if before is None or count is None or before[0].ssrc != report.ssrc:
            return
        sent = report.packets - before[0].packets & 0xFFFFFFFF
        if 0 < sent < 1 << 20:
            self._sent += sent
            self._lost += sent - (count - before[1])

    @property
    def counted_loss(self) -> float | None:
        """Packets lost between sender and us by their two counts; None: not counted."""
        return min(max(self._lost / self._sent, 0.0), 1.0) if self._sent else None

    @property
    def format(self) -> Format | None:
        """What is sent: as seen, else the first that was agreed on."""
        return self.sampled.format or next(iter(self.sampled.formats.values()), None)


class SessionQuality:
    """Both directions of one session; index 0 is what side A sends, 1 what side B sends."""

    __slots__ = ("malformed", "streams")

    def __init__(self) -> None:
        self.streams = (StreamQuality(), StreamQuality())
        self.malformed = 0
        """Datagrams that were no RTCP."""

    def agree(self, side: Side, formats: Mapping[int, Format]) -> None:
        """Name what the payload types in the packets of `side` stand for, preferred first."""
        self.streams[side].sampled.formats = formats

    def header(
        self,
        side: Side,
        packet: bytes | memoryview,
        arrival: float,
        count: int | None = None,
        period: int = PERIOD,
    ) -> None:
        """Take an RTP packet from `side`, at least its 12 octets of header.

        Those outside the sample (`sampled.is_sampled`) are passed over. `count`: how many have come
        from this side so far, this one included; None where the kernel counts. `period`: of how
        many packets four are looked at.
        """
        self.streams[side].sampled.observe(packet, arrival, count, period)

    def read(self, side: Side, count: int, now: float) -> None:
        """Take how many packets the kernel has counted from `side` by `now`; any begin will do."""
        self.streams[side].sampled.read(count, now)

    def rtcp(
        self, side: Side, packet: bytes | memoryview, arrival: float, count: int | None = None
    ) -> None:
        """Take a datagram of RTCP from `side`, in clear; never raises. `count` as for `header`."""
        try:
            told = parse(packet)
        except RemoteError:
            self.malformed += 1
            return
        if told.sender is not None and self._is_of(side, told.sender.ssrc):
            self.streams[side].sent(told.sender, arrival, count)
        self._hear(self.streams[1 - side], told, arrival)

    def report(
        self, side: Side, packets: int, octets: int, recent: bool = False
    ) -> MediaQuality | None:
        """Return how what `side` sends is heard, None when there is too little of it.

        `packets` and `octets` are all that has come from it; `recent` asks for how it is now and
        not on average.
        """
        stream, back = self.streams[side], self.streams[1 - side]
        if packets < FEWEST_PACKETS:
            return None
        found = stream.format
        source, loss, jitter = _measured(stream, packets, recent)
        seen = stream.reception if source == "rtcp" else stream.sampled
        bitrate = octets / packets * 8 / (stream.sampled.packet_time or _USUAL_PACKET)
        quality = MediaQuality(
            source=source,
            codec=found.codec if found else "",
            loss=loss,
            loss_max=None if source == "counters" else _at_least(seen.loss_max, loss),
            jitter=jitter,
            jitter_max=None if jitter is None else max(seen.jitter_max, jitter),
            delay=back.reception.way,
            bitrate=bitrate,
        )
        payload = max(0.0, bitrate * (1 - _HEADER * packets / octets))
        return msgspec.structs.replace(quality, mos=self._mos(stream, back, quality, payload))

    def _is_of(self, side: Side, ssrc: int) -> bool:
        """Tell whether a report speaks of the stream that we see; before we see one, it may."""
        return self.streams[side].sampled.ssrc in (None, ssrc)

    def _hear(self, stream: StreamQuality, told: Compound, now: float) -> None:
        """Take what the hearer of a stream says of it."""
        ssrc = stream.sampled.ssrc
        found = stream.format
        for report in told.reports:
            if ssrc in (None, report.ssrc):
                first = stream.sampled.first_sequence(report.ssrc)
                stream.reception.heard(report, now, found.clock if found else None, first)
        for metrics in told.metrics:
            if ssrc in (None, metrics.ssrc):
                stream.reception.scored(metrics)

    def _mos(
        self, stream: StreamQuality, back: StreamQuality, quality: MediaQuality, payload: float
    ) -> float | None:
        reception = stream.reception
        values = impairment_of(quality.codec, payload, reception.conceals)
        if values is None or quality.loss is None:
            return None
        loss = 1 - (1 - quality.loss) * (1 - reception.discard)
        delay = ((reception.way or 0.0) + (back.reception.way or 0.0)) / 2
        delay += _within_phones(stream, quality, values)
        # Rounded, so that the model need not be reckoned again for what nobody could hear.
        return round(
            speech_quality(values.scale, values.ie, values.bpl, round(loss, 4), round(delay, 3)), 2
        )


def _measured(
    stream: StreamQuality, packets: int, recent: bool
) -> tuple[str, float | None, float | None]:
    """Return the best source with its loss and jitter."""
    sampled, reception = stream.sampled, stream.reception
    # What we saw of it and not all its packets: after a restart of ours neither reaches back.
    if reception.expected * 2 >= (sampled.expected or packets):
        if recent:
            return "rtcp", reception.recent_loss, reception.jitter
        return "rtcp", reception.loss, reception.average_jitter
    loss = sampled.recent_loss if recent else sampled.loss
    if loss is not None:
        jitter = sampled.average_jitter
        return "headers", loss, sampled.jitter if recent and jitter is not None else jitter
    return "counters", stream.counted_loss, None


def _within_phones(stream: StreamQuality, quality: MediaQuality, values: Impairment) -> float:
    """Return the seconds from mouth to wire and from wire to ear."""
    if stream.reception.end_system_delay:
        return stream.reception.end_system_delay
    packet = stream.sampled.packet_time or _USUAL_PACKET
    # A buffer that adapts holds back a packet, and more where packets scatter more.
    buffer = min(max(packet, 2 * (quality.jitter or 0.0)), _LONGEST_BUFFER)
    return packet + values.lookahead + buffer


def _at_least(most: float | None, average: float | None) -> float | None:
    """Return the worst interval's value; a call shorter than an interval has its average."""
    return average if most is None or average is None else max(most, average)
