"""Modes: when phones are served here and when they are sent back to the cloud (A2)."""

from __future__ import annotations

import msgspec
import pytest

from appliance.bundle import Monitoring, Zone
from appliance.call.actions import Action, ModeChange, Notice, ProbeZone, SaveMode
from appliance.call.events import ZoneAnswer
from appliance.errors import LocalError
from appliance.pbx.survival import (
    TRANSITIONS,
    Change,
    Mode,
    Survival,
    SurvivalState,
    restored_state,
)
from appliance.pbx.zones import Zones
from appliance.sip.timers import TimerQueue

A = Zone(id="a", host="a.example.com")
B = Zone(id="b", host="b.example.com")
WALL = 1_800_000_000.0
IN_OUTAGE = SurvivalState(mode="survivability", since=WALL - 60, reason="every zone is down")


class Site:
    """Two zones that answer or not, on a virtual clock."""

    def __init__(self, restored: SurvivalState | None = None, a: bool = True, b: bool = True):
        self.now = 0.0
        self.up = {"a": a, "b": b}
        self.timers = TimerQueue()
        self.actions: list[Action] = []
        self.saved: list[SaveMode] = []
        self.notices: list[Notice] = []
        self.told: list[Mode] = []
        self.monitoring = Monitoring()
        emit = self.actions.append
        self.survival = Survival(
            self.timers,
            emit,
            self.monitoring,
            lambda now: WALL + now,
            lambda mode, now: self.told.append(mode),
        )
        self.zones = Zones(self.timers, emit, self.monitoring, self.survival.review)
        self.zones.apply((A, B), self.monitoring, self.now)
        self.survival.start(self.zones, restored, self.now)
        self.perform()

    def run(self, seconds: float) -> Mode:
        end = self.now + seconds
        while (due := self.timers.deadline()) is not None and due <= end:
            self.now = due
            self.timers.expire(due)
            self.perform()
        self.now = end
        return self.survival.mode

    def perform(self) -> None:
        while self.actions:
            action = self.actions.pop(0)
            if isinstance(action, SaveMode):
                self.saved.append(action)
            elif isinstance(action, Notice):
                self.notices.append(action)
            elif isinstance(action, ProbeZone) and self.up[action.zone.id]:
                self.zones.answered(ZoneAnswer(action.zone.id, 200, rtt=0.01), self.now)

    def cut(self) -> None:
        self.up = {"a": False, "b": False}

    def heal(self) -> None:
        self.up = {"a": True, "b": True}

    def changes(self) -> list[tuple[str, str]]:
        return [(save.change.before, save.change.after) for save in self.saved if save.change]

    def reasons(self) -> list[str]:
        return [save.change.reason for save in self.saved if save.change]


def test_every_mode_can_be_left_and_reached() -> None:
    reached = {mode for moves in TRANSITIONS.values() for mode in moves.values()}
    assert reached == set(TRANSITIONS)
    assert all(TRANSITIONS.values())


def test_first_start_is_standby() -> None:
    site = Site()
    assert (site.survival.mode, site.survival.admits_registrations) == ("standby", False)
    assert site.survival.retry_after == 30


def test_one_zone_alone_never_opens() -> None:
    site = Site(a=False)
    assert site.run(3600) == "standby"


def test_both_zones_down_opens_within_15_seconds() -> None:
    site = Site()
    site.run(60)
    site.cut()
    assert site.run(15) == "survivability"
    assert site.survival.admits_registrations


def test_zones_unreachable_at_first_start_open_too() -> None:
    site = Site(a=False, b=False)
    assert site.run(15) == "survivability"


def test_the_reason_names_the_zones_and_why() -> None:
    site = Site(a=False, b=False)
    site.run(15)
    assert site.reasons() == [
        "every zone is down: a (sip: no answer in 3 s); b (sip: no answer in 3 s)"
    ]
    assert site.notices[-1].severity == "alarm"


def test_return_takes_the_whole_stable_window() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.up["a"] = True
    assert site.run(6) == "recovering"
    assert site.survival.admits_registrations
    assert site.run(290) == "recovering"
    assert site.run(10) == "standby"
    assert site.changes() == [
        ("standby", "survivability"),
        ("survivability", "recovering"),
        ("recovering", "standby"),
    ]
    assert site.reasons()[-1] == "zone a has answered without a miss for 300 s"


def test_one_stable_zone_is_enough_though_the_other_flaps() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.up["a"] = True
    for _ in range(20):
        site.up["b"] = not site.up["b"]
        site.run(20)
    assert site.survival.mode == "standby"


def test_one_miss_begins_the_window_again() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.up["a"] = True
    site.run(250)
    site.up["a"] = False
    site.run(5)
    site.up["a"] = True
    assert site.run(290) == "recovering"
    assert site.run(20) == "standby"


def test_flapping_for_ten_minutes_is_one_entry_and_no_exit() -> None:
    site = Site()
    site.run(60)
    for _ in range(30):
        site.cut()
        site.run(10)
        site.heal()
        site.run(10)
    entries = [after for _, after in site.changes()].count("survivability")
    assert entries <= 1
    assert "standby" not in [after for _, after in site.changes()]


def test_a_second_outage_inside_the_window_stays_recovering() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.heal()
    site.run(100)
    site.cut()
    assert site.run(120) == "recovering"
    site.heal()
    assert site.run(295) == "recovering"
    assert site.run(15) == "standby"


def test_a_second_outage_as_long_as_the_window_is_survivability_again() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.heal()
    site.run(100)
    site.cut()
    assert site.run(330) == "survivability"
    assert site.reasons()[-1].startswith("every zone is down again for 300 s: a (sip: no answer")


def test_restart_in_an_outage_serves_at_once() -> None:
    site = Site(IN_OUTAGE, a=False, b=False)
    assert site.survival.admits_registrations
    assert site.run(3600) == "survivability"
    assert site.changes() == []
    assert site.notices[0].topic == "survival.restored"


def test_restart_after_the_cloud_came_back_keeps_the_window() -> None:
    site = Site(IN_OUTAGE)
    assert site.run(1) == "recovering"
    assert site.run(298) == "recovering"
    assert site.run(3) == "standby"


def test_restart_while_recovering_begins_the_window_again() -> None:
    site = Site(SurvivalState(mode="recovering", since=WALL - 299))
    assert site.run(299) == "recovering"
    assert site.run(3) == "standby"


def test_restart_while_recovering_with_dead_zones_becomes_survivability() -> None:
    site = Site(SurvivalState(mode="recovering"), a=False, b=False)
    assert site.run(200) == "recovering"
    assert site.run(120) == "survivability"


def test_state_survives_the_store() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    assert restored_state(site.saved[-1].row) == site.survival.state
    assert site.survival.state.mode == "survivability"


@pytest.mark.parametrize("row", [None, b"", b"\xc1", msgspec.msgpack.encode({"mode": "asleep"})])
def test_an_unreadable_row_is_no_row(row: bytes | None) -> None:
    assert restored_state(row) is None


def test_start_saves_without_a_change() -> None:
    assert [save.change for save in Site().saved] == [None]


def test_a_test_ends_by_itself() -> None:
    site = Site()
    site.survival.test(600, site.now)
    assert (site.survival.mode, site.survival.admits_registrations) == ("testing", True)
    assert site.run(599) == "testing"
    assert site.run(2) == "standby"
    assert site.reasons() == ["test asked for, 600 s", "the test's time is over"]


def test_a_test_can_be_ended() -> None:
    site = Site()
    site.survival.test(600, site.now)
    site.survival.end_test(site.now)
    assert site.survival.mode == "standby"
    assert site.run(1000) == "standby"


def test_a_real_outage_takes_over_from_a_test() -> None:
    site = Site()
    site.run(10)
    site.survival.test(60, site.now)
    site.cut()
    assert site.run(15) == "survivability"
    assert site.run(60) == "survivability"


@pytest.mark.parametrize("seconds", [0, -1, 8 * 3600 + 1, float("nan")])
def test_a_test_has_a_sensible_length(seconds: float) -> None:
    site = Site()
    with pytest.raises(LocalError):
        site.survival.test(seconds, site.now)
    assert site.survival.mode == "standby"


def test_a_test_begins_in_standby_only() -> None:
    site = Site(IN_OUTAGE)
    with pytest.raises(LocalError, match="the mode is survivability"):
        site.survival.test(60, site.now)


@pytest.mark.parametrize(("until", "mode"), [(WALL + 50, "testing"), (WALL - 50, "standby")])
def test_a_test_goes_on_after_a_restart_until_its_end(until: float, mode: Mode) -> None:
    site = Site(SurvivalState(mode="testing", test_until=until))
    assert site.run(49) == mode
    assert site.run(2) == "standby"


def test_a_clock_gone_wrong_cannot_prolong_a_test_for_ever() -> None:
    site = Site(SurvivalState(mode="testing", test_until=WALL + 1e9))
    assert site.run(8 * 3600 + 1) == "standby"


def test_a_shorter_window_counts_at_once() -> None:
    site = Site(a=False, b=False)
    site.run(60)
    site.heal()
    site.run(100)
    site.survival.apply(Monitoring(stable_window=60), site.now)
    assert site.survival.mode == "standby"


def test_changes_are_told_and_kept_for_showing() -> None:
    site = Site(a=False, b=False)
    site.run(15)
    assert site.told == ["survivability"]
    change = site.survival.history[0]
    assert isinstance(change, Change)
    assert (change.before, change.after) == ("standby", "survivability")
    assert WALL < change.at < WALL + 15
    assert isinstance(site.saved[-1].change, ModeChange)
