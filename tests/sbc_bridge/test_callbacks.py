"""Who is called back after a call for help, and for how long (E7)."""

from __future__ import annotations

import pytest

from appliance.bundle import Group, Policies
from appliance.call.actions import Action, DropCallback, Notice, SaveCallback
from appliance.call.emergency import HelpCaller
from appliance.call.steps import Goto, Note, Outcome, Plan, Reject, Ring, Step
from appliance.sip.flow import Flow
from appliance.sip.timers import TimerQueue
from sbc_bridge.emergency.callbacks import CAPACITY, Callbacks
from tests.clock import Clock
from tests.phones import user
from tests.sbc_bridge.emergency_office import ELIN, POOL, Site

HOUR = 3600.0


class Table:
    """A table on a virtual clock, with what it wants written."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.rows: dict[str, bytes] = {}
        self.notices: list[Notice] = []
        self.start()

    def start(self) -> None:
        self.timers = TimerQueue()
        self.clock = Clock(self.clock.now)
        self.clock.drive(self.timers)
        self.callbacks = Callbacks(self.timers, self.perform)

    def perform(self, action: Action) -> None:
        if isinstance(action, SaveCallback):
            self.rows[action.call_id] = action.row
        elif isinstance(action, DropCallback):
            self.rows.pop(action.call_id, None)
        elif isinstance(action, Notice):
            self.notices.append(action)

    def call(self, extension: str, number: str = ELIN, seconds: float = 2 * HOUR) -> None:
        caller = self.caller(extension)
        self.callbacks.remember(caller, number, "hall", seconds, self.clock.now)

    def caller(self, extension: str) -> HelpCaller:
        return HelpCaller(
            call_id=f"call-{extension}-{self.clock.now}",
            user=user(extension),
            proved=True,
            flow=Flow("TCP", ("192.0.2.10", 5060), ("192.0.2.1", 5060), 7),
            contact=f"sip:{extension}@192.0.2.1",
        )

    def who(self, number: str = ELIN) -> list[str]:
        return [one.extension for one in self.callbacks.callers(number, self.clock.now)]

    def restart(self, offset: float = 0.0) -> None:
        rows = tuple(self.rows.values())
        self.start()
        self.callbacks.restore(rows, offset, self.clock.now)


def test_at_one_hour_fifty_nine_it_leads_back_and_at_two_hours_one_it_does_not() -> None:
    table = Table()
    table.call("1001")
    table.clock.advance(2 * HOUR - 60)
    assert table.who() == ["1001"]
    table.clock.advance(120)
    assert table.who() == []
    assert not table.rows


def test_a_restart_changes_nothing() -> None:
    table = Table()
    table.call("1001")
    table.clock.advance(HOUR)
    table.restart()
    table.clock.advance(HOUR - 60)
    assert table.who() == ["1001"]
    (entry,) = table.callbacks.callers(ELIN, table.clock.now)
    assert entry.flow.connection == -1, "the connection is of another process"
    table.clock.advance(120)
    assert table.who() == []


def test_a_reboot_that_took_half_an_hour_counts_as_half_an_hour() -> None:
    table = Table()
    table.call("1001")
    table.clock.advance(HOUR)
    rebooted_at, away = 10.0, HOUR / 2
    offset = rebooted_at - away - table.clock.now
    table.clock.now = rebooted_at
    table.restart(offset)
    assert table.who() == ["1001"]
    table.clock.advance(HOUR / 2 - 60)
    table.restart()  # its rows are of the new clock now
    assert table.who() == ["1001"]
    table.clock.advance(120)
    assert table.who() == []


@pytest.mark.parametrize("error", [365 * 24 * HOUR, 60 * HOUR])
def test_a_clock_that_jumps_at_boot_makes_nothing_live_longer_than_it_may(error: float) -> None:
    table = Table()
    table.call("1001")
    table.restart(error)
    assert table.who() == ["1001"]
    table.clock.advance(2 * HOUR + 1)
    assert table.who() == []


def test_what_expired_while_it_was_off_is_forgotten() -> None:
    table = Table()
    table.call("1001")
    table.restart(-3 * HOUR)
    assert table.who() == []
    assert not table.rows


@pytest.mark.parametrize("row", [b"\xc1", b"", b"\x9b\xa2\xff\xfe"])
def test_rows_nobody_can_read_are_passed_over(row: bytes) -> None:
    table = Table()
    table.call("1001")
    table.rows = {"x": row, **table.rows}
    table.restart()
    assert table.who() == ["1001"]


def test_the_latest_caller_comes_first_and_each_once() -> None:
    table = Table()
    for extension in ("1001", "1002", "1001"):
        table.call(extension)
        table.clock.advance(1)
    assert table.who() == ["1001", "1002"]


def test_a_caller_keeps_its_number_and_others_get_free_ones() -> None:
    table = Table()
    lent = []
    for extension in ("1001", "1001", "1002", "1003"):
        number = table.callbacks.lend(POOL, table.caller(extension), table.clock.now)
        table.call(extension, number)
        lent.append(number)
        table.clock.advance(1)
    assert lent == [POOL[0], POOL[0], POOL[1], POOL[0]], "the oldest is shared when none is free"
    assert table.who(POOL[0]) == ["1003", "1001"]
    assert table.callbacks.lend((), table.caller("1"), table.clock.now) == ""


def test_the_table_is_bounded() -> None:
    table = Table()
    for number in range(CAPACITY + 1):
        table.call(str(10_000 + number))
    assert len(table.callbacks) == len(table.rows) == CAPACITY
    assert [notice.topic for notice in table.notices] == ["emergency.callbacks_full"]
    assert "10000" not in table.who()


# -- the call that comes back ------------------------------------------------------------------


def back(site: Site, number: str = ELIN) -> Plan:
    help = site.bench.core.help
    assert help is not None
    plan = help.callback(number, site.bench.now)
    assert plan is not None
    return plan


def steps(plan: Plan, *words: str) -> list[Step]:
    """Walk a plan whose rings end with these words."""
    found: list[Step] = []
    waiting = list(words)
    outcome: Outcome | None = None
    while True:
        try:
            step = next(plan) if outcome is None else plan.send(outcome)
        except StopIteration:
            return found
        if isinstance(step, Note):
            outcome = Outcome("noted")
            continue
        found.append(step)
        if isinstance(step, Goto | Reject):
            return found
        outcome = Outcome(waiting.pop(0), 480)


def ringing(step: Step) -> set[str]:
    assert isinstance(step, Ring)
    return {target.uri for target in step.targets}


def test_a_call_back_rings_the_caller_first_and_then_the_safety_group() -> None:
    group = Group(id="g", name="Safety", extension="7000", members=("u1003",))
    site = Site(groups=(group,), safety_group="7000")
    site.talk()
    first, second = steps(back(site), "no_answer")
    phone = site.phones["1001"]
    assert ringing(first) == {phone.contact.strip("<>")}
    assert second == Goto("7000")


def test_without_a_group_the_team_takes_it() -> None:
    site = Site(safety_team=("u1002",))
    site.talk()
    _, second, last = steps(back(site), "busy", "no_answer")
    assert ringing(second) == {site.phones["1002"].contact.strip("<>")}
    assert isinstance(last, Reject)


def test_a_stranger_is_called_back_on_the_way_it_came() -> None:
    site = Site()
    stranger = site.bench.phone("nobody")
    invite = site.dial(stranger)
    site.answer(site.sbc)
    site.acknowledge(stranger, invite)
    first, _ = steps(back(site), "no_answer")
    assert isinstance(first, Ring)
    (target,) = first.targets
    assert (target.uri, target.flow) == (stranger.contact.strip("<>"), stranger.flow)


def test_two_who_share_a_number_ring_both() -> None:
    site = Site()
    site.talk("1001")
    site.talk("1002")
    first, _ = steps(back(site), "no_answer")
    assert len(ringing(first)) == 2


def test_after_a_kill_the_number_still_leads_back() -> None:
    site = Site()
    site.talk()
    site.restart()
    first, _ = steps(back(site), "no_answer")
    assert ringing(first) == {site.phones["1001"].contact.strip("<>")}


def test_a_phone_that_registered_elsewhere_meanwhile_is_found_there() -> None:
    site = Site(registered="1002")
    phone = site.bench.registered("1001")[0]
    site.phones["1001"] = phone
    site.talk()
    moved = site.bench.phone("1001")
    assert moved.register().status == 200
    first, _ = steps(back(site), "no_answer")
    assert moved.contact.strip("<>") in ringing(first)


def test_a_number_without_a_caller_is_nobodys() -> None:
    site = Site()
    assert site.bench.core.help is not None
    assert site.bench.core.help.callback(ELIN, site.bench.now) is None


def test_the_policy_says_how_long() -> None:
    site = Site(policies=Policies(emergency_callback=120.0))
    site.talk()
    site.bench.advance(119)
    assert site.bench.core.callbacks.callers(ELIN, site.bench.now)
    site.bench.advance(2)
    assert not site.bench.core.callbacks.callers(ELIN, site.bench.now)


def test_a_number_that_rings_a_group_goes_on_ringing_it() -> None:
    group = Group(id="g", name="Front", extension="7000", members=("u1003",), numbers=(ELIN,))
    site = Site(groups=(group,))
    site.talk()
    assert not site.bench.core.callbacks.callers(ELIN, site.bench.now)
