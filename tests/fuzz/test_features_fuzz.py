"""Phones that are known, and ask for every feature in wrong words, orders and moments.

Two talk, and one may have parked the other; a third comes by Replaces, dials codes and orbits. What
they send is good but for a few octets, what they are asked is answered at random, and core is
killed now and then. Nothing is raised, and no call, port, dialog or waiting phone is left.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from appliance.sip.message import Request, Response
from tests.call.test_replaces import of_alice, of_bob
from tests.fuzz.mutation import SECONDS, mutated
from tests.pbx.test_park import Lot
from tests.phones import Phone, sdp

DIALLED = (
    "*68", "*687701", "*72", "*721003", "*721001", "*72*98", "*72+14155550100", "*78", "*97",
    "*971002", "*98", "7701", "811002", "1002", "911", "*", "#", "%00", "*6877", "*72" + "9" * 200,
)  # fmt: skip
REFERRED = (
    "<sip:1003@example.com>", "<sip:7701@example.com>", "<sip:*68@example.com>", "tel:+14155550100",
    "<sip:911@example.com>", "sip:1003@example.com;method=INVITE", "<sip:1001@example.com>",
)  # fmt: skip
LONG = 4000.0
"""Seconds after which whoever has said nothing is taken for gone: two session timers."""


class Misused(Lot):
    """One run; the dice decide everything."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice
        self._people = (self.alice, self.bob, self.carol)
        self._acts: tuple[Callable[[], None], ...] = (
            self._hand_on,
            self._come,
            self._dial,
            self._hand_on_from_outside,
            self._describe,
            self._answer,
            lambda: self.bench.advance(dice.choice((0.1, 1, 5, 61))),
            self.bench.restart,
        )

    def live(self) -> None:
        """Do a few things."""
        for _ in range(self._dice.randrange(1, 6)):
            self._dice.choice(self._acts)()
            for phone in self._people:
                phone.inbox = [one for one in phone.inbox if isinstance(one, Request)]

    def left(self) -> tuple[int, ...]:
        """Let time pass without another word; return what there is still."""
        self.bench.advance(LONG)
        board = self.bench.core.switchboard
        assert board._context is not None
        legs, transactions = board._context.legs, self.bench.core.transactions
        left = len(board.takeovers), len(board.reach), len(legs), len(transactions)
        return (len(board.calls), board.ports_taken, *left)

    def _wrong(self, *good: str) -> str:
        """Return one of these, as it is or with some octets that are not."""
        if self._dice.random() < 0.5:
            return self._dice.choice(good)
        text = mutated(self._dice, [one.encode() for one in good]).decode("latin-1")
        return text.translate({10: None, 13: None, 0: None})[:2000]

    def _hand_on(self) -> None:
        who, dice = self._dice.choice((self.alice, self.bob)), self._dice
        named = of_bob(self)[0][1].replace(";", "%3B").replace("=", "%3D")
        refer = self.within(who, "REFER")
        refer.add("Refer-To", self._wrong(*REFERRED, f"<sip:1003@example.com?Replaces={named}>"))
        if dice.random() < 0.3:
            refer.add("Referred-By", self._wrong("<sip:1001@example.com>"))
        if dice.random() < 0.3:
            refer.add("Refer-Sub", self._wrong("false", "true"))
        who.send(refer)

    def _come(self) -> None:
        names = (of_bob(self)[0][1], of_alice(self)[0][1])
        value = self._wrong(*names, f"{names[0]};early-only")
        self._invite("x", [("Replaces", value)])

    def _dial(self) -> None:
        self._invite(self._wrong(*DIALLED).replace(" ", "") or "x", [])

    def _invite(self, dialled: str, headers: list[tuple[str, str]]) -> None:
        """Let Carol send an INVITE, and once more with her password where she is asked for it."""
        carol = self.carol
        body = self._dice.choice((b"", sdp(carol.host), b"v=0", b"\xff\x00"))
        request = carol.request("INVITE", f"sip:{dialled}@example.com", body=body, headers=headers)
        self._proved(carol, request)

    def _proved(self, phone: Phone, request: Request) -> None:
        phone.inbox.clear()
        phone.send(request)
        asked = [one for one in phone.take() if isinstance(one, Response) and one.status == 401]
        if asked:
            phone.send(phone.with_digest(request, asked[0]))

    def _hand_on_from_outside(self) -> None:
        name = of_bob(self)[0][1].replace("to-tag", "local-tag").replace("from-tag", "remote-tag")
        headers = [("Refer-To", self._wrong(*REFERRED)), ("Target-Dialog", self._wrong(name))]
        uri = "sip:holdfast@192.0.2.10"
        self._proved(self.bob, self.bob.request("REFER", uri, headers=headers))

    def _describe(self) -> None:
        who = self._dice.choice((self.alice, self.bob))
        body = sdp(who.host, direction="sendonly", version=self._dice.randrange(2, 9))
        self._proved(who, self.within(who, "INVITE", body=mutated(self._dice, [body])))

    def _answer(self) -> None:
        for phone in self._people:
            for request in phone.requests():
                if request.method != "ACK":
                    status = self._dice.choice((180, 200, 200, 200, 302, 486, 488, 491))
                    body = self._dice.choice((b"", sdp(phone.host), sdp(phone.host), b"junk"))
                    phone.answer(request, status, tag=request.to.tag or "t", body=body)


def test_whatever_phones_ask_for_nothing_is_raised_and_nothing_left() -> None:
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        number += 1
        site = Misused(random.Random(f"features {number}"))
        try:
            site.live()
            left = site.left()
        except Exception as error:
            raise AssertionError(f"run {number}") from error
        assert not any(left), f"run {number}: {left}"
    assert number > SECONDS
