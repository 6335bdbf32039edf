"""Members, as one caller after the other meets them; no phone is needed for it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from appliance.bundle import Forwarding, Group, User
from appliance.call.steps import Note, Outcome, Ring, Target
from appliance.sip.flow import Flow
from sdg.targets import members
from sdg.turns import Turns
from sdg.visit import Grounds, Result, Visit
from tests.phones import site_bundle
from tests.sdg.office import group


@dataclass
class People:
    """Who is what, until somebody says otherwise."""

    away: set[str] = field(default_factory=set)
    talking: set[str] = field(default_factory=set)
    rung: set[str] = field(default_factory=set)
    since: dict[str, float] = field(default_factory=dict)

    def phones(self, user: User) -> tuple[Target, ...]:
        flow = Flow("UDP", ("192.0.2.10", 5060), ("192.0.2.1", 5060))
        target = Target(f"sip:{user.extension}@x", flow, user.extension)
        return () if user.extension in self.away else (target,)

    def busy(self) -> Container[str]:
        return self.talking

    def ringing(self) -> Container[str]:
        return self.rung

    def do_not_disturb(self, user: User) -> bool:
        return user.forwarding.do_not_disturb

    def idle_since(self, user: User) -> float:
        return self.since.get(user.extension, 0.0)


class Trial:
    """One group and its people, called as often as a test likes."""

    def __init__(self, made: Group, turns: Turns | None = None) -> None:
        self.people = People()
        self.group = made
        self.turns = turns or Turns()
        self.users = site_bundle().users

    def call(self, *words: str) -> tuple[list[list[str]], Result]:
        """Return who was rung, each time, and the result; rings end in these words."""
        bundle = msgspec.structs.replace(site_bundle(), users=self.users, groups=(self.group,))
        plan = members.plan(Visit(self.group, Grounds(bundle, self.turns, self.people)))
        left, rung = list(words), []
        outcome: Outcome | None = None
        while True:
            try:
                step: Any = next(plan) if outcome is None else plan.send(outcome)
            except StopIteration as end:
                return rung, end.value
            if isinstance(step, Ring):
                rung.append([target.extension for target in step.targets])
                outcome = Outcome(left.pop(0) if left else "no_answer", 480)
            else:
                assert isinstance(step, Note)
                outcome = Outcome("noted")


SEQUENTIAL = group(members="1001 1002 1003", strategy="sequential")


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["busy", "busy", "busy"], "busy"),
        (["busy", "no_answer", "busy"], "no_answer"),
        (["rejected", "busy", "busy"], "no_answer"),
        (["unavailable", "unavailable", "unavailable"], "unavailable"),
        (["unavailable", "busy", "unavailable"], "busy"),
    ],
)
def test_what_leaves_the_most_hope_counts(words: list[str], result: str) -> None:
    assert Trial(SEQUENTIAL).call(*words)[1].word == result


def test_nobody_there_is_empty_and_everybody_talking_is_busy() -> None:
    trial = Trial(SEQUENTIAL)
    trial.people.away = {"1001", "1002", "1003"}
    assert trial.call() == ([], members.EMPTY)
    trial.people.away = {"1001", "1002"}
    trial.people.talking = {"1003"}
    assert trial.call() == ([], members.BUSY)


def test_do_not_disturb_is_as_good_as_busy() -> None:
    trial = Trial(SEQUENTIAL)
    quiet = Forwarding(do_not_disturb=True)
    first, *others = trial.users
    trial.users = (msgspec.structs.replace(first, forwarding=quiet), *others)
    assert trial.call()[0] == [["1002"], ["1003"]]


def test_a_member_is_looked_at_when_its_turn_comes() -> None:
    trial = Trial(group(members="1001 1002 1003", strategy="simultaneous", rounds=2))
    trial.people.talking = {"1001"}
    assert trial.call()[0] == [["1002", "1003"], ["1002", "1003"]]
    trial.people.talking = set()
    trial.people.rung = {"1002"}
    assert trial.call()[0] == [["1001", "1003"]] * 2


def test_a_round_in_which_nobody_could_ring_is_the_last() -> None:
    trial = Trial(group(members="1001", rounds=10))
    trial.people.talking = {"1001"}
    assert trial.call()[0] == []


def test_turns_go_round_and_last_longer_than_a_bundle() -> None:
    robin = group(members="1001 1002 1003", strategy="round_robin")
    trial = Trial(robin)
    assert trial.call("busy", "busy", "busy")[0] == [["1001"], ["1002"], ["1003"]]
    trial.turns.rung(robin.id, "u1001")
    again = Trial(robin, trial.turns)
    assert again.call()[0] == [["1002"], ["1003"], ["1001"]]
    trial.turns.keep([])
    assert len(trial.turns) == 0
    assert Trial(robin, trial.turns).call()[0][0] == ["1001"]


def test_who_waited_longest_comes_first_and_equals_in_their_order() -> None:
    trial = Trial(group(members="1001 1002 1003 1004", strategy="longest_idle"))
    trial.people.since = {"1001": 50.0, "1003": 20.0}
    assert trial.call()[0] == [["1002"], ["1004"], ["1003"], ["1001"]]


def test_a_member_who_is_named_twice_rings_once() -> None:
    assert Trial(group(members="1001 1001 1002")).call()[0] == [["1001", "1002"]]
