from pathlib import Path
from typing import get_args

import pytest

from appliance.sip.drawing import draw
from appliance.sip.flow import Flow
from appliance.sip.machine import Room, Transaction, program
from appliance.sip.timers import TimerQueue
from appliance.sip.transaction import MACHINES, Do, Input, State, Table, response_input

DOCS = Path(__file__).parents[2] / "docs" / "state-machines.md"
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.2", 5060))
ROWS = [
    (name, state, event)
    for name, table in MACHINES.items()
    for state in table
    for event in get_args(Input)
    if state != "initial"
]


def path_to(table: Table, wanted: State) -> list[Input]:
    """Return inputs that lead from the state after the start to `wanted`."""
    start = table["initial"]["start"][0]
    paths: dict[State, list[Input]] = {start: []}
    waiting: list[State] = [start]
    while wanted not in paths:
        state = waiting.pop(0)
        for event, (after, _) in table[state].items():
            if after not in paths:
                paths[after] = [*paths[state], event]
                waiting.append(after)
    return paths[wanted]


def recorded(table: Table, state: State) -> tuple[Transaction, list[Do]]:
    """Return a transaction in that state whose acts do nothing but be listed."""
    done: list[Do] = []
    acts = {do: lambda tx, now, message, do=do: done.append(do) for do in get_args(Do)}
    room = Room(TimerQueue(), lambda flow, data: None)
    tx = Transaction(room, program(table, acts), FLOW, "k", room.clients)
    tx.begin(0.0)
    assert done == list(table["initial"]["start"][1])
    for event in path_to(table, state):
        assert tx.step(event, 0.0)
    done.clear()
    return tx, done


@pytest.mark.parametrize(("name", "state", "event"), ROWS)
def test_a_row_is_done_and_an_input_without_row_changes_nothing(name, state, event):
    table = MACHINES[name]
    tx, done = recorded(table, state)
    after, todo = table[state].get(event, (state, ()))
    assert tx.step(event, 1.0) is (event in table[state])
    assert (tx.state, tuple(done)) == (after, todo)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_can_be_reached_and_left_for_good(name):
    table = MACHINES[name]
    for state in set(table) - {"initial"}:
        tx, _ = recorded(table, state)
        assert tx.state == state
        assert state == "terminated" or "terminated" in reachable(table, state)


def reachable(table: Table, start: State) -> set[State]:
    seen, waiting = set(), [start]
    while waiting:
        for after, _ in table[waiting.pop()].values():
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_awaits_each_timer_that_is_started_on_the_way_into_it(name):
    for rows in MACHINES[name].values():
        for after, todo in rows.values():
            started = [f"timer {do.split()[1]}" for do in todo if do.startswith("start ")]
            assert set(started) <= set(MACHINES[name][after])


@pytest.mark.parametrize("name", MACHINES)
def test_a_terminated_transaction_is_on_no_shelf(name):
    tx, _ = recorded(MACHINES[name], "terminated")
    assert tx.state == "terminated" and not tx._shelf


@pytest.mark.parametrize("name", ["INVITE client", "non-INVITE client"])
def test_a_user_is_told_of_failure_only_on_the_way_out(name):
    for rows in MACHINES[name].values():
        for after, todo in rows.values():
            assert not {"fail 408", "fail 503"} & set(todo) or after == "terminated"


def test_a_2xx_is_an_input_of_its_own_only_for_an_invite():
    assert [response_input("INVITE", n) for n in (100, 200, 486)] == ["1xx", "2xx", "300-699"]
    assert [response_input("BYE", n) for n in (100, 200, 481)] == ["1xx", "200-699", "200-699"]


def test_the_page_in_the_docs_is_drawn_from_the_tables_as_they_are():
    assert DOCS.read_text(encoding="utf-8") == draw()
