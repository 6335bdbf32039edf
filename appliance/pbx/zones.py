"""Watch the cloud's SIP zones: when to ask each for a sign of life, and what its answers mean (A1).

A healthy zone is asked once an `interval`, on a beat of its own, so that zones are asked in turn.
From the first miss the next question no longer waits for the beat: it follows `timeout` seconds
after the one before. So the last of `misses` is known at most

    interval + misses * (timeout + GRACE)          5 + 3 * 3.25 = 14.75 s at default settings

after the cut, wherever in the beat the cut fell; waiting for the beat would have made it 18 s. A
refusal that comes at once does not shorten this: three resets within a second are a server that
restarts, not an outage. Misses count in a row only: a zone that answers one question in three is
never down, however slow or lossy it is. A zone that is down is asked on the beat again, and one
good answer brings it back; how long it must then stay is `survival`'s business.

While our own cable has no signal, questions tell nothing of a zone: they count neither for nor
against it, and its state stays what it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from appliance.bundle import Monitoring, Zone
from appliance.call.actions import Action, Notice, ProbeZone
from appliance.call.events import ZoneAnswer
from appliance.sip.timers import Timer, TimerQueue

ZoneState = Literal["unknown", "up", "down"]

HISTORY = 120
"""Answers remembered per zone: ten minutes at default settings."""
GRACE = 0.25
"""Seconds past its timeout at which a question counts as missed though nobody said so."""
OWN_LINK = "link"
"""The layer of an answer that tells of our own cable, not of the zone."""
NO_LIFE = frozenset({408, 503})
"""Final statuses that a proxy gives when the zone behind it is dead."""


class Sample(NamedTuple):
    """One question to a zone, as the history shows it."""

    at: float
    rtt: float | None
    """Seconds; None: missed."""


class Failure(NamedTuple):
    """Why a question was missed."""

    at: float
    layer: str
    """`link`, `dns`, `tcp`, `tls`, `certificate` or `sip`."""
    text: str


class ZoneWatch:
    """Know one zone: its state, since when and why, and how its last questions went."""

    __slots__ = (
        "answered_at",
        "asked_at",
        "first_beat",
        "history",
        "last_failure",
        "misses",
        "reason",
        "since",
        "state",
        "steady_since",
        "timer",
        "waiting",
        "zone",
    )

    def __init__(self, zone: Zone, first_beat: float) -> None:
        self.zone = zone
        self.state: ZoneState = "unknown"
        self.since = first_beat
        self.reason = "not asked yet"
        self.misses = 0
        """Missed questions in a row."""
        self.steady_since: float | None = None
        """When the first good answer after the last miss came; None while misses last."""
        self.answered_at = first_beat
        """When the last good answer came; says nothing while `steady_since` is None."""
        self.history: deque[Sample] = deque(maxlen=HISTORY)
        self.last_failure: Failure | None = None
        self.first_beat = first_beat
        self.asked_at = first_beat
        self.waiting = False
        self.timer: Timer | None = None

    def live(self, rtt: float | None, now: float) -> bool:
        """Take a sign of life; tell whether it changed the state."""
        self.history.append(Sample(now, rtt))
        self.misses = 0
        self.answered_at = now
        if self.steady_since is None:
            self.steady_since = now
        return self.state != "up" and self._become("up", "answers", now)

    @property
    def steady_for(self) -> float:
        """Seconds from the first to the last good answer since the last miss."""
        return 0.0 if self.steady_since is None else self.answered_at - self.steady_since

    def missed(self, failure: Failure, needed: int) -> bool:
        """Take a miss; `needed` of them in a row make the zone down, which is told."""
        now = failure.at
        self.history.append(Sample(now, None))
        self.last_failure = failure
        self.steady_since = None
        self.misses += 1
        if self.state == "down" or self.misses < needed:
            return False
        text = f"{failure.layer}: {failure.text}"
        return self._become("down", f"{self.misses} probes missed in a row, last one {text}", now)

    def unheard(self, failure: Failure) -> None:
        """Take a question that our own dead cable kept from the zone: it tells nothing."""
        self.history.append(Sample(failure.at, None))
        self.last_failure = failure
        self.steady_since = None

    def _become(self, state: ZoneState, reason: str, now: float) -> bool:
        self.state, self.reason, self.since = state, reason, now
        return True


class Zones:
    """Ask every zone on its own schedule and tell `news` of each outcome.

    `emit` takes the `ProbeZone` actions. Each must come back as one `answered`; one that does not
    is a miss `GRACE` after its timeout. `news(now)` is called after every answer and every miss.
    """

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Action], None],
        monitoring: Monitoring,
        news: Callable[[float], None],
    ) -> None:
        self.watches: dict[str, ZoneWatch] = {}
        """By zone id, in the bundle's order."""
        self._timers = timers
        self._emit = emit
        self._monitoring = monitoring
        self._news = news

    def apply(self, zones: Iterable[Zone], monitoring: Monitoring, now: float) -> None:
        """Watch exactly `zones` from now on; what is known of an unchanged zone is kept."""
        before, self.watches = self.watches, {}
        self._monitoring = monitoring
        wanted = list(zones)
        for place, zone in enumerate(wanted):
            first_beat = now + place * monitoring.interval / len(wanted)
            known = before.get(zone.id)
            if known is None or known.zone != zone:
                self.watches[zone.id] = watch = ZoneWatch(zone, first_beat)
            else:
                self.watches[zone.id] = watch = before.pop(zone.id)
                watch.first_beat = first_beat
                if watch.waiting:
                    continue
            self._wait(watch, first_beat)
        for watch in before.values():
            _disarm(watch)

    def answered(self, answer: ZoneAnswer, now: float) -> None:
        """Take the outcome of a probe.

        A good answer counts whenever it comes. A bad one counts only while a question is open:
        late, it tells of a miss that was counted already.
        """
        watch = self.watches.get(answer.zone)
        if watch is None:
            return
        if answer.status is not None and answer.status not in NO_LIFE:
            if watch.live(answer.rtt, now):
                self._tell("info", watch)
            if watch.waiting:
                self._wait(watch, self._next_beat(watch, now))
            self._news(now)
        elif watch.waiting and answer.layer == OWN_LINK:
            watch.unheard(_failure(answer, now))
            self._wait(watch, self._next_beat(watch, now))
            self._news(now)
        elif watch.waiting:
            self._miss(watch, _failure(answer, now))

    def all_down(self) -> bool:
        """Tell whether the site is cut off: there are zones, and each of them is down."""
        # A loop: it runs at each answer, and `all` with a generator costs three times as much.
        for watch in self.watches.values():
            if watch.state != "down":
                return False
        return bool(self.watches)

    def _ask(self, watch: ZoneWatch, now: float) -> None:
        timeout = self._monitoring.timeout
        watch.waiting, watch.asked_at = True, now
        watch.timer = self._timers.arm(now + timeout + GRACE, lambda at: self._silent(watch, at))
        self._emit(ProbeZone(watch.zone, timeout))

    def _silent(self, watch: ZoneWatch, now: float) -> None:
        text = f"no answer in {self._monitoring.timeout:g} s"
        self._miss(watch, Failure(now, "sip", text))

    def _miss(self, watch: ZoneWatch, failure: Failure) -> None:
        now, monitoring = failure.at, self._monitoring
        if watch.missed(failure, monitoring.misses):
            self._tell("warning", watch)
        if watch.state == "down":
            self._wait(watch, self._next_beat(watch, now))
        else:
            pause = min(monitoring.interval, monitoring.timeout)
            self._wait(watch, max(now, watch.asked_at + pause))
        self._news(now)

    def _tell(self, severity: str, watch: ZoneWatch) -> None:
        text = f"Zone {watch.zone.id} ({watch.zone.host}) is {watch.state}: {watch.reason}"
        self._emit(Notice(severity, "zone.state", text))

    def _wait(self, watch: ZoneWatch, when: float) -> None:
        _disarm(watch)
        watch.waiting = False
        watch.timer = self._timers.arm(when, lambda now: self._ask(watch, now))

    def _next_beat(self, watch: ZoneWatch, now: float) -> float:
        interval = self._monitoring.interval
        beat = watch.first_beat + (max(now - watch.first_beat, 0.0) // interval + 1) * interval
        # Rounding can land on the beat of this very moment, which has been used already.
        return beat if beat > now else now + interval


def _disarm(watch: ZoneWatch) -> None:
    if watch.timer is not None:
        watch.timer.cancel()


def _failure(answer: ZoneAnswer, now: float) -> Failure:
    if answer.status is not None:
        return Failure(now, "sip", f"answered {answer.status}")
    layer = answer.layer or "sip"
    return Failure(now, layer, answer.failure.removeprefix(f"{layer}: ") or "no answer")
