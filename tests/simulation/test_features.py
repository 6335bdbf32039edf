"""Fifty phones use every feature at random, for hours or (HOLDFAST_SIMULATED_HOURS) for weeks.

They call, hold, transfer, park and fetch, pick up, forward, ring groups; some in the same moment,
over a wire that loses and doubles, with a core that is killed now and then. Whatever came of it:
every call ends, each has one record, and no port, relay, dialog or row is left.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from msgspec.structs import replace

from appliance.bundle import Bundle, Group, ParkingPlaces, PickupGroup, Policies
from appliance.sip.dialog import Dialog
from appliance.sip.matching import ClientTransaction
from appliance.sip.message import Response
from tests.phones import DOMAIN
from tests.simulation.talkers import Talker, office
from tests.simulation.test_crashes import Site, check_that_nothing_is_left
from tests.simulation.test_transfers import overtaken

PHONES = 50
HOURS = float(os.environ.get("HOLDFAST_SIMULATED_HOURS", "4"))
"""For each seed; `make simulate` takes a thousand in all."""
PAUSE = 60.0
"""Seconds between two moments in which somebody does something, on average."""
BETWEEN_KILLS = 1200.0
ORBITS = ("701", "702", "703")
GROUPS = ("8000", "8001", "8002")


def every_feature() -> Bundle:
    """Make a site on which everything can be dialled."""
    plain = office(PHONES)
    names = tuple(user.id for user in plain.users)
    members = {"8000": names[:8], "8001": names[8:12], "8002": names[20:26]}
    strategies = ("simultaneous", "sequential", "longest_idle")
    return replace(
        plain,
        policies=Policies(session_expires=180, max_expires=7200, min_expires=30),
        park=ParkingPlaces(first=ORBITS[0], last=ORBITS[-1], ring_back_after=15),
        pickup_groups=(PickupGroup(id="all", name="All", members=names),),
        groups=tuple(
            Group(
                id=f"g{number}",
                name=f"Group {number}",
                extension=number,
                members=members[number],
                strategy=strategy,
                ring_time=6.0,
            )
            for number, strategy in zip(GROUPS, strategies, strict=True)
        ),
    )


class Everybody(Talker):
    """A phone whose user tries everything."""

    tried: Counter[str]

    def register(self) -> None:
        """Register, and again every half hour."""
        self.heard: set[str] = getattr(self, "heard", set())
        self.tried = getattr(self, "tried", Counter())
        headers = [("Expires", "3600")]
        self._ask(self._request("REGISTER", f"sip:{DOMAIN}", self.extension, headers))
        self._timers.arm(self._clock.now + 1700, lambda now: self.register())

    def somebody(self) -> str:
        """Return an extension, perhaps of nobody."""
        return str(self._dice.randrange(1000, 1002 + PHONES))

    def try_something(self) -> None:
        """Dial."""
        other, orbit = self.somebody(), self._dice.choice(ORBITS)
        what = {
            "call": (other, 30),
            "group": (self._dice.choice(GROUPS), 12),
            "fetch": (orbit, 8),
            "pick up": ("*97" + other, 4),
            "pick up in the group": ("*98", 8),
            "forward": (self._dice.choice(("*72", "*90", "*92", "*94")) + other, 3),
            "forward no more": (self._dice.choice(("*73", "*91", "*93", "*95")), 6),
            "do not disturb": ("*78", 1),
            "do disturb": ("*79", 3),
        }
        weights = [weight for _, weight in what.values()]
        (name,) = self._dice.choices(list(what), weights)
        self.tried[name] += 1
        self.call(what[name][0])

    def _begin(self, dialog: Dialog, now: float) -> None:
        super()._begin(dialog, now)
        if self._dice.random() < 0.5:
            self._plan(dialog, now + 15 * self._dice.random(), self.hand_on)

    def hand_on(self) -> None:
        """Hand the other party on, or park it."""
        if self.dialog is None:
            return
        places = (self.somebody(), *GROUPS, *ORBITS, "*68")
        place = self._dice.choice(places)
        self.tried["park" if place in (*ORBITS, "*68") else "transfer"] += 1
        headers = [("Contact", self._contact()), ("Refer-To", f"<sip:{place}@{DOMAIN}>")]
        self._ask(self.dialog.new_request("REFER", headers))
        if self._dice.random() < 0.3:
            self.hang_up()

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Note which calls have come to anything."""
        first = tx.request.method == "INVITE" and tx.request.to.tag is None
        if first and (response.status == 180 or response.status // 100 == 2):
            self.heard.add(tx.request.call_id)
        super().response(tx, response, now)


def live(site: Site, hours: float) -> int:
    """Let time pass; return how many calls were tried."""
    dice, clock = site.dice, site.clock
    tried, end, kill_at = 0, clock.now + hours * 3600, clock.now + BETWEEN_KILLS
    while clock.now < end:
        clock.advance(dice.expovariate(1 / PAUSE))
        site.wire.log.clear()
        if clock.now >= kill_at and site.box.core is not None:
            site.box.actions_left = dice.randrange(1, 12)
            kill_at = clock.now + dice.expovariate(1 / BETWEEN_KILLS)
        free = [phone for phone in site.phones.values() if phone.idle]
        for phone in dice.sample(free, min(len(free), dice.choice((1, 1, 2, 6)))):
            assert isinstance(phone, Everybody)
            phone.try_something()
            tried += 1
            clock.advance(dice.choice((0.0, 0.0, 0.5, 3.0)))
    return tried


@pytest.mark.parametrize("seed", range(3))
def test_every_feature_at_random_and_nothing_is_left(seed: int) -> None:
    site = Site(seed + 300, phones=PHONES, kind=Everybody, bundle=every_feature())
    tried = live(site, HOURS)
    site.end()
    phones = [phone for phone in site.phones.values() if isinstance(phone, Everybody)]
    for phone in phones:
        phone.faults = [fault for fault in phone.faults if not overtaken(fault)]
    check_that_nothing_is_left(site)
    heard = sum(len(phone.heard) for phone in phones)
    records = site.box.records
    assert heard - site.box.kills <= len(records) <= tried
    assert all(record.ended is not None for record in records.values())
    features: Counter[str] = sum((phone.tried for phone in phones), Counter())
    assert len(features) == 11, "every feature was tried"
    steps = "\n".join(step for record in records.values() for step in record.steps)
    for word in ("is replaced by", "transfer failed", "parked", "pick", "forward"):
        assert word in steps, word
