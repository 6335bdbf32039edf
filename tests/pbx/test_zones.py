"""Zones: when they are asked, and what their answers make of them (A1)."""

from __future__ import annotations

import pytest

from appliance.bundle import Monitoring, Zone
from appliance.call.actions import Action, Notice, ProbeZone
from appliance.call.events import ZoneAnswer
from appliance.pbx.zones import HISTORY, Zones, ZoneWatch
from appliance.sip.timers import TimerQueue

A = Zone(id="a", host="a.example.com")
B = Zone(id="b", host="b.example.com")


class Watching:
    """Zones on a virtual clock; `answer` decides what each probe hears, None: nothing ever."""

    def __init__(self, *zones: Zone, monitoring: Monitoring | None = None) -> None:
        self.now = 100.0
        self.timers = TimerQueue()
        self.actions: list[Action] = []
        self.news: list[float] = []
        self.asked: list[tuple[float, str]] = []
        self.monitoring = monitoring or Monitoring()
        self.zones = Zones(self.timers, self.actions.append, self.monitoring, self.news.append)
        self.zones.apply(zones or (A,), self.monitoring, self.now)
        self.status: int | None = 200
        self.silent = False
        self.delay = 0.0

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.timers.deadline()) is not None and due <= end:
            self.now = due
            self.timers.expire(due)
            self.perform()
        self.now = end

    def perform(self) -> None:
        for action in self.actions:
            if isinstance(action, ProbeZone):
                self.asked.append((self.now - 100, action.zone.id))
                if not self.silent:
                    answer = ZoneAnswer(action.zone.id, self.status, "reset", "tcp", self.delay)
                    self.timers.arm(
                        self.now + self.delay, lambda at, a=answer: self.zones.answered(a, at)
                    )
        self.actions[:] = [action for action in self.actions if isinstance(action, Notice)]

    def times(self, zone: str = "a") -> list[float]:
        return [round(at, 2) for at, name in self.asked if name == zone]

    def __getitem__(self, zone: str) -> ZoneWatch:
        return self.zones.watches[zone]


def test_zones_are_asked_once_an_interval_and_in_turn() -> None:
    site = Watching(A, B)
    site.run(11)
    assert site.times("a") == [0, 5, 10]
    assert site.times("b") == [2.5, 7.5]


def test_a_zone_is_unknown_until_it_answers() -> None:
    site = Watching()
    assert site["a"].state == "unknown"
    site.run(0)
    assert (site["a"].state, site["a"].steady_since) == ("up", 100.0)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 405, 483, 500, 501, 603])
def test_any_final_answer_proves_life(status: int) -> None:
    site = Watching()
    site.status = status
    site.run(60)
    assert site["a"].state == "up"


@pytest.mark.parametrize(("status", "text"), [(503, "answered 503"), (408, "answered 408")])
def test_what_a_proxy_says_for_a_dead_zone_is_a_miss(status: int, text: str) -> None:
    site = Watching()
    site.status = status
    site.run(60)
    assert site["a"].state == "down"
    assert site["a"].reason == f"3 probes missed in a row, last one sip: {text}"


def test_a_failure_keeps_its_layer_and_words() -> None:
    site = Watching()
    site.status = None
    site.run(3)
    failure = site["a"].last_failure
    assert failure is not None
    assert (failure.layer, failure.text) == ("tcp", "reset")


@pytest.mark.parametrize("cut", [0.01, 1.0, 2.5, 4.99])
@pytest.mark.parametrize("silent", [True, False])
def test_a_cut_zone_is_down_within_15_seconds_at_default_settings(cut: float, silent: bool) -> None:
    site = Watching()
    site.run(20 + cut)
    site.silent, site.status, site.delay = silent, None, 3.0
    site.run(14.8)
    assert site["a"].state == "down"


def test_three_resets_at_once_are_not_an_outage() -> None:
    site = Watching()
    site.run(4)
    site.status = None
    site.run(6.9)
    assert (site.times(), site["a"].state) == ([0, 5, 8], "up")
    site.status = 200
    site.run(10)
    assert (site["a"].state, site["a"].misses) == ("up", 0)


def test_a_zone_that_answers_one_probe_in_three_is_never_down() -> None:
    site = Watching()
    states = set()
    for number in range(300):
        site.status = 200 if number % 3 == 2 else None
        asked = len(site.asked)
        while len(site.asked) == asked:
            site.run(0.5)
        states.add(site["a"].state)
    assert "down" not in states


def test_a_slow_answer_is_an_answer() -> None:
    site = Watching()
    site.delay = 2.0
    site.run(60)
    assert site["a"].state == "up"
    assert {sample.rtt for sample in site["a"].history} == {2.0}
    assert site.times() == [5.0 * n for n in range(13)]


def test_one_good_answer_brings_a_zone_back() -> None:
    site = Watching()
    site.silent = True
    site.run(30)
    assert site["a"].state == "down"
    site.silent = False
    site.run(5)
    assert (site["a"].state, site["a"].reason) == ("up", "answers")


def test_a_dead_zone_is_asked_on_the_beat_only() -> None:
    site = Watching()
    site.silent = True
    site.run(41)
    assert site.times() == [0, 3.25, 6.5, 10, 15, 20, 25, 30, 35, 40]


def test_a_good_answer_after_its_time_still_counts() -> None:
    site = Watching()
    site.silent = True
    site.run(4)
    site.zones.answered(ZoneAnswer("a", 200, rtt=3.9), site.now)
    assert (site["a"].state, site["a"].misses) == ("up", 0)


def test_a_bad_answer_after_its_time_is_not_counted_twice() -> None:
    site = Watching(monitoring=Monitoring(interval=10))
    site.status = None
    site.run(1)
    assert site["a"].misses == 1
    site.zones.answered(ZoneAnswer("a", None, "reset", "tcp"), site.now)
    assert site["a"].misses == 1


def test_an_answer_of_a_zone_no_longer_watched_is_ignored() -> None:
    site = Watching()
    site.zones.answered(ZoneAnswer("elsewhere", 200), site.now)
    assert site.news == []


def test_a_miss_ends_steadiness_though_the_zone_stays_up() -> None:
    site = Watching()
    site.run(20)
    site.status = None
    site.run(5)
    assert (site["a"].state, site["a"].steady_since) == ("up", None)
    site.status = 200
    site.run(10)
    assert site["a"].steady_since == 128.0


def test_history_is_bounded() -> None:
    site = Watching()
    site.run(5 * HISTORY * 2)
    assert len(site["a"].history) == HISTORY


def test_each_change_of_state_is_told_once() -> None:
    site = Watching()
    site.run(20)
    site.status = None
    site.run(60)
    notices = [action.text for action in site.actions if isinstance(action, Notice)]
    assert notices == [
        "Zone a (a.example.com) is up: answers",
        "Zone a (a.example.com) is down: 3 probes missed in a row, last one tcp: reset",
    ]


def test_all_down_needs_every_zone() -> None:
    site = Watching(A, B)
    site.run(10)
    site["b"].state = "down"
    assert not site.zones.all_down()
    site["a"].state = "down"
    assert site.zones.all_down()


def test_no_zones_at_all_is_not_an_outage() -> None:
    site = Watching()
    site.zones.apply((), site.monitoring, site.now)
    assert not site.zones.all_down()


def test_a_new_bundle_keeps_what_is_known_of_unchanged_zones() -> None:
    site = Watching(A, B)
    site.run(20)
    moved = Zone(id="b", host="elsewhere.example.com")
    site.zones.apply((A, moved), site.monitoring, site.now)
    assert (site["a"].state, site["b"].state) == ("up", "unknown")
    site.asked.clear()
    site.run(10)
    assert (site.times("a"), site.times("b")) == ([20, 25, 30], [22.5, 27.5])


def test_a_zone_that_left_the_bundle_is_not_asked_again() -> None:
    site = Watching(A, B)
    site.run(20)
    site.zones.apply((A,), site.monitoring, site.now)
    site.asked.clear()
    site.run(20)
    assert site.times("b") == []


def test_our_own_dead_cable_says_nothing_of_a_zone() -> None:
    site = Watching()
    site.run(6)
    site.silent = True
    for _ in range(10):
        site.run(5)
        site.zones.answered(ZoneAnswer("a", None, "link: no signal", "link"), site.now)
    assert (site["a"].state, site["a"].misses) == ("up", 0)
    assert site["a"].steady_since is None, "nor is it a sign of life"
    failure = site["a"].last_failure
    assert failure is not None and failure.layer == "link"
    site.run(15)
    assert site["a"].state == "down", "with the cable back, silence counts again"
