"""Core is killed at random points of hundreds of calls; whatever happens, nothing is left over.

And a call in which both phones were told that they are talking ends when one of them hangs up, and
not before.
"""

from __future__ import annotations

import random

import pytest

from appliance.bundle import Bundle
from tests.clock import Clock
from tests.simulation.talkers import COMMIT, Box, Talker, office
from tests.wire import Wire

PHONES = 12
HOURS = 0.25
UNKNOWN = COMMIT + 0.03
"""Seconds in which a kill leaves no trace of what was just said: on the way, and to the disk."""


class Site:
    """Phones that call each other at random, and a core that dies at random."""

    def __init__(
        self,
        seed: int,
        loss: float = 0.01,
        phones: int = PHONES,
        kind: type[Talker] = Talker,
        bundle: Bundle | None = None,
    ) -> None:
        self.dice = random.Random(seed)
        self.clock = Clock()
        self.wire = Wire(self.clock, seed=seed, loss=loss, doubled=0.01, delay=0.002, jitter=0.004)
        self.box = Box(self.clock, self.wire, bundle or office(phones), self.dice)
        self.clock.advance(20)
        self.phones = {
            str(1001 + number): kind(
                self.clock,
                self.wire,
                str(1001 + number),
                (f"192.0.2.{100 + number}", 5060),
                self.dice,
            )
            for number in range(phones)
        }
        for phone in self.phones.values():
            phone.who = self.phones.get
        self.clock.advance(5)

    def run(self, seconds: float) -> None:
        """Let the phones call each other, and kill the core every 20 s or so."""
        end = self.clock.now + seconds
        kill_at = self.clock.now + 5
        while self.clock.now < end:
            self.clock.advance(0.5 * self.dice.random())
            if self.clock.now >= kill_at and self.box.core is not None:
                self.box.actions_left = self.dice.randrange(1, 12)
                kill_at = self.clock.now + 10 + 20 * self.dice.random()
            free = [phone for phone in self.phones.values() if phone.idle]
            if len(free) >= 2:
                caller, callee = self.dice.sample(free, 2)
                caller.call(callee.extension)

    def end(self) -> None:
        """Let every call end, and what nobody hears fall silent."""
        self.box.actions_left = None
        self.clock.advance(200)
        self.box.silence()
        self.clock.advance(300)


def check_that_nothing_is_left(site: Site) -> None:
    """Check core, database, media process and phones."""
    box, phones = site.box, site.phones.values()
    assert box.core is not None
    board = box.core.switchboard
    assert not board.calls
    assert board.ports_taken == 0
    assert len(board.reach) == 0
    assert board._context is not None
    assert len(board._context.legs) == 0
    assert not box.calls, "a call is still in the database"
    assert not box.relays
    assert [phone.extension for phone in phones if not phone.idle] == []
    assert [fault for phone in phones for fault in phone.faults] == []
    assert all(record.ended is not None for record in box.records.values())


@pytest.mark.parametrize("seed", [2, 3, 5])
def test_core_may_be_killed_after_each_single_action_of_a_call(seed: int) -> None:
    """Set-up, perhaps hold and taking back, and hang-up by one or the other."""
    for number in range(1, 300):
        site = Site(seed, loss=0.0, phones=2)
        alice, bob = site.phones.values()
        alice.call(bob.extension)
        site.box.actions_left = number
        site.clock.advance(60)
        killed = site.box.killed_at
        site.end()
        check_that_nothing_is_left(site)
        lived = (killed[0] if killed else site.clock.now) - alice.begun
        assert len(site.box.records) == 1 or lived < UNKNOWN
        if not killed:
            break
    assert number > 25
    (record,) = site.box.records.values()
    assert (record.outcome, record.sealed) == ("answered", True)


@pytest.mark.parametrize("seed", range(4))
def test_a_core_killed_at_random_leaves_nothing_behind(seed: int) -> None:
    site = Site(seed)
    site.run(HOURS * 3600)
    site.end()
    check_that_nothing_is_left(site)
    box = site.box
    assert box.kills > 30
    assert len(box.records) >= sum(phone.rang for phone in site.phones.values())
    assert len(box.records) > 150


@pytest.mark.parametrize("seed", range(4))
def test_only_who_was_answered_in_the_last_moment_is_cut_off(seed: int) -> None:
    site = Site(seed + 100, loss=0.0)
    site.run(HOURS * 3600)
    killed, cuts = site.box.killed_at, [cut for phone in site.phones.values() for cut in phone.cut]
    assert len(killed) > 30
    for begun, answered in cuts:
        assert any(begun - UNKNOWN < kill < answered + UNKNOWN for kill in killed)
    steps = [step for record in site.box.records.values() for step in record.steps]
    survived = steps.count("signalling restarted; the call goes on")
    assert survived > 3 * len(cuts)
    assert sum(phone.unheard for phone in site.phones.values()) == 0
    for begun in [begun for phone in site.phones.values() for begun in phone.gave_up]:
        assert any(begun < kill < begun + UNKNOWN for kill in killed)
