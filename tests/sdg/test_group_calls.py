"""Calls to groups, by phones around one real core on a virtual clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.bundle import Hours, Window
from appliance.sip.message import Response
from tests.phones import WALL
from tests.sdg.office import Office, group

RING_ALL = group(members="1002 1003 1004")


def test_all_members_ring_and_the_first_answer_wins() -> None:
    office = Office(RING_ALL)
    assert office.call() == []
    rung = office.rung()
    assert sorted(rung) == ["1002", "1003", "1004"]
    assert 180 in office.caller.responses()
    office.pick_up("1003", rung["1003"])
    for loser in ("1002", "1004"):
        cancel = office.phones[loser].expect("CANCEL")
        assert cancel.first("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    record = office.bench.record_of_the_only_call()
    assert (record.outcome, record.answered_by) == ("answered", "1003")
    assert "group G7000 (7000)" in record.steps


def test_a_member_who_declines_leaves_the_others_ringing() -> None:
    office = Office(RING_ALL)
    office.call()
    rung = office.rung()
    office.phones["1002"].answer(rung["1002"], 603, tag="t1002")
    office.phones["1004"].answer(rung["1004"], 486, tag="t1004")
    office.pick_up("1003", rung["1003"])
    assert office.bench.record_of_the_only_call().answered_by == "1003"


def test_nobody_answers_and_the_call_goes_on_elsewhere() -> None:
    office = Office(group(members="1002 1003", ring_time=15, no_answer="1005", overflow="1004"))
    office.call()
    assert sorted(office.rung()) == ["1002", "1003"]
    assert list(office.wait(15)) == ["1005"]
    assert "nobody answered: on to 1005" in office.steps


def test_rounds_are_as_many_as_the_group_says() -> None:
    office = Office(group(members="1002", rounds=3, ring_time=10, overflow="1005"))
    office.call()
    assert [list(office.rung()), list(office.wait(10)), list(office.wait(10))] == [["1002"]] * 3
    assert list(office.wait(10)) == ["1005"]


def test_a_caller_rings_no_longer_than_the_limit() -> None:
    limited = group(members="1002", rounds=10, ring_time=20, ring_limit=30, overflow="1005")
    office = Office(limited)
    office.call()
    assert list(office.rung()) == ["1002"]
    assert list(office.wait(20)) == ["1002"]
    assert list(office.wait(9)) == []
    assert list(office.wait(1)) == ["1005"]


def test_members_ring_one_after_the_other() -> None:
    office = Office(group(members="1002 1003 1004", strategy="sequential", ring_time=10))
    office.call()
    rung = office.rung()
    assert list(rung) == ["1002"]
    office.phones["1002"].answer(rung["1002"], 486, tag="t1002")
    assert list(office.rung()) == ["1003"]
    assert list(office.wait(10)) == ["1004"]


def test_round_robin_begins_after_whoever_rang_last() -> None:
    office = Office(group(members="1002 1003 1004", strategy="round_robin", ring_time=10))
    first = []
    for _ in range(4):
        office.call()
        first += list(office.rung())
        office.give_up()
    assert first == ["1002", "1003", "1004", "1002"]


def test_whoever_waited_longest_is_rung_first() -> None:
    office = Office(group(members="1002 1003 1004", strategy="longest_idle"))
    office.talk("1002", "1005")
    office.bench.advance(5)
    office.end_calls()
    office.bench.advance(40)
    office.refresh()
    office.call()
    assert list(office.rung()) == ["1003"]
    assert list(office.wait(20)) == ["1004"]
    assert list(office.wait(20)) == ["1002"]


def test_a_busy_member_is_passed_over_at_once() -> None:
    office = Office(group(members="1002 1003", strategy="sequential"))
    office.talk("1002", "1005")
    office.call()
    assert list(office.rung()) == ["1003"]
    record = list(office.bench.core.switchboard.calls.values())[-1].draft.record
    assert "passed over: 1002 (on another call)" in record.steps


def test_a_member_without_a_phone_is_passed_over_at_once() -> None:
    office = Office(RING_ALL, phones="1001 1003")
    office.call()
    assert list(office.rung()) == ["1003"]
    assert "passed over: 1002 (no phone here), 1004 (no phone here)" in office.steps


def test_two_callers_meet_two_members() -> None:
    office = Office(group(members="1002 1003", strategy="sequential"))
    office.call()
    assert list(office.rung()) == ["1002"]
    office.call(caller="1005")
    assert list(office.rung()) == ["1003"]
    office.call(caller="1004")
    assert list(office.rung()) == ["1002"], "nobody is free: who rings already rings for two"


@pytest.mark.parametrize(
    ("phones", "talking", "next_place"),
    [("1001 1005", False, "empty"), ("1001 1002 1003 1005", True, "busy")],
)
def test_empty_and_busy_have_places_of_their_own(
    phones: str, talking: bool, next_place: str
) -> None:
    places = {"empty": "1004", "busy": "1004", "no_answer": "1004", "overflow": "1004"}
    places[next_place] = "1005"
    office = Office(group(members="1002 1003", **places), phones=phones)
    if talking:
        office.talk("1002", "1003")
    office.call()
    assert list(office.rung()) == ["1005"]


def test_a_group_without_a_next_step_says_so_and_hangs_up() -> None:
    office = Office(group(members="1002"), phones="1001")
    assert office.call() == [183]
    assert office.heard() == "nobody-available"
    assert office.caller.responses() == [480]
    record = office.bench.record
    assert (record.outcome, record.reason) == ("unavailable", "G7000: nobody has a phone here now")
    office.bench.quiet()


def test_the_caller_hears_music_while_it_rings() -> None:
    office = Office(group(members="1002", hears="music"))
    assert office.call() == [183]
    assert (office.hears.name, office.hears.loop) == ("music", True)  # type: ignore[union-attr]
    rung = office.rung()
    office.pick_up("1002", rung["1002"])
    assert office.hears is None


def test_a_prompt_comes_before_the_ringing() -> None:
    office = Office(group(members="1002", prompt="hello"))
    assert office.call() == [183]
    assert office.rung() == {}
    assert office.heard() == "hello"
    assert list(office.rung()) == ["1002"]


def test_a_caller_hangs_up_while_members_ring() -> None:
    office = Office(RING_ALL)
    office.call()
    office.rung()
    office.caller.send(office.caller.cancel(office.invite))  # type: ignore[arg-type]
    assert office.rung() == {}
    assert sorted(office.caller.responses()) == [180, 200, 487]
    assert office.bench.record.outcome == "cancelled"
    office.bench.quiet()


def test_a_caller_hangs_up_in_a_menu() -> None:
    office = Office(group(kind="menu", keys={"1": "1002"}, prompt="welcome"))
    assert office.call() == [200]
    office.end_calls()
    assert office.rung() == {}
    office.bench.quiet()


# -- menus, prompts, users, numbers, groups -----------------------------------------------------


def test_a_key_ends_the_menu_and_leads_on() -> None:
    office = Office(
        group(kind="menu", keys={"1": "1002", "2": "7001"}, prompt="welcome"),
        group("7001", members="1003"),
    )
    assert office.call() == [200]
    assert office.hears.name == "welcome"  # type: ignore[union-attr]
    office.press("2")
    assert list(office.rung()) == ["1003"]
    assert office.hears.name == "tone/ringback"  # type: ignore[union-attr]
    assert "2 leads to 7001 (G7001)" in office.steps


def test_a_menu_is_said_again_after_a_wrong_key_and_after_none() -> None:
    office = Office(group(kind="menu", keys={"1": "1002"}, prompt="welcome", overflow="1005"))
    office.call()
    office.press("5")
    assert office.heard() == "invalid-choice"
    assert office.heard() == "welcome"
    office.bench.advance(5)
    assert office.heard() == "nothing-entered"
    assert office.heard() == "welcome"
    assert list(office.wait(4.9)) == []
    assert list(office.wait(0.1)) == ["1005"]


def test_an_extension_is_dialled_where_the_menu_allows_it() -> None:
    office = Office(group(kind="menu", keys={"1": "1002"}, dial_extension=True, prompt="welcome"))
    office.call()
    office.press("1003")
    assert list(office.rung()) == ["1003"], "no pause after the last digit"


def test_a_key_that_begins_an_extension_waits_for_more() -> None:
    office = Office(group(kind="menu", keys={"1": "1002"}, dial_extension=True, prompt="welcome"))
    office.call()
    office.press("1")
    assert list(office.wait(2.9)) == []
    assert list(office.wait(0.1)) == ["1002"]


CALLED = {"1002": "Ana Silva", "1003": "João Müller", "1004": "Bruno Silva"}


def test_a_name_that_fits_one_user_is_taken_at_once() -> None:
    office = Office(group(kind="menu", names_key="*", prompt="welcome"), called=CALLED)
    office.call()
    office.press("*685")
    read = [office.heard() for _ in range(5)]
    assert read == ["connecting-to", "digit-1", "digit-0", "digit-0", "digit-3"]
    assert list(office.rung()) == ["1003"]
    assert "found João Müller (1003)" in office.steps


def test_of_two_with_a_name_the_caller_chooses() -> None:
    office = Office(group(kind="menu", names_key="*", prompt="welcome"), called=CALLED)
    office.call()
    office.press("*745#")
    read = [office.heard() for _ in range(8)]
    assert read[0] == "name-choose"
    assert read[-2:] == ["press", "digit-1"]
    office.press("2")
    assert "found Bruno Silva (1004)" in office.steps


def test_more_names_than_can_be_read_out_need_more_letters() -> None:
    office = Office(group(kind="menu", names_key="*", prompt="welcome"))
    office.call()
    office.press("*")
    assert office.hears.name == "dial-by-name"  # type: ignore[union-attr]
    office.press("873#")  # "use": all five are called User
    assert office.heard() == "name-many"
    office.press("*")
    assert office.hears.name == "welcome"  # type: ignore[union-attr]


def test_a_message_and_then_somebody() -> None:
    office = Office(group(kind="prompt", prompt="night", target="1002"))
    assert office.call() == [200]
    assert office.heard() == "night"
    assert list(office.rung()) == ["1002"]


def test_a_message_and_then_the_end() -> None:
    office = Office(group(kind="prompt", prompt="night"))
    office.call()
    assert office.heard() == "night"
    office.caller.answer(office.caller.expect("BYE"), 200)
    assert office.bench.record.outcome == "answered"
    office.bench.quiet()


def test_a_user_as_a_group_has_the_groups_next_step() -> None:
    office = Office(group(kind="user", target="1002", ring_time=10, overflow="1003"))
    office.call()
    assert list(office.rung()) == ["1002"]
    assert list(office.wait(10)) == ["1003"]


def test_a_number_outside_needs_a_trunk_and_says_so() -> None:
    office = Office(group(kind="number", number="+13125550100", overflow="1003"))
    office.call()
    assert list(office.rung()) == ["1003"]
    text = "+13125550100 is outside, and no trunk leads there; back to where it came from"
    assert text in office.steps


def test_a_group_in_a_group_comes_back_when_nobody_is_there() -> None:
    inner = group("7001", members="1002", ring_time=10)
    office = Office(group(kind="group", target="7001", no_answer="1003"), inner)
    office.call()
    assert list(office.rung()) == ["1002"]
    assert list(office.wait(10)) == ["1003"]


def test_a_did_of_a_group_leads_to_it() -> None:
    office = Office(group(members="1002", numbers=("+13125550123",)))
    office.call("+13125550123")
    assert list(office.rung()) == ["1002"]


def test_a_circle_is_stopped_at_run_time() -> None:
    circle = [group(f"700{n}", members="1004", overflow=f"700{(n + 1) % 3}") for n in range(3)]
    office = Office(*circle, phones="1001")
    assert office.call() == [482]
    assert office.steps.count("nobody has a phone here now: on to 7001") == 3
    office.bench.quiet()


def test_a_caller_may_come_back_to_a_menu_but_not_for_ever() -> None:
    office = Office(group(kind="menu", keys={"9": "7000"}, prompt="welcome"))
    office.call()
    for _ in range(64):
        office.press("9")
        assert office.hears.name == "welcome"  # type: ignore[union-attr]
    office.press("9")
    office.caller.answer(office.caller.expect("BYE"), 200)


# -- hours --------------------------------------------------------------------------------------

OFFICE_HOURS = Hours(
    id="office",
    time_zone="Europe/Zurich",
    windows=(
        Window(days=("mon", "tue", "wed", "thu", "fri"), opens="08:00", closes="18:00"),
        Window(days=("sun",), opens="01:30", closes="03:30"),
    ),
    holidays=("2027-01-15",),
)


@pytest.mark.parametrize(
    ("time", "rung"),
    [
        ("2027-01-18 07:59:00", "1005"),
        ("2027-01-18 08:00:00", "1002"),
        ("2027-01-18 18:00:00", "1005"),
        ("2027-01-17 12:00:00", "1005"),
        ("2027-01-15 12:00:00", "1005"),
        ("2027-03-28 01:59:59+01:00", "1002"),
        ("2027-03-28 03:29:59+02:00", "1002"),
        ("2027-03-28 03:30:00+02:00", "1005"),
        ("2027-10-31 02:59:59+02:00", "1002"),
        ("2027-10-31 02:00:00+01:00", "1002"),
        ("2027-10-31 03:30:00+01:00", "1005"),
    ],
)
def test_it_is_open_or_closed_by_the_clock(
    time: str, rung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(group(members="1002", hours="office", closed="1005"), hours=(OFFICE_HOURS,))
    given = datetime.fromisoformat(time)
    when = (given if given.tzinfo else given.replace(tzinfo=ZoneInfo("Europe/Zurich"))).timestamp()
    destinations = office.bench.core.switchboard._destinations
    assert destinations is not None
    assert destinations._wall(office.bench.now) == WALL + office.bench.now
    monkeypatch.setattr(destinations, "_wall", lambda now: when)
    office.call()
    assert list(office.rung()) == [rung]


def test_two_hundred_members_ring_and_one_answers() -> None:
    """The others are told "completed elsewhere", and no dialog is left half open."""
    names = [str(1001 + index) for index in range(200)]
    office = Office(group(members=" ".join(names)), phones=" ".join(names), count=200)
    office.call()
    rung = office.rung()
    assert len(rung) == 199
    office.pick_up("1150", rung["1150"])
    assert office.rung() == {}
    record = office.bench.record_of_the_only_call()
    assert record.answered_by == "1150"
    office.end_calls()
    office.bench.quiet()


def test_the_answer_of_the_last_response_is_not_lost() -> None:
    office = Office(RING_ALL)
    office.call()
    rung = office.rung()
    for extension in ("1002", "1003", "1004"):
        office.phones[extension].answer(rung[extension], 486, tag=f"t{extension}")
    assert office.heard() == "nobody-available"
    last = office.caller.take()[-1]
    assert isinstance(last, Response)
    assert last.status == 486
    assert office.bench.record.outcome == "busy"
