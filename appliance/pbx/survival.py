"""Decide whether phones are served here or by the cloud: the four modes of the site (A2).

Standby is left when every zone is down. It is entered again only after one zone has answered
without a miss for the whole stable window, so that phones are not sent back and forth: while zones
flap the mode stays `recovering`, in which phones are served as in `survivability`. Two entries into
survivability are therefore never closer together than the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from appliance.bundle import Monitoring
from appliance.call.actions import Action, ModeChange, Notice, SaveMode
from appliance.errors import LocalError
from appliance.pbx.testing import Scope
from appliance.pbx.zones import Zones, ZoneWatch
from appliance.sip.timers import Timer, TimerQueue

Mode = Literal["standby", "survivability", "recovering", "testing"]
Input = Literal["cut_off", "zone_back", "steady", "cut_off_for_long", "test", "test_over"]

TRANSITIONS: dict[Mode, dict[Input, Mode]] = {
    "standby": {"cut_off": "survivability", "test": "testing"},
    "survivability": {"zone_back": "recovering"},
    "recovering": {"steady": "standby", "cut_off_for_long": "survivability"},
    "testing": {"cut_off": "survivability", "test_over": "standby"},
}
"""`TRANSITIONS[mode][input]` is the next mode; an absent input changes nothing.

- `cut_off`: every zone is down
- `zone_back`: a zone answers after all were down
- `steady`: a zone has answered without a miss for the whole stable window
- `cut_off_for_long`: in recovering, every zone has been down for a whole stable window
- `test`, `test_over`: an admin asked for survivability on purpose, and its end
"""

LONGEST_TEST = 8 * 3600.0
"""Seconds; a test nobody ended is over after a working day."""
NOBODY = Scope((), "")
"""Of every mode but testing."""
REMEMBERED = 200
"""Changes of mode kept in memory for showing; the store keeps them all."""


class SurvivalState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs to serve on as before; times are wall-clock seconds (Unix)."""

    mode: Mode = "standby"
    since: float = 0.0
    """When the mode was entered."""
    reason: str = ""
    test_until: float | None = None
    """When a test ends by itself."""
    test_of: tuple[str, ...] = ()
    """Ids of the users who are served in a test; empty: everybody."""
    test_scope: str = ""
    """The same for people."""


class Change(NamedTuple):
    """One row of the history."""

    at: float
    """Wall-clock seconds."""
    before: Mode
    after: Mode
    reason: str


class Survival:
    """Hold the mode; `review(now)` after any news of a zone.

    `emit` takes `SaveMode` and `Notice` actions; `wall(now)` turns monotonic into wall-clock
    seconds (shown and stored, never used to measure); `changed(mode, now)` is called after each
    change.
    """

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Action], None],
        monitoring: Monitoring,
        wall: Callable[[float], float],
        changed: Callable[[Mode, float], None] | None = None,
    ) -> None:
        self.state = SurvivalState()
        self.history: deque[Change] = deque(maxlen=REMEMBERED)
        self._timers = timers
        self._emit = emit
        self._monitoring = monitoring
        self._wall = wall
        self._changed = changed
        self.outcome: Callable[[SurvivalState], str] = lambda state: ""
        """Tells what came of the test that is about to end."""
        self._zones: Zones | None = None
        self._cut_off_since: float | None = None
        self._test_ends: float | None = None
        self._scope = Scope()
        self._tested: frozenset[str] = frozenset()
        self._timer: Timer | None = None

    @property
    def mode(self) -> Mode:
        """The mode now."""
        return self.state.mode

    @property
    def admits_registrations(self) -> bool:
        """Tell whether a REGISTER is served; otherwise it gets 503 with `retry_after`."""
        return self.state.mode != "standby"

    @property
    def serves_everybody(self) -> bool:
        """Tell whether nobody need be asked for who he is before he is served."""
        return self.admits_registrations and not self.state.test_of

    def serves(self, user: str) -> bool:
        """Tell whether the user with this id is served."""
        return self.serves_everybody or (self.admits_registrations and user in self._tested)

    @property
    def retry_after(self) -> int:
        """Seconds a phone is told to wait before it tries here again."""
        return self._monitoring.retry_after

    def start(self, zones: Zones, restored: SurvivalState | None, now: float) -> None:
        """Begin in the restored mode, or in standby; what zones do decides from then on.

        Monotonic time ends with the machine's uptime, so a stable window begun before a restart
        starts again, and the rest of a test is measured on the wall clock, once, within bounds.
        """
        self._zones = zones
        self.state = restored or SurvivalState(since=self._wall(now), reason="first start")
        if self.mode == "testing":
            rest = (self.state.test_until or 0.0) - self._wall(now)
            self._test_ends = now + min(max(rest, 0.0), LONGEST_TEST)
            self._choose(Scope(self.state.test_of, self.state.test_scope))
        if self.admits_registrations:
            text = f"Restarted in mode {self.mode}: phones are served at once"
            self._emit(Notice("warning", "survival.restored", text))
        self._save(None)
        self.review(now)

    def apply(self, monitoring: Monitoring, now: float) -> None:
        """Take new settings; a running window is measured against the new length."""
        self._monitoring = monitoring
        self.review(now)

    def test(self, seconds: float, now: float, scope: Scope | None = None, by: str = "") -> None:
        """Serve phones on purpose for `seconds`; a real outage or the time ends it.

        Raises LocalError when the site isn't in standby or the time makes no sense.
        """
        if self.mode != "standby":
            raise LocalError(f"a test begins in standby only; the mode is {self.mode}")
        if not 0 < seconds <= LONGEST_TEST:
            raise LocalError(f"a test lasts up to {LONGEST_TEST / 3600:g} hours, not {seconds:g} s")
        self._test_ends = now + seconds
        self._choose(scope or Scope())
        whose = f" of {self._scope.text}" if self._scope.users else ""
        whom = f" by {by}" if by else ""
        self._take("test", f"test{whose} asked for{whom}, {seconds:g} s", now)
        self.review(now)

    def end_test(self, now: float, by: str = "an admin") -> None:
        """End a test before its time; nothing happens when none runs."""
        self._take("test_over", f"test ended by {by}", now)

    def _choose(self, scope: Scope) -> None:
        self._scope, self._tested = scope, frozenset(scope.users)

    def review(self, now: float) -> None:
        """Look at every zone again, change mode where that calls for it, and set the timer."""
        zones = self._zones
        if zones is None:
            return
        cut_off = zones.all_down()
        if not cut_off:
            self._cut_off_since = None
        elif self._cut_off_since is None:
            self._cut_off_since = now
        if cut_off:
            self._review_cut_off(zones, now)
        elif self.mode in ("survivability", "recovering"):
            self._review_return(zones, now)
        if self._test_ends is not None and now >= self._test_ends:
            self._take("test_over", "the test's time is over", now)
        self._arm()

    def _review_cut_off(self, zones: Zones, now: float) -> None:
        if self._heeds("cut_off"):
            self._take("cut_off", f"every zone is down: {_words(zones)}", now)
        window = self._monitoring.stable_window
        lasting = self._cut_off_since is not None and now >= self._cut_off_since + window
        if lasting and self._heeds("cut_off_for_long"):
            text = f"every zone is down again for {window:g} s: {_words(zones)}"
            self._take("cut_off_for_long", text, now)

    def _review_return(self, zones: Zones, now: float) -> None:
        up = [watch for watch in zones.watches.values() if watch.state == "up"]
        if up and self._heeds("zone_back"):
            names = " and ".join(watch.zone.id for watch in up)
            self._take("zone_back", f"zone {names} answers again", now)
        window = self._monitoring.stable_window
        for watch in up:
            # Measured between answers: a question still open at the end is not an answer.
            if watch.steady_for >= window and self._heeds("steady"):
                text = f"zone {watch.zone.id} has answered without a miss for {window:g} s"
                self._take("steady", text, now)

    def _heeds(self, event: Input) -> bool:
        return event in TRANSITIONS[self.state.mode]

    def _take(self, event: Input, reason: str, now: float) -> None:
        before = self.mode
        after = TRANSITIONS[before].get(event)
        if after is None:
            return
        if before == "testing" and (outcome := self.outcome(self.state)):
            reason = f"{reason}; {outcome}"
        if after != "testing":
            self._test_ends = None
        test_until = None if self._test_ends is None else self._wall(self._test_ends)
        at = self._wall(now)
        scope = self._scope if after == "testing" else NOBODY
        self.state = SurvivalState(
            mode=after,
            since=at,
            reason=reason,
            test_until=test_until,
            test_of=scope.users,
            test_scope=scope.text,
        )
        self.history.append(Change(at, before, after, reason))
        self._save(ModeChange(before, after, reason))
        severity = "alarm" if after == "survivability" else "info"
        self._emit(Notice(severity, "survival.mode", f"Mode {before} → {after}: {reason}"))
        if self._changed is not None:
            self._changed(after, now)

    def _save(self, change: ModeChange | None) -> None:
        self._emit(SaveMode(msgspec.msgpack.encode(self.state), change))

    def _arm(self) -> None:
        """Wake at the end of a test; a window ends with a zone's answer, which calls `review`."""
        due, timer = self._test_ends, self._timer
        if timer is not None and timer.when != due:
            timer.cancel()
            self._timer = timer = None
        if due is not None and timer is None:
            self._timer = self._timers.arm(due, self.review)


def restored_state(row: bytes | None) -> SurvivalState | None:
    """Read what `SaveMode` wrote; None for nothing or for what can't be read.

    An unreadable row must not keep the appliance from starting: standby finds an outage by itself.
    """
    if row is None:
        return None
    try:
        return msgspec.msgpack.decode(row, type=SurvivalState)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _words(zones: Zones) -> str:
    return "; ".join(_word(watch) for watch in zones.watches.values())


def _word(watch: ZoneWatch) -> str:
    failure = watch.last_failure
    return f"{watch.zone.id} ({failure.layer}: {failure.text})" if failure else watch.zone.id
