"""RTCP as far as it tells of quality: sender, receiver and VoIP reports, goodbyes (RFC 3550, 3611).

A datagram holds several packets. Each is read once, in order; nothing in them makes us read more
than the datagram, and at most `BLOCKS` reports are kept of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from appliance.errors import RemoteError

BLOCKS = 64
"""Reports kept of one datagram: a phone hears one or two sources, a hostile one says thousands."""

_SR, _RR, _BYE, _XR = 200, 201, 203, 207
_VOIP_METRICS = 7
_SENDER = struct.Struct(">6I")
_BLOCK = struct.Struct(">6I")
_METRICS = struct.Struct(">I4B4H10B3H")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a phone says of the stream it sends (RFC 3550, 6.4.1)."""

    ssrc: int
    moment: int
    """Middle 32 bits of the NTP timestamp, which reception reports repeat."""
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """What a phone says of a stream it hears (RFC 3550, 6.4.1)."""

    ssrc: int
    """Of the stream reported on."""
    fraction: float
    """Packets lost since the report before, 0 to 1."""
    lost: int
    """Packets lost since the begin; negative when more came than were sent."""
    highest: int
    """Highest sequence number received, extended by its cycles to 32 bits."""
    jitter: int
    """Interarrival jitter in timestamp units."""
    last_sender_report: int
    """`SenderReport.moment` of the last one heard; 0: none."""
    delay: float
    """Seconds from hearing that to sending this."""


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """What a phone says of a call it hears (RFC 3611, 4.7)."""

    ssrc: int
    """Of the stream reported on."""
    loss: float
    """Packets lost on the way since the begin, 0 to 1."""
    discard: float
    """Packets that came too late or too early to be played, 0 to 1."""
    round_trip: float
    """Seconds between the two phones; 0: unknown."""
    end_system_delay: float
    """Seconds within the phone, to be heard and to be sent; 0: unknown."""
    conceals: bool | None
    """Whether losses are concealed; None: not said."""
    mos: float | None
    """Listening quality as the phone reckons it."""


@dataclass(frozen=True, slots=True)
class Compound:
    """All that one datagram told."""

    sender: SenderReport | None = None
    reports: list[ReceptionReport] = field(default_factory=list)
    metrics: list[VoipMetrics] = field(default_factory=list)
    goodbyes: list[int] = field(default_factory=list)
    """SSRCs of streams that are over."""


def parse(data: bytes | memoryview) -> Compound:
    """Read one datagram; raises RemoteError(400) unless whole packets fill it to its end.

    Packets of other types (SDES, APP, feedback) are passed over.
    """
    sender: SenderReport | None = None
    told = Compound()
    start = 0
    while start < len(data):
        count, kind, end = _packet(data, start)
        body = data[start + 4 : end]
        if kind == _SR:
            sender = _sender_report(body)
            _reception_reports(body[24:], count, told)
        elif kind == _RR:
            _reception_reports(body[4:], count, told)
        elif kind == _XR:
            _extended_reports(body[4:], told)
        elif kind == _BYE:
            _goodbyes(body, count, told)
        start = end
    if not start:
        raise RemoteError(400, "RTCP: an empty datagram")
    return Compound(sender, told.reports, told.metrics, told.goodbyes)


def _packet(data: bytes | memoryview, start: int) -> tuple[int, int, int]:
    """Return count, type and end of the packet that begins here."""
    if len(data) - start < 8 or data[start] >> 6 != 2:
        raise RemoteError(400, "RTCP: no packet of version 2")
    size = 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = start + size
    if size < 8 or end > len(data):
        raise RemoteError(400, "RTCP: a packet's length does not fit its datagram")
    return data[start] & 0x1F, data[start + 1], end


def _sender_report(body: bytes | memoryview) -> SenderReport:
    if len(body) < _SENDER.size:
        raise RemoteError(400, "RTCP: the sender report ends too early")
    ssrc, seconds, fraction, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(ssrc, (seconds & 0xFFFF) << 16 | fraction >> 16, timestamp, packets, octets)


def _reception_reports(body: bytes | memoryview, count: int, told: Compound) -> None:
    if len(body) < _BLOCK.size * count:
        raise RemoteError(400, "RTCP: a report has fewer blocks than it says")
    for number in range(min(count, BLOCKS - len(told.reports))):
        ssrc, losses, *rest = _BLOCK.unpack_from(body, _BLOCK.size * number)
        highest, jitter, moment, delay = rest
        lost = losses & 0xFFFFFF
        signed = lost - 0x1000000 if lost & 0x800000 else lost
        report = ReceptionReport(
            ssrc, (losses >> 24) / 256, signed, highest, jitter, moment, delay / 65536
        )
        told.reports.append(report)


def _extended_reports(body: bytes | memoryview, told: Compound) -> None:
    start = 0
    while start + 4 <= len(body):
        end = start + 4 + 4 * int.from_bytes(body[start + 2 : start + 4], "big")
        if end > len(body):
            raise RemoteError(400, "RTCP: an extended report's block ends after its packet")
        is_metrics = body[start] == _VOIP_METRICS and end - start >= 4 + _METRICS.size
        if is_metrics and len(told.metrics) < BLOCKS:
            told.metrics.append(_voip_metrics(body, start + 4))
        start = end


def _voip_metrics(body: bytes | memoryview, start: int) -> VoipMetrics:
    fields = _METRICS.unpack_from(body, start)
    ssrc, loss, discard = fields[:3]
    round_trip, end_system = fields[7:9]
    mos, configuration = fields[15], fields[17]
    concealment = configuration >> 6
    return VoipMetrics(
        ssrc,
        loss / 256,
        discard / 256,
        round_trip / 1000,
        end_system / 1000,
        None if concealment == 0 else concealment != 1,
        mos / 10 if 10 <= mos <= 50 else None,  # 127: the phone has none
    )


def _goodbyes(body: bytes | memoryview, count: int, told: Compound) -> None:
    if len(body) < 4 * count:
        raise RemoteError(400, "RTCP: a goodbye names fewer sources than it says")
    told.goodbyes.extend(struct.unpack_from(f">{min(count, BLOCKS)}I", body))
