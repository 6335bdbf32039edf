"""Random groups that lead to one another: whatever they are, a call to them ends."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some

from appliance.bundle import Bundle, Group, User
from appliance.call.outside import Nothing
from appliance.call.steps import Collect, Note, Outcome, Plan, Play, Reject, Ring, Target
from appliance.pbx.destinations import Destinations
from appliance.pbx.dialplan import DialPlan
from appliance.pbx.directory import Directory
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.park import Parking
from appliance.sip.flow import Flow
from sdg.group import Groups
from sdg.turns import Turns
from tests.phones import site_bundle
from tests.sdg.office import PROMPTS

USERS = [str(extension) for extension in range(1001, 1006)]
GROUPS = [str(extension) for extension in range(7000, 7006)]
PLACES = some.none() | some.sampled_from([*GROUPS, *USERS, "4444", "+13125550100", "911"])
LONGEST = 5000
"""Steps; 9 groups in a row with 10 rounds of 5 members, 64 times over, are never all taken."""


@some.composite
def groups(draw: Any) -> tuple[Group, ...]:
    """Make groups that no bundle's check would let pass."""
    made = []
    for extension in GROUPS:
        kinds = ["user", "members", "menu", "number", "group", "prompt"]
        strategies = ["simultaneous", "sequential", "round_robin", "longest_idle"]
        made.append(
            Group(
                id=f"g{extension}",
                name=extension,
                extension=extension,
                kind=draw(some.sampled_from(kinds)),
                target=draw(PLACES),
                number=draw(some.sampled_from([None, "+13125550100"])),
                members=tuple(f"u{one}" for one in draw(some.lists(some.sampled_from(USERS)))),
                strategy=draw(some.sampled_from(strategies)),
                rounds=draw(some.integers(1, 3)),
                keys={
                    key: draw(PLACES) or "7000"
                    for key in draw(some.sets(some.sampled_from("123*#")))
                },
                dial_extension=draw(some.booleans()),
                names_key=draw(some.sampled_from([None, "0"])),
                retries=draw(some.integers(0, 2)),
                **{word: draw(PLACES) for word in ("no_answer", "busy", "empty", "overflow")},
            )
        )
    return tuple(made)


class Crowd:
    """People whose state changes whenever somebody looks."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def phones(self, user: User) -> tuple[Target, ...]:
        flow = Flow("UDP", ("192.0.2.10", 5060), (f"192.0.2.{user.extension[-1]}", 5060))
        return (Target(f"sip:{user.extension}@x", flow, user.extension),) * (
            user.extension != "1005"
        )

    def busy(self) -> Container[str]:
        return self._draw(some.sets(some.sampled_from(USERS), max_size=3))  # type: ignore[no-any-return]

    def ringing(self) -> Container[str]:
        return self._draw(some.sets(some.sampled_from(USERS), max_size=3))  # type: ignore[no-any-return]

    def do_not_disturb(self, user: User) -> bool:
        return user.forwarding.do_not_disturb

    def idle_since(self, user: User) -> float:
        return float(user.extension)


def plan_of(bundle: Bundle, crowd: Crowd, turns: Turns) -> Plan:
    destinations = Destinations(
        bundle,
        DialPlan(bundle, Directory(bundle)),
        crowd,
        Groups(bundle, turns, crowd),
        Forwardings(lambda action: None),
        Parking({}),
        Nothing(),
        lambda now: now,
    )
    return destinations.plan(bundle.users[0], "7000", None, 0.0)


@settings(deadline=None, max_examples=150)
@given(groups(), some.data())
def test_every_call_ends_and_nobody_rings_twice_at_once(made: tuple[Group, ...], data: Any) -> None:
    bundle = msgspec.structs.replace(site_bundle(), groups=made, prompts=PROMPTS)
    turns = Turns()
    plan = plan_of(bundle, Crowd(data.draw), turns)
    step = next(plan)
    ways = 0
    for _ in range(LONGEST):
        if isinstance(step, Reject):
            assert 400 <= step.status < 700
            break
        ways += isinstance(step, Ring)
        step = plan.send(outcome_of(step, data.draw))
    else:
        raise AssertionError("a call without an end")
    assert len(turns) <= len(made)


def outcome_of(step: object, draw: Any) -> Outcome:
    """End a step in any way it may end."""
    if isinstance(step, Ring):
        rung = [target.extension for target in step.targets]
        assert rung, "a ring without a phone"
        assert len(rung) == len(set(rung)), "a member that is rung twice at once"
        assert 0 < step.timeout <= 300
        word = draw(some.sampled_from(["busy", "no_answer", "rejected", "unavailable"]))
        return Outcome(word, 480)
    if isinstance(step, Collect):
        keys = ""
        for key in draw(some.text("0123*#", max_size=4)):
            keys += key
            if step.wait(keys) <= 0:
                break
        return Outcome("keys" if keys else "no_key", 200, 0.0, keys)
    assert isinstance(step, Play | Note)
    return Outcome(
        draw(some.sampled_from(["played", "failed"])) if isinstance(step, Play) else "noted"
    )
