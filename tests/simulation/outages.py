"""Years of bad weather for one appliance, on a virtual clock and from a seed.

`Outages` joins the real `Zones` and `Survival` with zones that are healthy, lossy, flapping or
dead by turns, and with an appliance that is killed now and then and comes back with nothing but
the bytes it had saved. It checks the promises of A2 as it goes and raises AssertionError with the
seed and the time when one breaks. `on_mode` lets other rooms take part, e.g. the upload of records.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf

from appliance.bundle import Monitoring, Zone
from appliance.call.actions import Action, ProbeZone, SaveMode
from appliance.call.events import ZoneAnswer
from appliance.pbx.survival import Mode, Survival, restored_state
from appliance.pbx.zones import GRACE, Zones
from appliance.sip.timers import TimerQueue

HOUR = 3600.0
ZONES = (Zone(id="a", host="a.example.com"), Zone(id="b", host="b.example.com"))
WEATHER = ("fine", "fine", "lossy", "flapping", "dead", "dead", "site cut")
"""What a zone may meet; `site cut` takes the other zone with it."""


class Sky:
    """The truth about one zone: a probe is answered or not."""

    def __init__(self) -> None:
        self.loss = 0.0
        """Share of probes that stay without an answer; 1: dead."""
        self.dead_since = inf
        self.fine_since = 0.0

    def turn(self, loss: float, now: float) -> None:
        """Change the weather."""
        if (loss == 1) != (self.loss == 1):
            self.dead_since = now if loss == 1 else inf
        if (loss == 0) != (self.loss == 0):
            self.fine_since = now if loss == 0 else inf
        self.loss = loss


class Outages:
    """One appliance, its zones and its luck."""

    def __init__(
        self,
        seed: int,
        monitoring: Monitoring,
        on_mode: Callable[[Mode, float], None] | None = None,
    ) -> None:
        self.now = 0.0
        self.seed = seed
        self.dice = random.Random(seed)
        self.monitoring = monitoring
        self.skies = {zone.id: Sky() for zone in ZONES}
        self.weather = TimerQueue()
        self.saved: bytes | None = None
        self.started_at = 0.0
        self.restarts = 0
        self.entries = 0
        """Changes into survivability."""
        self.changes: list[tuple[float, Mode]] = []
        self.last_miss = {zone.id: 0.0 for zone in ZONES}
        self.pace = monitoring.interval / Monitoring().interval
        """How much slower everything is than at default settings, the weather too."""
        self.patience = monitoring.interval + monitoring.misses * (monitoring.timeout + GRACE)
        self._on_mode = on_mode
        self._start(0.0)
        for zone in ZONES:
            self._change_weather(zone.id, 0.0)
        self.weather.arm(self._time_to_restart(), self._restart)

    def run(self, hours: float) -> None:
        """Let time pass."""
        end = self.now + hours * HOUR
        while True:
            sky, own = _due(self.weather), _due(self.timers)
            self.now = min(sky, own)
            if self.now > end:
                self.now = end
                return
            if sky <= own:
                self._check_open()
                self.weather.expire(self.now)
            else:
                self.timers.expire(self.now)
                self._perform()

    # The appliance.

    def _start(self, now: float) -> None:
        self.started_at = now
        self.timers = TimerQueue()
        self.actions: list[Action] = []
        emit = self.actions.append
        self.survival = Survival(self.timers, emit, self.monitoring, _wall, self._changed)
        self.zones = Zones(self.timers, emit, self.monitoring, self.survival.review)
        self.zones.apply(ZONES, self.monitoring, now)
        self.survival.start(self.zones, restored_state(self.saved), now)
        self._perform()

    def _restart(self, now: float) -> None:
        before = self.survival.mode
        self.restarts += 1
        self._start(now)
        self._promise(
            self.survival.mode == before, f"a restart turned {before} into something else"
        )
        self.weather.arm(now + self._time_to_restart(), self._restart)

    def _time_to_restart(self) -> float:
        usual = self.dice.expovariate(1 / (6 * HOUR))
        return (usual if self.dice.random() < 0.9 else 20.0) * self.pace

    def _perform(self) -> None:
        for action in self.actions:  # Grows while answers are taken.
            if isinstance(action, ProbeZone):
                self._probe(action.zone.id)
            elif isinstance(action, SaveMode):
                self.saved = action.row
        self.actions.clear()

    def _probe(self, zone: str) -> None:
        loss = self.skies[zone].loss
        if loss and (loss == 1 or self.dice.random() < loss):
            self.last_miss[zone] = self.now
            self._check_open()
            if self.dice.random() < 0.3:
                self.zones.answered(ZoneAnswer(zone, None, "refused", "tcp"), self.now)
        else:
            self.zones.answered(ZoneAnswer(zone, 200, rtt=0.01), self.now)

    # The weather.

    def _change_weather(self, zone: str, now: float) -> None:
        kind = self.dice.choice(WEATHER)
        lasts = self.dice.choice((0.02, 0.3, 3.0)) * HOUR * self.pace
        lasts = self.dice.expovariate(1 / lasts) + 1.0
        if kind == "flapping":
            period = self.dice.choice((2.0, 10.0, 45.0, 400.0)) * self.pace
            self._flap(zone, now, now + lasts, period)
        elif kind == "site cut":
            for sky in self.skies.values():
                sky.turn(1.0, now)
        else:
            self.skies[zone].turn({"fine": 0.0, "lossy": 0.2, "dead": 1.0}[kind], now)
        self.weather.arm(now + lasts, lambda at: self._change_weather(zone, at))

    def _flap(self, zone: str, now: float, end: float, period: float) -> None:
        sky = self.skies[zone]
        sky.turn(0.0 if sky.loss else 1.0, now)
        again = now + period * self.dice.uniform(0.5, 1.5)
        if again < end:
            self.weather.arm(again, lambda at: self._flap(zone, at, end, period))

    # The promises.

    def _changed(self, mode: Mode, now: float) -> None:
        before = self.changes[-1][1] if self.changes else "standby"
        if mode == "survivability":
            if before == "standby":
                healthy = [
                    z for z, sky in self.skies.items() if now - sky.fine_since > self.patience
                ]
                self._promise(not healthy, f"opened although {healthy} answered")
            last = max((at for at, old in self.changes if old == mode), default=-inf)
            window = self.monitoring.stable_window
            self._promise(now - last >= window, f"entered twice within {now - last:.1f} s")
        if mode == "standby":
            quiet = max(now - max(at, self.started_at) for at in self.last_miss.values())
            window = self.monitoring.stable_window
            self._promise(quiet >= window, f"closed after only {quiet:.1f} quiet seconds")
        self.changes = [*self.changes[-3:], (now, mode)]
        self.entries += mode == "survivability"
        if self._on_mode is not None:
            self._on_mode(mode, now)

    def _check_open(self) -> None:
        cut_off_since = max(sky.dead_since for sky in self.skies.values())
        lasted = self.now - max(cut_off_since, self.started_at)
        shut = not self.survival.admits_registrations
        self._promise(not (shut and lasted > self.patience), f"shut {lasted:.1f} s into an outage")

    def _promise(self, kept: bool, text: str) -> None:
        assert kept, f"seed {self.seed}, {self.now:.2f} s: {text}; changes {self.changes}"


def _due(timers: TimerQueue) -> float:
    due = timers.deadline()
    return inf if due is None else due


def _wall(now: float) -> float:
    return 1_800_000_000.0 + now
