"""A stream as its far end reports it in RTCP: loss, jitter, and the way there and back."""

from __future__ import annotations

from collections import deque

from appliance.rtp.rtcp import ReceptionReport, SenderReport, VoipMetrics

FEWEST = 20
"""Packets at least between two reports for the loss between them to count as the worst."""
_LEAP = 1 << 20
"""Packets between two reports that nobody can have sent: hours of audio."""
_LONGEST_WAY = 10.0
"""Seconds there and back; more comes from a clock that was set, or from a liar."""
_WORST_JITTER = 10.0
_REMEMBERED = 8
"""Sender reports a reception report may refer to: 40 s of them."""


class Reception:
    """What the reports about one stream sum up to; the same size however many there are."""

    __slots__ = (
        "_highest",
        "_jitter_sum",
        "_jitters",
        "_lost",
        "_moments",
        "_recent",
        "_reported",
        "_way_sum",
        "_ways",
        "conceals",
        "discard",
        "end_system_delay",
        "expected",
        "jitter",
        "jitter_max",
        "loss_max",
        "sender",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc: int | None = None
        """Of the stream that was reported on last."""
        self.sender: SenderReport | None = None
        """What its sender said last."""
        self.expected = 0
        """Packets that the reports speak for."""
        self.jitter = 0.0
        """Seconds, by the last report."""
        self.jitter_max = 0.0
        self.loss_max: float | None = None
        self.discard = 0.0
        """Share of packets that came but not in time to be played, as far as the phone says."""
        self.end_system_delay = 0.0
        """Seconds within the far phone; 0: it does not say."""
        self.conceals = True
        """Whether the far phone fills gaps; it does unless it says otherwise."""
        self._lost = 0
        self._highest = self._reported = 0
        self._recent = 0.0
        self._jitter_sum, self._jitters = 0.0, 0
        self._moments: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._way_sum, self._ways = 0.0, 0

    def sent(self, report: SenderReport, now: float) -> None:
        """Take a report of the stream's sender as it passes us."""
        self.sender = report
        self._moments.append((report.moment, now))

    def heard(
        self, report: ReceptionReport, now: float, clock: int | None, first: int | None
    ) -> None:
        """Take the far end's report.

        `clock` is the RTP clock rate in Hz, `first` the sequence number the stream began with;
        None where nobody knows.
        """
        self._measure_way(report, now)
        if report.ssrc != self.ssrc:
            self.ssrc = report.ssrc
            known = self._begin(report, first)
        else:
            known = self._go_on(report)
        if known and clock:
            self._note_jitter(report.jitter / clock)

    def scored(self, metrics: VoipMetrics) -> None:
        """Take the far end's own view of the call (RFC 3611)."""
        self.discard = metrics.discard
        self.end_system_delay = metrics.end_system_delay
        self.conceals = metrics.conceals is not False

    @property
    def loss(self) -> float | None:
        """Packets lost of those expected, 0 to 1; None: no report."""
        if not self.expected:
            return None
        return min(max(self._lost / self.expected, 0.0), 1.0)

    @property
    def recent_loss(self) -> float | None:
        """The same between the last two reports."""
        return self._recent if self.expected else None

    @property
    def average_jitter(self) -> float | None:
        """Seconds; None: no report."""
        return self._jitter_sum / self._jitters if self._jitters else None

    @property
    def way(self) -> float | None:
        """Seconds from us to the far end and back; None: not measured."""
        return self._way_sum / self._ways if self._ways else None

    def _begin(self, report: ReceptionReport, first: int | None) -> bool:
        """Take the first report on a stream: it speaks for all since `first`, or all there was."""
        self._highest, self._reported = report.highest, report.lost
        if first is None:
            return self._begin_by_sender(report)
        span = (report.highest - first & 0xFFFF) + 1
        if span >= 0x8000:
            return False
        lately = report.fraction * span
        # Where the stream began before we looked, its sum of losses speaks for more than `span`.
        is_whole = abs(report.lost - lately) <= 2 + span / 128
        self._add(span, min(report.lost if is_whole else round(lately), span))
        return True

    def _begin_by_sender(self, report: ReceptionReport) -> bool:
        """Take what the sender says it has sent for what was to come, before we see where it is."""
        sender = self.sender
        if sender is None or sender.ssrc != report.ssrc or not 0 < sender.packets < _LEAP:
            return False
        self._add(sender.packets, min(max(report.lost, 0), sender.packets))
        return True

    def _go_on(self, report: ReceptionReport) -> bool:
        """Take a report on the same stream; one that is late, or tells nothing new, is none."""
        span = (report.highest - self._highest + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if span <= 0:
            return False
        lost = report.lost - self._reported
        self._highest, self._reported = report.highest, report.lost
        if span >= _LEAP:
            return False
        self._add(span, min(max(lost, -span), span))
        return True

    def _add(self, span: int, lost: int) -> None:
        self.expected += span
        self._lost += lost
        self._recent = max(lost / span, 0.0)
        if span >= FEWEST:
            self.loss_max = max(self.loss_max or 0.0, self._recent)

    def _note_jitter(self, seconds: float) -> None:
        if seconds <= _WORST_JITTER:
            self.jitter = seconds
            self.jitter_max = max(self.jitter_max, seconds)
            self._jitter_sum += seconds
            self._jitters += 1

    def _measure_way(self, report: ReceptionReport, now: float) -> None:
        if not report.last_sender_report:
            return
        for moment, then in self._moments:
            if moment == report.last_sender_report:
                seconds = now - then - report.delay
                # The phone's clock and ours tick differently: a little below zero is zero.
                if -0.01 <= seconds <= _LONGEST_WAY:
                    self._way_sum += max(seconds, 0.0)
                    self._ways += 1
                return
