"""Guard: whoever guesses is slowed, then banned, and nobody else with him (B1)."""

from __future__ import annotations

import pytest

from appliance.call.actions import Action, Notice
from appliance.pbx.guard import BAN, FAILURES, SHARED_FAILURES, Guard

EVE = "203.0.113.9"
ALICE = "192.0.2.7"


class Door:
    """A guard, and somebody who fails at leisure."""

    def __init__(self, capacity: int = 50_000) -> None:
        self.now = 1000.0
        self.actions: list[Action] = []
        self.guard = Guard(self.actions.append, capacity)

    def fail(
        self, times: int, address: str = EVE, name: str = "1001", shared: bool = False
    ) -> None:
        for _ in range(times):
            self.now += 17  # No pause is longer.
            self.guard.failed(address, name, shared, self.now)

    def refuse(self, address: str = EVE, name: str = "1001") -> int:
        return self.guard.refuse(address, name, self.now)

    def told(self, topic: str) -> list[str]:
        return [a.text for a in self.actions if isinstance(a, Notice) and a.topic == topic]


def test_a_mistyped_password_costs_nothing() -> None:
    door = Door()
    door.fail(4)
    assert (door.refuse(), door.actions) == (0, [])


def test_the_fifth_failure_begins_to_cost_time() -> None:
    door = Door()
    door.fail(5)
    assert door.refuse(name="somebody else") == 2
    assert door.told("guard.slow") == [
        "203.0.113.9 is slowed down: 5 wrong passwords within 5 minutes, the last one for '1001'"
    ]


def test_pauses_double() -> None:
    door = Door()
    door.fail(5)
    pauses = []
    for _ in range(4):
        door.fail(1)
        pauses.append(door.refuse(name="somebody else") - 1)
    assert pauses == [2, 4, 8, 16]


def test_ten_failures_are_a_ban_of_15_minutes() -> None:
    door = Door()
    door.fail(FAILURES)
    assert door.refuse() == BAN + 1
    door.now += BAN - 1
    assert door.refuse() > 0
    door.now += 1
    assert door.refuse() == 0
    assert door.guard.banned(door.now) == []


def test_a_ban_is_told_once_with_who_and_why() -> None:
    door = Door()
    door.fail(FAILURES, name='10"01\r\n\u202e')
    assert len(door.told("guard.ban")) == 1
    assert "203.0.113.9 is banned for 15 minutes" in door.told("guard.ban")[0]
    assert all(character.isprintable() for character in door.told("guard.ban")[0])
    ban = door.guard.banned(door.now)[0]
    assert (ban.source, ban.seconds) == (EVE, BAN + 1)


def test_after_a_ban_counting_begins_anew() -> None:
    door = Door()
    door.fail(FAILURES)
    door.now += BAN
    door.fail(4)
    assert door.refuse() == 0


def test_failures_spread_over_more_than_five_minutes_are_no_ban() -> None:
    door = Door()
    for _ in range(100):
        door.fail(1)
        door.now += 60
    assert door.told("guard.ban") == []


def test_ten_failures_within_any_five_minutes_are_a_ban() -> None:
    door = Door()
    door.fail(1)
    door.now += 290
    door.fail(FAILURES)
    assert len(door.told("guard.ban")) == 1


def test_a_tool_that_does_not_wait_is_banned_within_ten_attempts() -> None:
    door = Door()
    for _ in range(5):
        door.guard.failed(EVE, "1001", False, door.now)
    for _ in range(5):
        assert door.refuse() > 0
    assert len(door.told("guard.ban")) == 1


def test_others_who_come_during_a_pause_only_wait() -> None:
    door = Door()
    door.fail(5)
    for number in range(100):
        door.refuse(name=f"u{number}")
    door.now += 2
    assert door.refuse(name="u1") == 0


def test_a_ban_never_touches_another_address() -> None:
    door = Door()
    door.fail(FAILURES)
    assert door.refuse(ALICE) == 0


def test_behind_a_shared_address_one_broken_phone_stands_alone() -> None:
    door = Door()
    door.fail(FAILURES, ALICE, "1001", shared=True)
    assert door.refuse(ALICE, "1001") > BAN - 1
    assert door.refuse(ALICE, "1002") == 0


def test_behind_a_shared_address_guessing_of_many_names_ends_too() -> None:
    door = Door()
    for number in range(SHARED_FAILURES):
        door.guard.failed(ALICE, f"u{number}", True, door.now)
    assert door.refuse(ALICE, "somebody new") > BAN - 1


def test_an_ipv6_network_is_one_source() -> None:
    door = Door()
    for number in range(FAILURES):
        door.guard.failed(f"2001:db8:1:2::{number + 1:x}", "1001", False, door.now)
    assert door.refuse("2001:db8:1:2:ffff::1") > 0
    assert door.refuse("2001:db8:1:3::1") == 0
    assert door.guard.banned(door.now)[0].source == "2001:db8:1:2::/64"


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    door = Door()
    door.fail(FAILURES, f"::ffff:{EVE}")
    assert door.refuse(EVE) > 0
    assert door.refuse("::ffff:192.0.2.1") == 0


def test_memory_is_bounded_and_the_quietest_is_forgotten() -> None:
    door = Door(capacity=100)
    door.fail(FAILURES)
    for number in range(99):
        door.guard.failed(f"198.51.100.{number}", "x", False, door.now)
    assert (len(door.guard), door.refuse() > 0) == (100, True)
    door.guard.failed("198.51.100.200", "x", False, door.now)
    assert (len(door.guard), door.refuse()) == (100, 0)


@pytest.mark.parametrize("name", ["", "x" * 10_000, "\x00", "\ud800"])
def test_strange_names_do_no_harm(name: str) -> None:
    door = Door()
    door.fail(FAILURES, ALICE, name, shared=True)
    assert door.refuse(ALICE, name) > 0
    door.told("guard.ban")[0].encode()
    assert len(door.told("guard.ban")[0]) < 1000
