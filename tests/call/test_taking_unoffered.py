"""A caller that made no offer is taken while phones ring: who comes makes it (RFC 3261, 13.2.1)."""

from __future__ import annotations

import pytest

from appliance.sip.message import Request, Response
from tests.call.test_replaces import Ringing
from tests.call.test_security import SHA1_80, line, secure
from tests.phones import Phone, sdp


class Unoffered(Ringing):
    """Alice calls Bob without an offer; another phone of Bob's comes and makes one."""

    def __init__(self) -> None:
        super().__init__(body=b"")

    def comes(self, body: bytes = b"") -> Request:
        """Let the third phone take the call."""
        third = self.third
        return third.invite("x", body=body or sdp(third.host, 14000), headers=self.named)

    def offered(self) -> Response:
        """Take the 200 that has the offer for Alice."""
        (answer,) = self.alice.take()
        assert isinstance(answer, Response)
        assert answer.status == 200
        return answer

    def acknowledge(self, answer: Response, body: bytes) -> None:
        invite, alice = self.invite, self.alice
        alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number, body=body))


def told_elsewhere(*phones: Phone) -> list[bool]:
    reasons = [phone.expect("CANCEL").first("Reason") or "" for phone in phones]
    return ["completed elsewhere" in reason for reason in reasons]


def test_what_who_comes_offers_is_answered_by_the_caller_in_its_ack() -> None:
    ring = Unoffered()
    invite = ring.comes()
    offer = ring.offered()
    assert b"c=IN IP4 192.0.2.10" in offer.body
    assert ring.third.responses() == [100]
    assert (ring.bob.take(), ring.second.take()) == ([], [])
    ring.acknowledge(offer, sdp(ring.alice.host))
    answer = next(m for m in ring.third.take() if isinstance(m, Response) and m.status == 200)
    assert b"c=IN IP4 192.0.2.10" in answer.body
    ring.third.send(ring.third.within(invite, answer, "ACK", cseq=invite.cseq.number))
    assert told_elsewhere(ring.bob, ring.second) == [True, True]
    (relay,) = ring.bench.relays.values()
    assert relay.b is not None
    assert (relay.a.remote, relay.b.remote) == ((ring.alice.host, 10000), (ring.third.host, 14000))
    ring.third.send(ring.third.within(invite, answer, "BYE"))
    ring.alice.expect("BYE")
    assert ring.bench.record.answered_by == "1002"
    ring.bob.take(), ring.second.take()
    ring.bench.quiet()


def test_srtp_is_agreed_on_with_both() -> None:
    ring = Unoffered()
    ring.comes(secure(ring.third, line(1, SHA1_80)))
    offer = ring.offered()
    assert b"RTP/SAVP" in offer.body
    own = secure(ring.alice, line(1, SHA1_80))
    ring.acknowledge(offer, own)
    answer = next(m for m in ring.third.take() if isinstance(m, Response) and m.status == 200)
    assert b"crypto" in answer.body
    (relay,) = ring.bench.relays.values()
    assert relay.b is not None
    assert None not in (relay.a.receives, relay.b.receives)


@pytest.mark.parametrize("body", [b"", b"nonsense"])
def test_an_ack_without_an_answer_ends_the_call(body: bytes) -> None:
    ring = Unoffered()
    ring.comes()
    ring.acknowledge(ring.offered(), body)
    assert ring.third.responses()[-1] in (400, 488)
    ring.alice.answer(ring.alice.expect("BYE"), 200)
    ring.bob.expect("CANCEL")
    assert ring.bench.record.ended_by == "system"
    gone(ring)


def gone(ring: Ringing) -> None:
    """Let phones that rang say that they ring no more, and check that nothing is left."""
    for phone, invite, tag in ((ring.bob, ring.incoming, "early"), (ring.second, ring.other, "s")):
        phone.answer(invite, 487, tag=tag)
    ring.bench.advance(40)
    ring.bench.quiet()


def test_who_comes_gives_up_before_the_ack_and_the_call_ends() -> None:
    ring = Unoffered()
    invite = ring.comes()
    offer = ring.offered()
    ring.third.send(ring.third.cancel(invite))
    assert ring.third.responses() == [100, 200, 487]
    ring.acknowledge(offer, sdp(ring.alice.host))
    ring.alice.answer(ring.alice.expect("BYE"), 200)
    ring.bob.expect("CANCEL")
    assert "did not take the call after all" in ring.bench.record.reason
    gone(ring)


def test_the_caller_hangs_up_before_the_ack() -> None:
    ring = Unoffered()
    ring.comes()
    offer = ring.offered()
    ring.alice.send(ring.alice.within(ring.invite, offer, "BYE"))
    assert ring.alice.responses() == [200]
    assert ring.third.responses() == [100, 487]
    ring.bob.expect("CANCEL")
    gone(ring)


def test_an_ack_that_never_comes_ends_the_call() -> None:
    ring = Unoffered()
    ring.comes()
    ring.offered()
    ring.bench.advance(33)
    assert "BYE" in [request.method for request in ring.alice.requests()]
    assert ring.third.responses()[-1] == 487
    assert ring.bench.record.ended is not None
    gone(ring)


def test_a_phone_that_answers_meanwhile_comes_too_late() -> None:
    ring = Unoffered()
    ring.comes()
    offer = ring.offered()
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert [request.method for request in ring.bob.requests()] == ["ACK", "BYE"]
    ring.acknowledge(offer, sdp(ring.alice.host))
    assert 200 in ring.third.responses()


def test_another_one_who_comes_meanwhile_is_too_late() -> None:
    ring = Unoffered()
    ring.comes()
    offer = ring.offered()
    (fourth,) = ring.bench.registered("1002")
    fourth.invite("x", headers=ring.named)
    assert fourth.responses() == [100, 486]
    ring.acknowledge(offer, sdp(ring.alice.host))
    assert 200 in ring.third.responses()


def test_core_dies_before_the_ack_and_everybody_is_let_go() -> None:
    ring = Unoffered()
    ring.comes()
    ring.offered()
    ring.bench.restart()
    ring.alice.answer(ring.alice.expect("BYE"), 200)
    assert {phone.expect("CANCEL").method for phone in (ring.bob, ring.second)} == {"CANCEL"}
    assert ring.bench.record.ended is not None


def test_without_any_offer_nobody_is_taken_and_the_phones_ring_on() -> None:
    ring = Unoffered()
    ring.third.invite("x", body=b"", headers=ring.named)
    assert ring.third.responses() == [100, 488]
    assert ring.bob.take() == []
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert 200 in ring.alice.responses()
