"""Our own cable: a dead one is told as such, and everything unclear counts as a good one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from appliance.adapters import link
from appliance.adapters.link import LinkedProber, LinkWatch, carriers
from appliance.bundle import Zone
from appliance.call.actions import Notice
from appliance.call.events import ZoneAnswer

ZONE = Zone(id="a", host="192.0.2.1")


class Answers:
    """A prober that answers at once."""

    def __init__(self, answer: ZoneAnswer) -> None:
        self.answer = answer

    def probe(self, zone: Zone, timeout: float, answer: Callable[[ZoneAnswer], None]) -> None:
        answer(self.answer)


async def watching(cards: dict[str, bool], told: list[Notice]) -> LinkWatch:
    watch = LinkWatch(asyncio.get_running_loop(), told.append)
    watch.start(lambda: None)
    watch.stop()
    watch.cards = cards
    return watch


def judged(cards: dict[str, bool], answer: ZoneAnswer) -> ZoneAnswer:
    watch = asyncio.run(watching(cards, []))
    found: list[ZoneAnswer] = []
    LinkedProber(Answers(answer), watch).probe(ZONE, 1.0, found.append)
    return found[0]


SILENT = ZoneAnswer("a", None, "tcp: no route", "tcp")


def test_without_a_signal_a_silent_zone_is_told_as_our_own_cable() -> None:
    assert judged({"eth0": False, "eth1": False}, SILENT).layer == "link"


def test_one_card_with_a_signal_or_none_known_makes_it_the_zones_matter() -> None:
    assert judged({"eth0": False, "eth1": True}, SILENT) == SILENT
    assert judged({}, SILENT) == SILENT


def test_an_answer_is_an_answer() -> None:
    answer = ZoneAnswer("a", 200, rtt=0.01)
    assert judged({"eth0": False}, answer) == answer


def test_the_kernel_tells_of_this_machines_cards() -> None:
    assert "lo" not in carriers()


def test_loss_and_return_are_told_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([{"eth0": True}, {"eth0": False}, {"eth0": False}, {"eth0": True}])
    monkeypatch.setattr(link, "carriers", lambda: next(states))
    told: list[Notice] = []

    async def run() -> None:
        watch = LinkWatch(asyncio.get_running_loop(), told.append)
        watch.start(lambda: None)
        for _ in range(3):
            watch._settled()
        watch.stop()

    asyncio.run(run())
    assert [notice.severity for notice in told] == ["alarm", "info"]
