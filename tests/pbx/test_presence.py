"""Who is busy, who rings and who waits, as calls come and go."""

from __future__ import annotations

from appliance.pbx.presence import Presence
from tests.sdg.office import Office, group


def presence(office: Office) -> Presence:
    return office.bench.core.switchboard.presence


def busy(office: Office) -> set[str]:
    there = presence(office).busy()
    return {extension for extension in office.phones if extension in there}


def test_who_calls_is_busy_and_who_rings_is_not_yet() -> None:
    office = Office(group(members="1002 1003"))
    assert busy(office) == set()
    office.call()
    rung = office.rung()
    assert busy(office) == {"1001"}
    assert presence(office).ringing() == {"1002", "1003"}
    office.pick_up("1003", rung["1003"])
    assert busy(office) == {"1001", "1003"}
    assert presence(office).ringing() == set()


def test_nothing_is_kept_of_a_call_but_its_end() -> None:
    office = Office(group(members="1002"))
    office.talk("1001", "1002")
    user = office.bench.bundle.users[1]
    assert presence(office).idle_since(user) == 0
    office.end_calls()
    office.bench.quiet()
    assert presence(office).idle_since(user) > 0
    assert busy(office) == set()
    assert not presence(office)._parties
    assert not presence(office)._busy
    presence(office).keep(["1001"])
    assert presence(office).idle_since(user) == 0


def test_a_call_that_nobody_took_makes_nobody_idle() -> None:
    office = Office(group(members="1002"))
    office.call()
    office.rung()
    office.give_up()
    assert presence(office).idle_since(office.bench.bundle.users[0]) == 0


def test_a_user_in_two_calls_is_busy_until_the_last_one_ends() -> None:
    office = Office(group(members="1002"))
    office.talk("1001", "1002")
    office.talk("1001", "1003")
    first, second = office.bench.core.switchboard.calls.values()
    first.end("system", "enough", office.bench.now)
    assert busy(office) == {"1001", "1003"}
    second.end("system", "enough", office.bench.now)
    assert busy(office) == set()


def test_parties_of_a_restored_call_are_busy() -> None:
    office = Office(group(members="1002"))
    office.talk("1001", "1002")
    office.bench.restart()
    assert busy(office) == {"1001", "1002"}
