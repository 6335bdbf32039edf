"""A stream as a sample of its RTP headers shows it: loss, jitter, duplicates, codec, packet time.

Which packets are looked at is decided by their sequence numbers: four in a row, then sixty not
(`is_sampled`); where the kernel copies them to us, and a copy costs ten times what passing a packet
on does, 252 not. So it is known how many of the sample should have come, whoever takes it: the
user-space relay with an exact count beside each, or the kernel, which copies just these to us and
has its counters read every few seconds.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from appliance.rtp.counted import CountedStream

SAMPLE_MASK: Final = 0x3C
"""A packet is in the sample when these bits of the low octet of its sequence number are zero."""
SAMPLE_OCTET: Final = 3
"""Where that octet is in an RTP packet."""
PERIOD: Final = 64
KERNEL_PERIOD: Final = 256
"""The same where the kernel takes the sample; a power of two as well."""
_BURST: Final = 4
"""Of so many packets so many are in the sample."""
INTERVAL = 5.0
"""Seconds at least over which the worst loss is taken; the usual interval of RTCP."""
FEWEST = 50
"""Packets at least in such an interval: one lost more or less must not make 10 %."""
FEWEST_BY_SAMPLE = 16
"""The same where loss is known by sample only, in periods: 64 packets of it."""

_HEADER = struct.Struct(">xBHII")
_MISORDER, _DROPOUT = 100, 3000
"""How far back and ahead a sequence number may be without being a new begin (RFC 3550, A.1)."""
_JUMP = 0.5
"""Seconds of transit that differ by more are no jitter: a hold, or a clock that was set."""
_LONGEST_PACKET = 0.2
"""Seconds of audio in a packet at most; more between two numbers is silence."""
_TYPES_LIMIT = 16
"""Payload types counted; a phone uses two or three."""


class Format(NamedTuple):
    """What a payload type stands for."""

    codec: str
    """Encoding name in capitals."""
    clock: int
    """RTP clock rate in Hz."""


class Place(NamedTuple):
    """How far a stream has come."""

    sequence: int
    """Number of the last packet that was looked at: at most 60 before the stream's last."""
    timestamp: int
    """What it would be now if the stream had not paused."""


STATIC: Final = {
    0: Format("PCMU", 8000),
    3: Format("GSM", 8000),
    4: Format("G723", 8000),
    8: Format("PCMA", 8000),
    9: Format("G722", 8000),
    13: Format("CN", 8000),
    18: Format("G729", 8000),
}
"""Payload types that need no SDP (RFC 3551, table 4)."""
NO_AUDIO: Final = ("TELEPHONE-EVENT", "CN")
"""Formats whose timestamps stand still or jump."""


def is_sampled(sequence: int) -> bool:
    """Tell whether a packet with this sequence number belongs to the sample."""
    return not sequence & SAMPLE_MASK


class SampledStream:
    """What is known of one stream from its sampled headers; the same size however long it is."""

    __slots__ = (
        "_base",
        "_base_count",
        "_count",
        "_counted",
        "_highest",
        "_interval",
        "_jitter_count",
        "_jitter_sum",
        "_kept",
        "_last",
        "_last_loss",
        "_period",
        "_recent",
        "_repeated",
        "_seen_at",
        "_types",
        "_unique",
        "duplicates",
        "formats",
        "jitter",
        "jitter_max",
        "loss_max",
        "packet_time",
        "restarts",
        "ssrc",
    )

    def __init__(self) -> None:
        self.formats: Mapping[int, Format] = {}
        """What each payload type stands for by SDP; static types need not be named."""
        self.ssrc: int | None = None
        self.restarts = 0
        """How often the stream began anew: another SSRC, or a jump of its sequence numbers."""
        self.duplicates = 0
        """Sampled packets that came more than once."""
        self.jitter = 0.0
        """Seconds, as it is now (RFC 3550, A.8)."""
        self.jitter_max = 0.0
        self.loss_max: float | None = None
        """The worst interval's."""
        self.packet_time = 0.0
        """Seconds of audio in a packet; 0: not known yet."""
        self._period = PERIOD
        self._types: dict[int, int] = {}
        self._jitter_sum, self._jitter_count = 0.0, 0
        # The piece since the last begin: extended sequence numbers and exact counts at both ends.
        self._base = self._highest = 0
        self._base_count: int | None = None
        self._count: int | None = None
        self._counted = CountedStream()
        self._seen_at = 0.0
        self._unique = self._repeated = 0
        self._recent = 0
        """One bit for each of the last numbers: whether it has come, the newest lowest."""
        self._last = (0, 0.0, -1)
        """Timestamp, arrival and payload type of the last packet of audio."""
        self._kept = (0, 0.0)
        """Packets expected and received before the last begin."""
        self._interval = (0.0, 0, 0.0)
        """When the running interval began, and what was expected and received until then."""
        self._last_loss: float | None = None
        """Of the interval before it."""

    def observe(
        self,
        packet: bytes | memoryview,
        arrival: float,
        count: int | None = None,
        period: int = PERIOD,
    ) -> None:
        """Take a packet, at least its fixed header; `arrival` in seconds of any steady clock.

        Packets that are not in the sample are passed over. `count` is how many packets of the
        stream have come so far, this one included, where whoever looks knows it exactly: then loss
        is known to the packet and not by sample. `period`: of how many packets four are here.
        """
        kind, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
        if sequence & period - _BURST:
            return
        step = (sequence - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if (
            ssrc != self.ssrc
            or not -_MISORDER < step < _DROPOUT
            or (count is None) != (self._count is None)
            or period != self._period
        ):
            self._begin(sequence, ssrc, arrival, count, period)
            step = 0
        elif step <= 0 and not self._is_late(step):
            return
        self._unique += 1
        self._note_type(kind & 0x7F)
        if step >= 0:
            if count is None:
                self._compare(step, arrival)
            self._highest += step
            self._seen_at = arrival
            self._recent = (self._recent << step | 1) & (1 << _MISORDER) - 1
            self._count = count
            self._time(kind, timestamp, arrival, step)
            if arrival - self._interval[0] >= INTERVAL:
                self._close_interval(arrival)

    def place_at(self, now: float) -> Place | None:
        """Return where the stream is at a time; None: nothing is known of it."""
        timestamp, arrival, kind = self._last
        found = self.formats.get(kind) or STATIC.get(kind)
        if found is None:
            return None
        timestamp += round((now - arrival) * found.clock)
        return Place(self._highest & 0xFFFF, timestamp & 0xFFFFFFFF)

    def read(self, count: int, now: float) -> None:
        """Take how many packets of the stream had come by `now`, where that is read by itself."""
        self._counted.read(count, now)

    @property
    def expected(self) -> int:
        """Packets that should have come, by their numbers."""
        return self._totals()[0]

    @property
    def loss(self) -> float | None:
        """Packets lost of those expected, 0 to 1; None: too few to tell."""
        expected, received = self._totals()
        return _lost(expected, received) if expected >= self._period else None

    @property
    def recent_loss(self) -> float | None:
        """The same of the running interval, or of the last whole one, or of all there is."""
        expected, received = self._totals()
        _, then, got = self._interval
        if expected - then >= self._fewest and not self._is_read:
            return _lost(expected - then, received - got)
        return self.loss if self._last_loss is None else self._last_loss

    @property
    def average_jitter(self) -> float | None:
        """Seconds; None: not measured."""
        return self._jitter_sum / self._jitter_count if self._jitter_count else None

    @property
    def format(self) -> Format | None:
        """What was heard most of what is audio; None: nothing that is known."""
        named = [(count, self.format_of(kind)) for kind, count in self._types.items()]
        audio = [(count, found) for count, found in named if found and found.codec not in NO_AUDIO]
        return max(audio)[1] if audio else None

    def format_of(self, kind: int) -> Format | None:
        """Return what a payload type stands for."""
        return self.formats.get(kind) or STATIC.get(kind)

    def first_sequence(self, ssrc: int) -> int | None:
        """Return about where the stream that runs now began, if it is this one."""
        return self._base & 0xFFFF if ssrc == self.ssrc else None

    def _begin(
        self, sequence: int, ssrc: int, arrival: float, count: int | None, period: int
    ) -> None:
        if self.ssrc is None:
            self._interval = (arrival, 0, 0.0)
        else:
            self._kept = self._totals()
            same_source = (count is None) == (self._count is None) and period == self._period
            self.restarts += ssrc != self.ssrc or same_source
        self._period = period
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._base_count = self._count = count
        self._unique = self._repeated = self._recent = 0
        self._last = (0, 0.0, -1)
        self._counted = CountedStream()
        self._seen_at = arrival

    def _is_late(self, step: int) -> bool:
        """Note a packet that is not the newest; False when it was there already, or is too old."""
        bit = 1 << -step
        if self._recent & bit:
            self.duplicates += 1
            self._repeated += 1
            return False
        self._recent |= bit
        return self._highest + step >= self._base

    def _note_type(self, kind: int) -> None:
        if kind in self._types or len(self._types) < _TYPES_LIMIT:
            self._types[kind] = self._types.get(kind, 0) + 1

    def _time(self, kind: int, timestamp: int, arrival: float, step: int) -> None:
        """Measure jitter between two packets of one audio format, and how much each holds."""
        found = self.format_of(kind & 0x7F)
        if found is None or found.codec in NO_AUDIO:
            return
        before, then, last_kind = self._last
        self._last = (timestamp, arrival, kind & 0x7F)
        if kind != last_kind:  # so a marked packet as well: silence before it is no jitter
            return
        seconds = ((timestamp - before + 0x80000000 & 0xFFFFFFFF) - 0x80000000) / found.clock
        if step == 1 and 0 < seconds <= _LONGEST_PACKET:
            self.packet_time = seconds
        change = abs(arrival - then - seconds)
        if seconds > 0 and change <= _JUMP:
            self._jitter_count += 1
            self.jitter += (change - self.jitter) / min(self._jitter_count, 16)
            self._jitter_sum += self.jitter
            self.jitter_max = max(self.jitter_max, self.jitter)

    def _compare(self, step: int, arrival: float) -> None:
        """Find out where the stream was when its packets were counted last."""
        before = (self._highest, self._seen_at)
        loss = self._counted.passed(before, (self._highest + step, arrival), self.packet_time)
        if loss is not None:
            self._last_loss = loss
            self.loss_max = max(self.loss_max or 0.0, loss)

    def _close_interval(self, arrival: float) -> None:
        expected, received = self._totals()
        _, then, got = self._interval
        if self._is_read:
            self._interval = (arrival, expected, received)
        elif expected - then >= self._fewest:
            self._last_loss = _lost(expected - then, received - got)
            self.loss_max = max(self.loss_max or 0.0, self._last_loss)
            self._interval = (arrival, expected, received)

    @property
    def _is_read(self) -> bool:
        """Tell whether readings of a counter tell the loss, interval by interval."""
        return self._count is None and self._counted.received is not None

    @property
    def _fewest(self) -> int:
        # A sample of a few packets would call one lost of them a catastrophe.
        return FEWEST_BY_SAMPLE * self._period if self._count is None else FEWEST

    def _totals(self) -> tuple[int, float]:
        """Return how many packets were expected and how many came, over all begins."""
        expected, received = self._kept
        if self.ssrc is None:
            return expected, received
        span = self._highest - self._base + 1
        repeated = 1 + self._repeated / self._unique
        if self._count is not None and self._base_count is not None:
            came = self._count - self._base_count + 1
            return expected + span, received + came / repeated
        share = self._counted.received
        if share is not None:
            return expected + span, received + span * share / repeated
        period = self._period
        sampled = _sampled_below(self._highest + 1, period) - _sampled_below(self._base, period)
        return expected + span, received + span * self._unique / sampled


def _sampled_below(number: int, period: int) -> int:
    """Return how many of the numbers from 0 to below this one are in the sample."""
    return number // period * _BURST + min(number % period, _BURST)


def _lost(expected: int, received: float) -> float:
    return min(max(1 - received / expected, 0.0), 1.0)
