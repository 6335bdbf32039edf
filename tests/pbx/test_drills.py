"""Tests that begin by themselves (A6): when, for whom, when not, and what came of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from appliance.bundle import Drill, Monitoring
from appliance.pbx.attendance import NAMED
from appliance.pbx.drills import LOOK, beginning
from tests.call.test_basic_call import talking
from tests.pbx.test_testing import command, office, statuses
from tests.phones import WALL, Bench, user

CHICAGO = ZoneInfo("America/Chicago")
BEGUN = WALL + 1000.0
"""Where a bench begins: 2027-01-15 08:16:40 UTC, a Friday."""
FRIDAY = Drill(id="weekly", days=("fri",), at="09:00", minutes=20, who=("300",))
UNTIL_NINE = 43 * 60 + 20.0
WEEK = 7 * 86400.0
SELDOM = Monitoring(interval=300.0)
"""Asks the zones so seldom that weeks are soon over."""


def site(*drills: Drill, **more: Any) -> Bench:
    """Put a site with drills to work, an hour before nine; its cloud answers."""
    bench = Bench(replace(office(), drills=drills, **more))
    bench.zones_up = True
    bench.advance(10)
    return bench


def until(bench: Bench, seconds: float) -> None:
    """Let time pass up to so many seconds after the beginning."""
    bench.advance(1000.0 + seconds - bench.now)


def changes(bench: Bench) -> list[tuple[str, str]]:
    assert bench.core.survival is not None
    return [(change.after, change.reason) for change in bench.core.survival.history]


def missed(bench: Bench) -> list[str]:
    return [notice.text for notice in bench.notices if notice.topic == "drill.missed"]


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("drill", "after", "at"),
    [
        ({"days": ("mon",)}, "2026-11-30 15:59:59", "2026-11-30 16:00"),
        ({"days": ("mon",)}, "2026-11-30 16:00", "2026-12-07 16:00"),
        ({"days": ("mon", "thu")}, "2026-11-30 16:00", "2026-12-03 16:00"),
        ({"days": ("mon",), "at": "23:00"}, "2026-12-01 04:00", "2026-12-01 05:00"),
        ({"day": "2026-12-24"}, "2026-11-30 16:00", "2026-12-24 16:00"),
        ({"days": ("mon",)}, "2027-03-09 00:00", "2027-03-15 15:00"),  # Summer time by then.
        ({"days": ("sun",), "at": "02:30"}, "2027-03-13 00:00", "2027-03-14 08:30"),
        ({"days": ("sun",), "at": "01:30"}, "2026-10-31 12:00", "2026-11-01 06:30"),
        ({"days": ("sun",), "at": "01:30"}, "2026-11-01 06:30", "2026-11-08 07:30"),
    ],
)
def test_a_drill_begins_by_the_clock_of_the_site(
    drill: dict[str, Any], after: str, at: str
) -> None:
    made = Drill(**{"id": "d", "at": "10:00"} | drill)
    assert beginning(made, CHICAGO, utc(after)) == utc(at)


def test_a_drill_of_one_day_is_over_when_it_has_begun() -> None:
    drill = Drill(id="d", day="2026-12-24", at="10:00")
    assert beginning(drill, CHICAGO, utc("2026-12-24 16:00")) is None


def test_it_begins_and_ends_by_itself_for_whom_it_names() -> None:
    bench = site(FRIDAY)
    until(bench, UNTIL_NINE - 1)
    assert (bench.mode, statuses(bench, "1003")) == ("standby", [503])
    until(bench, UNTIL_NINE + 1)
    assert (bench.mode, statuses(bench, "1003", "1001")) == ("testing", [200, 503])
    until(bench, UNTIL_NINE + 20 * 60 + 1)
    assert bench.mode == "standby"
    begun, over = changes(bench)
    assert begun == ("testing", "test of 300 asked for by the drill weekly, 1200 s")
    assert over[1].startswith("the test's time is over; 1 of 2 users had a phone here, not 1004; ")


def test_it_begins_again_each_week_and_once_each_time() -> None:
    bench = site(FRIDAY, monitoring=SELDOM)
    until(bench, 2 * WEEK + UNTIL_NINE + 3600)
    assert [mode for mode, _ in changes(bench)] == ["testing", "standby"] * 3
    assert not missed(bench)


def test_the_next_one_is_told_with_the_mode() -> None:
    bench = site(replace(FRIDAY, id="later", at="09:30"), FRIDAY)
    told = {"id": "weekly", "at": BEGUN + UNTIL_NINE, "minutes": 20, "who": ["300"]}
    assert command(bench, "mode")["next_drill"] == told
    until(bench, UNTIL_NINE + 1)
    assert command(bench, "mode")["next_drill"]["id"] == "later"
    assert command(site(), "mode")["next_drill"] is None


def test_a_drill_of_the_site_serves_everybody() -> None:
    bench = site(replace(FRIDAY, who=()))
    until(bench, UNTIL_NINE + 1)
    assert statuses(bench, "1001", "1005") == [200, 200]


def test_what_came_of_it_stands_in_the_history() -> None:
    bench = site(FRIDAY)
    until(bench, UNTIL_NINE + 1)
    alice, bob = bench.registered("1003", "1004")
    invite, answer, _ = talking(bench, alice, bob)
    alice.send(alice.within(invite, answer, "BYE"))
    bob.answer(bob.expect("BYE"), 200)
    assert alice.responses() == [200]
    alice.invite("1009")
    until(bench, UNTIL_NINE + 20 * 60 + 1)
    location = bench.core.switchboard.people.location
    assert location.users() == 0, "both have left, within the time of the test"
    assert changes(bench)[-1][1].endswith("2 of 2 users had a phone here; 2 calls, 1 answered")


def test_of_many_who_did_not_come_some_are_named() -> None:
    people = tuple(user(str(extension)) for extension in range(2000, 2100))
    without = replace(user("2100"), credentials=())
    drill = replace(FRIDAY, who=())
    bench = Bench(
        replace(office(), users=(*people, without), groups=(), devices=(), drills=(drill,))
    )
    bench.zones_up = True
    until(bench, UNTIL_NINE + 20 * 60 + 1)
    reason = changes(bench)[-1][1]
    assert "0 of 100 users had a phone here, not 2000, 2001, " in reason
    assert f" and {100 - NAMED} more; 0 calls" in reason


def test_a_real_outage_ends_it_at_once_and_serves_everybody() -> None:
    bench = site(FRIDAY)
    until(bench, UNTIL_NINE + 1)
    bench.zones_up = False
    bench.advance(16)
    assert (bench.mode, statuses(bench, "1001", "1003")) == ("survivability", [200, 200])
    until(bench, UNTIL_NINE + 20 * 60 + 1)
    assert bench.mode == "survivability"


def test_in_an_outage_none_begins_and_somebody_is_told() -> None:
    bench = site(FRIDAY)
    bench.zones_up = False
    until(bench, UNTIL_NINE + 1)
    assert bench.mode == "survivability"
    assert missed(bench) == ["Drill weekly did not begin: no zone of the cloud answers"]
    bench.zones_up = True
    until(bench, UNTIL_NINE + 3600)
    assert "testing" not in [mode for mode, _ in changes(bench)]


def test_none_begins_while_the_cloud_returns() -> None:
    bench = site(FRIDAY)
    bench.zones_up = False
    until(bench, UNTIL_NINE - 100)
    bench.zones_up = True
    until(bench, UNTIL_NINE + 1)
    assert bench.mode == "recovering"
    (text,) = missed(bench)
    assert "a test begins in standby only; the mode is recovering" in text


def test_of_two_at_a_time_the_second_does_not_begin() -> None:
    bench = site(FRIDAY, replace(FRIDAY, id="other", at="09:10", who=("1001",)))
    until(bench, UNTIL_NINE + 3600)
    assert [mode for mode, _ in changes(bench)] == ["testing", "standby"]
    (text,) = missed(bench)
    assert text.startswith("Drill other did not begin: a test begins in standby only")


def test_a_new_bundle_moves_it_and_takes_it_away() -> None:
    bench = site(FRIDAY, monitoring=SELDOM)
    later = replace(bench.bundle, version=2, drills=(replace(FRIDAY, at="10:00"),))
    bench.perform(bench.core.apply(later, bench.now))
    until(bench, UNTIL_NINE + 1)
    assert bench.mode == "standby"
    until(bench, UNTIL_NINE + 3601)
    assert bench.mode == "testing"
    command(bench, "test.end")
    bench.perform(bench.core.apply(replace(later, version=3, drills=()), bench.now))
    until(bench, UNTIL_NINE + 2 * WEEK)
    assert bench.mode == "standby"


def test_a_restart_in_a_drill_goes_on_with_it_and_begins_none_anew() -> None:
    bench = site(FRIDAY)
    until(bench, UNTIL_NINE + 60)
    bench.restart()
    assert (bench.mode, statuses(bench, "1003", "1001")) == ("testing", [200, 503])
    until(bench, UNTIL_NINE + 3600)
    ((mode, reason),) = changes(bench)
    assert mode == "standby"
    assert reason.endswith("0 calls since the restart, 0 answered")


def test_what_was_due_while_the_appliance_was_off_is_not_made_up_for() -> None:
    bench = site(FRIDAY)
    bench.now += 2 * 3600  # Nothing ran.
    bench.restart()
    bench.advance(3600)
    assert not changes(bench)


def test_a_clock_that_is_put_forward_makes_no_drill_late() -> None:
    bench = site(FRIDAY)
    ahead = [0.0]
    bench.core.drills._wall = lambda now: WALL + now + ahead[0]
    ahead[0] = 2 * 3600.0
    until(bench, 4 * LOOK)
    assert not changes(bench)
    assert missed(bench) == [
        "Drill weekly did not begin: its time has passed while the clock was set or stood still"
    ]


def test_a_clock_that_is_put_right_a_little_finds_its_drill_in_time() -> None:
    bench = site(FRIDAY)
    bench.core.drills._wall = lambda now: WALL + now + 900.0
    until(bench, UNTIL_NINE - 900 + 1)
    assert bench.mode == "testing"


def test_a_clock_that_was_years_ahead_keeps_no_drill_from_beginning() -> None:
    bench = site(FRIDAY)
    bench.core.drills._seen = BEGUN + 5 * 365 * 86400.0
    until(bench, UNTIL_NINE + 1)
    assert bench.mode == "testing"


def test_without_drills_nothing_is_looked_at() -> None:
    bench = site()
    assert bench.core.drills._timer is None
    assert bench.core.drills.next(bench.now) is None
