"""Who comes leaves the offer to us: our 200 has it, and the ACK the answer (RFC 3261, 13.2.1)."""

from __future__ import annotations

import pytest

from appliance.call.steps import Collect, Ring
from appliance.sip.message import Response
from tests.call.test_replaces import Ringing, answered, replaces
from tests.call.test_security import SHA1_80, crypto, line, profile, secure, taken, the_relay
from tests.call.test_taking import Waiting
from tests.call.test_taking_unoffered import gone
from tests.call.test_terminal import Menu, up_to
from tests.call.trio import MUSIC, agree
from tests.phones import Bench, Phone, sdp

OTHER = sdp("198.51.100.9").replace(b"AVP 0 101", b"AVP 8")
"""An answer with no codec of the offer."""


class Comer:
    """A phone that takes a call by an INVITE without an offer."""

    def __init__(self, phone: Phone, number: str, headers: list[tuple[str, str]]) -> None:
        self.phone = phone
        self.invite = phone.invite(number, body=b"", headers=headers)

    def offered(self) -> Response:
        """Take the 200 with the offer."""
        self.answer = next(
            m for m in self.phone.take() if isinstance(m, Response) and m.status == 200
        )
        return self.answer

    def acknowledge(self, body: bytes = b"") -> None:
        ack = self.phone.within(
            self.invite, self.answer, "ACK", cseq=self.invite.cseq.number, body=body
        )
        self.phone.send(ack)

    def answers(self) -> None:
        """Take the offer."""
        self.offered()
        self.acknowledge(sdp(self.phone.host, 14000))

    def hang_up(self) -> None:
        self.phone.send(self.phone.within(self.invite, self.answer, "BYE"))
        assert self.phone.responses() == [200]


def for_bob(ring: Ringing) -> Comer:
    return Comer(ring.third, "x", ring.named)


def for_carol(trio: Waiting) -> Comer:
    return Comer(trio.second, "x", trio.named)


def rings_on(ring: Ringing) -> None:
    """Check that who came is sent away, and that the call goes its way without it."""
    assert {one.method for one in ring.third.requests()} == {"BYE"}
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert ring.bob.expect("ACK")
    answered(ring.alice, ring.invite)
    assert "1002 takes the call" in ring.bench.record_of_the_only_call().steps
    assert "1002 did not take the call" in str(ring.bench.record_of_the_only_call().steps)


def test_it_is_offered_what_the_caller_has_offered() -> None:
    ring = Ringing()
    comer = for_bob(ring)
    offer = comer.offered()
    assert b"c=IN IP4 192.0.2.10" in offer.body
    assert (ring.alice.take(), ring.bob.take(), ring.second.take()) == ([], [], [])
    comer.acknowledge(sdp(ring.third.host, 14000))
    answered(ring.alice, ring.invite)
    for phone in (ring.bob, ring.second):
        assert "completed elsewhere" in (phone.expect("CANCEL").first("Reason") or "")
    (relay,) = ring.bench.relays.values()
    assert relay.b is not None
    assert (relay.a.remote, relay.b.remote) == ((ring.alice.host, 10000), (ring.third.host, 14000))
    comer.hang_up()
    ring.alice.expect("BYE")
    assert ring.bench.record.answered_by == "1002"
    ring.bench.quiet()


def test_srtp_is_agreed_on_with_both() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", body=secure(alice, line(1, SHA1_80)))
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 180, tag="early")
    (third,) = bench.registered("1002")
    named = replaces(incoming.call_id, incoming.from_.tag or "", "early")
    comer = Comer(third, "x", named)
    offer = comer.offered()
    assert profile(offer) == "RTP/SAVP"
    comer.acknowledge(secure(third, taken(offer, SHA1_80, 7)))
    assert [one.suite for one in crypto(answered(alice, invite))] == [SHA1_80]
    a, b = the_relay(bench)
    assert None not in (a.receives, b.receives)


@pytest.mark.parametrize("body", [b"", b"nonsense", OTHER])
def test_an_ack_without_an_answer_changes_nothing(body: bytes) -> None:
    ring = Ringing()
    comer = for_bob(ring)
    comer.offered()
    comer.acknowledge(body)
    rings_on(ring)


def test_an_ack_that_never_comes_changes_nothing() -> None:
    ring = Ringing()
    for_bob(ring).offered()
    ring.bench.advance(33)
    rings_on(ring)


def test_who_comes_hangs_up_before_its_ack_and_the_phones_ring_on() -> None:
    ring = Ringing()
    comer = for_bob(ring)
    comer.offered()
    comer.hang_up()
    assert (ring.bob.take(), ring.alice.take()) == ([], [])
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    answered(ring.alice, ring.invite)


def test_the_caller_gives_up_before_the_ack() -> None:
    ring = Ringing()
    for_bob(ring).offered()
    ring.alice.send(ring.alice.cancel(ring.invite))
    assert ring.alice.responses() == [200, 487]
    ring.third.answer(ring.third.expect("BYE"), 200)
    ring.bob.expect("CANCEL")
    gone(ring)


def test_a_phone_that_answers_meanwhile_comes_too_late() -> None:
    ring = Ringing()
    comer = for_bob(ring)
    comer.offered()
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert [request.method for request in ring.bob.requests()] == ["ACK", "BYE"]
    comer.acknowledge(sdp(ring.third.host, 14000))
    answered(ring.alice, ring.invite)


def test_another_one_who_comes_meanwhile_is_too_late() -> None:
    ring = Ringing()
    comer = for_bob(ring)
    comer.offered()
    (fourth,) = ring.bench.registered("1002")
    fourth.invite("x", body=b"", headers=ring.named)
    assert fourth.responses() == [100, 486]
    comer.acknowledge(sdp(ring.third.host, 14000))
    answered(ring.alice, ring.invite)


def test_nothing_is_agreed_on_with_who_comes_before_its_ack() -> None:
    ring = Ringing()
    comer = for_bob(ring)
    comer.offered()
    for cseq, method, status in ((90, "UPDATE", 491), (91, "INFO", 481)):
        ring.third.send(ring.third.within(comer.invite, comer.answer, method, cseq=cseq))
        assert ring.third.responses() == [status]


def test_core_dies_before_the_ack_and_everybody_is_let_go() -> None:
    ring = Ringing()
    for_bob(ring).offered()
    ring.bench.restart()
    ring.third.answer(ring.third.expect("BYE"), 200)
    ring.bob.expect("CANCEL")
    assert ring.alice.responses() == [500]
    assert ring.bench.record.ended is not None


def test_who_was_handed_on_is_told_once_the_ack_has_come() -> None:
    trio = Waiting()
    comer = for_carol(trio)
    comer.offered()
    assert trio.bob.take() == []
    comer.acknowledge(sdp(trio.second.host, 14000))
    assert trio.carol.take() == []
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert "completed elsewhere" in (trio.carol.expect("CANCEL").first("Reason") or "")
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    assert {side.remote[1] for side in trio.sides if side.remote} == {10000, 14000}
    trio.carol.answer(trio.ringing, 487, tag="early")
    comer.hang_up()
    trio.bob.expect("BYE")
    trio.bench.quiet()


def carol_answers(trio: Waiting) -> None:
    """Check that Carol's phone rings on, and can be answered."""
    assert trio.carol.take() == []
    assert trio.sides[1].hears == MUSIC
    trio.carol.answer(trio.ringing, 200, tag="early", body=sdp(trio.carol.host))
    again = [one for one in trio.bob.requests() if one.method == "INVITE"]
    agree(trio.bob, again[0])
    assert trio.pair() == {"1002", "1003"}


def test_a_refusal_of_who_waits_sends_it_away_again() -> None:
    trio = Waiting()
    for_carol(trio).answers()
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    trio.second.answer(trio.second.expect("BYE"), 200)
    carol_answers(trio)


def test_it_hangs_up_while_who_waits_is_told() -> None:
    trio = Waiting()
    comer = for_carol(trio)
    comer.answers()
    offer = trio.bob.expect("INVITE")
    comer.hang_up()
    agree(trio.bob, offer)
    carol_answers(trio)


def test_core_dies_while_who_waits_is_told_and_the_two_are_together_again() -> None:
    trio = Waiting()
    for_carol(trio).answers()
    trio.bob.expect("INVITE")
    trio.bench.restart()
    trio.second.answer(trio.second.expect("BYE"), 200)
    assert trio.pair() == {"1001", "1002"}


def test_a_caller_that_hears_music_keeps_what_it_agreed_on_with_us() -> None:
    menu = Menu()
    menu.steps = [Ring(menu.ring_bob.targets, 30.0, hears="music")]
    invite, _ = menu.call()
    comer = at_bobs(menu)
    comer.answers()
    answered(menu.alice, invite)
    assert menu.relay.b is not None
    assert (menu.relay.a.hears, menu.relay.b.remote) == (None, (comer.phone.host, 14000))
    menu.bob.expect("CANCEL")


def test_a_caller_that_was_answered_by_us_is_not_told_again() -> None:
    menu = Menu()
    menu.steps = [Collect((), up_to(1)), menu.ring_bob]
    menu.call()
    menu.press("4")
    comer = at_bobs(menu)
    comer.answers()
    assert menu.alice.take() == []
    assert menu.relay.b is not None
    assert menu.relay.b.remote == (comer.phone.host, 14000)
    menu.bob.expect("CANCEL")


def at_bobs(menu: Menu) -> Comer:
    """Let another phone of Bob's take the call that rings at his first."""
    incoming = menu.bob.expect("INVITE")
    menu.bob.answer(incoming, 180, tag="early")
    menu.alice.take()
    (second,) = menu.bench.registered("1002")
    return Comer(second, "x", replaces(incoming.call_id, incoming.from_.tag or "", "early"))
