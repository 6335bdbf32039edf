"""Plans that lead to other plans, as one."""

from __future__ import annotations

from itertools import cycle

from appliance.call.path import DEPTH, LOOP, RESTLESS, Resolve, follow
from appliance.call.steps import Goto, Note, Outcome, Plan, Reject, Step


def says(*steps: Step) -> Plan:
    for step in steps:
        _ = yield step


def run(first: Plan, resolve: Resolve) -> list[Step]:
    """Return every step, each answered with `noted` at second 7."""
    plan = follow(first, resolve, 5.0)
    found = [next(plan)]
    for _ in range(1000):
        try:
            found.append(plan.send(Outcome("noted", at=7.0)))
        except StopIteration:
            return found
    raise AssertionError("a plan without an end")


def test_a_plan_goes_on_with_another_at_the_time_of_then() -> None:
    times: list[float] = []

    def resolve(dialled: str, now: float, way: object) -> Plan:
        times.append(now)
        return says(Reject(486, dialled))

    assert run(says(Goto("2")), resolve) == [Reject(486, "2")]
    assert run(says(Note("a"), Goto("2")), resolve) == [Note("a"), Reject(486, "2")]
    assert times == [5.0, 7.0]


def test_a_plan_that_is_come_back_to_gets_the_outcome() -> None:
    outcomes: list[Outcome] = []

    def outer() -> Plan:
        outcomes.append((yield Goto("2", back=True)))
        yield Reject(480, "outer")

    inner = {"2": lambda: says(Goto("3")), "3": lambda: says(Reject(480, "away", "no_answer"))}
    found = run(outer(), lambda dialled, now, way: inner[dialled]())
    assert found == [Note("away; back to where it came from"), Reject(480, "outer")]
    assert [outcome.word for outcome in outcomes] == ["no_answer"]


def test_eight_times_on_are_allowed_and_the_ninth_is_a_loop() -> None:
    def resolve(dialled: str, now: float, way: object) -> Plan:
        return says(Goto(str(int(dialled) - 1))) if dialled != "1" else says(Reject(404))

    assert run(resolve(str(DEPTH + 1), 0, ()), resolve) == [Reject(404)]
    assert run(resolve(str(DEPTH + 2), 0, ()), resolve) == [LOOP]


def test_choices_count_apart_and_end_as_well() -> None:
    assert run(says(Goto("x", chosen=True)), lambda *_: says(Goto("x", chosen=True))) == [RESTLESS]
    left = cycle([True, False])
    found = run(says(Goto("x")), lambda *_: says(Goto("x", chosen=next(left))))
    assert found == [RESTLESS]


def test_a_plan_that_comes_back_for_ever_ends_too() -> None:
    def again(*_: object) -> Plan:
        while True:
            yield Goto("x", back=True)

    assert run(again(), again) == [LOOP]


def test_a_plan_without_a_last_word_has_nobody() -> None:
    assert run(says(), lambda *_: says()) == [Reject(480, "nobody takes the call")]
