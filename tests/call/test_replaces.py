"""INVITE with Replaces (RFC 3891): who rings, and who talks, is replaced by another phone."""

from __future__ import annotations

import pytest

from appliance.sip.message import Request, Response
from tests.call.test_security import SHA1_80, line, secure
from tests.call.trio import Trio, agree, direction
from tests.phones import Bench, Phone, sdp


def replaces(call_id: str, to_tag: str, from_tag: str, more: str = "") -> list[tuple[str, str]]:
    """Name a dialog as its phone knows it."""
    return [("Replaces", f"{call_id};to-tag={to_tag};from-tag={from_tag}{more}")]


def of_bob(trio: Trio, more: str = "") -> list[tuple[str, str]]:
    """Name Bob's dialog in Alice's call to him."""
    return replaces(trio.incoming.call_id, trio.incoming.from_.tag or "", "callee", more)


def of_alice(trio: Trio) -> list[tuple[str, str]]:
    """Name Alice's dialog in her call to Bob."""
    return replaces(trio.invite.call_id, trio.answer.to.tag or "", trio.invite.from_.tag or "")


def answered(phone: Phone, invite: Request) -> Response:
    """Take the 200 to an INVITE and acknowledge it."""
    answer = next(m for m in phone.take() if isinstance(m, Response) and m.status == 200)
    phone.send(phone.within(invite, answer, "ACK", cseq=invite.cseq.number))
    return answer


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_another_phone_of_a_party_takes_its_place(who: str) -> None:
    trio = Trio()
    leaves, stays = (trio.alice, trio.bob) if who == "alice" else (trio.bob, trio.alice)
    (second,) = trio.bench.registered(leaves.extension)
    named = of_alice(trio) if who == "alice" else of_bob(trio)
    invite = second.invite("anybody", body=sdp(second.host, 14000), headers=named)
    assert leaves.take() == []
    offer = stays.expect("INVITE")
    agree(stays, offer)
    answer = answered(second, invite)
    assert b"c=IN IP4 192.0.2.10" in answer.body
    leaves.answer(leaves.expect("BYE"), 200)
    assert {side.remote for side in trio.sides} == {(stays.host, 10000), (second.host, 14000)}
    second.send(second.within(invite, answer, "BYE"))
    stays.expect("BYE")
    assert len(trio.bench.records) == 1
    assert any("is replaced by" in step for step in trio.bench.record.steps)
    trio.bench.quiet()


def test_who_comes_may_leave_the_offer_to_us() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    invite = second.invite("anybody", body=b"", headers=of_bob(trio))
    offered = next(m for m in second.take() if isinstance(m, Response) and m.status == 200)
    assert trio.alice.take() == []
    ack = second.within(invite, offered, "ACK", cseq=invite.cseq.number, body=sdp(second.host))
    second.send(ack)
    agree(trio.alice, trio.alice.expect("INVITE"))
    trio.bob.expect("BYE")
    assert trio.pair() == {"1001", "1002"}
    assert {side.remote for side in trio.sides} == {(trio.alice.host, 10000), (second.host, 10000)}


def test_an_ack_without_answer_brings_the_two_together_again() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    before = trio.sides
    invite = second.invite("anybody", body=b"", headers=of_bob(trio))
    offered = next(m for m in second.take() if isinstance(m, Response) and m.status == 200)
    second.send(second.within(invite, offered, "ACK", cseq=invite.cseq.number))
    second.expect("BYE")
    assert trio.sides == before
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_who_comes_gives_up_before_the_other_party_has_agreed() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    before = trio.sides
    invite = second.invite("anybody", headers=of_bob(trio))
    offer = trio.alice.expect("INVITE")
    second.send(second.cancel(invite))
    assert second.responses() == [100, 200, 487]
    agree(trio.alice, offer)
    assert trio.sides == before
    assert trio.pair() == {"1001", "1002"}
    trio.hang_up(trio.bob)
    trio.alice.expect("BYE")
    trio.bench.quiet()


def test_the_other_party_refuses() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    before = trio.sides
    second.invite("anybody", headers=of_bob(trio))
    offer = trio.alice.expect("INVITE")
    trio.alice.answer(offer, 488, tag=offer.to.tag or "")
    assert second.responses() == [100, 488]
    assert trio.sides == before
    trio.hang_up(trio.bob)
    trio.bench.quiet()


def test_the_other_party_hangs_up_meanwhile() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    second.invite("anybody", headers=of_bob(trio))
    trio.alice.expect("INVITE")
    trio.hang_up(trio.alice)
    assert second.responses() == [100, 487]
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_who_is_replaced_hangs_up_meanwhile() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    invite = second.invite("anybody", headers=of_bob(trio))
    offer = trio.alice.expect("INVITE")
    trio.hang_up(trio.bob)
    agree(trio.alice, offer)
    answered(second, invite)
    assert trio.pair() == {"1001", "1002"}
    trio.hang_up(trio.alice)
    second.expect("BYE")
    trio.bench.quiet()


def test_only_a_party_may_do_so() -> None:
    trio = Trio()
    trio.carol.invite("anybody", headers=of_bob(trio))
    assert trio.carol.responses() == [100, 603]
    assert trio.alice.take() == []


def test_the_dialog_has_to_be_there() -> None:
    trio = Trio()
    trio.carol.invite("anybody", headers=replaces("nothing", "a", "b"))
    assert trio.carol.responses() == [100, 481]
    (second,) = trio.bench.registered("1002")
    second.invite("anybody", headers=of_bob(trio, ";early-only"))
    assert second.responses() == [100, 486]


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_dialog_that_is_over_is_declined(who: str) -> None:
    trio = Trio()
    leaves = trio.alice if who == "alice" else trio.bob
    named = of_alice(trio) if who == "alice" else of_bob(trio)
    trio.hang_up(trio.alice)
    (second,) = trio.bench.registered(leaves.extension)
    second.invite("anybody", headers=named)
    assert second.responses() == [100, 603]  # RFC 3891, section 3


@pytest.mark.parametrize("who", ["caller", "callee", "time"])
def test_a_dialog_that_rang_in_vain_is_declined(who: str) -> None:
    ring = Ringing()
    if who == "caller":
        ring.alice.send(ring.alice.cancel(ring.invite))
    elif who == "callee":
        ring.bob.answer(ring.incoming, 603, tag="early")
    else:
        ring.bench.advance(65)
        ring.third.register()
    ring.third.take()
    ring.third.invite("x", headers=ring.named)
    assert ring.third.responses() == [100, 603]


@pytest.mark.parametrize("value", ["nonsense", "a;to-tag=b", ""])
def test_a_header_that_names_no_dialog_gets_400(value: str) -> None:
    trio = Trio()
    request = trio.carol.request(
        "INVITE", "sip:x@example.com", body=sdp("192.0.2.9"), headers=[("Replaces", value)]
    )
    trio.carol.send(request)
    assert trio.carol.responses() == [400]


def test_two_of_them_or_one_with_join_get_400() -> None:
    trio = Trio()
    for more in (of_bob(trio), [("Join", "a;to-tag=b;from-tag=c")]):
        headers = [*of_bob(trio), *more]
        request = trio.carol.request(
            "INVITE", "sip:x@example.com", body=sdp("192.0.2.9"), headers=headers
        )
        trio.carol.send(request)
        assert trio.carol.responses() == [400]


# -- a phone that rings ---------------------------------------------------------------------------


class Ringing:
    """Alice calls Bob, who has two phones; the first is replaced or answers."""

    def __init__(self, body: bytes | None = None) -> None:
        self.bench = Bench.in_outage()
        self.alice, self.bob, self.second = self.bench.registered("1001", "1002", "1002")
        self.invite = self.alice.invite("1002", body=body)
        self.incoming, self.other = self.bob.expect("INVITE"), self.second.expect("INVITE")
        self.bob.answer(self.incoming, 180, tag="early")
        self.second.answer(self.other, 180, tag="second")
        self.alice.take()
        (self.third,) = self.bench.registered("1002")
        self.named = replaces(self.incoming.call_id, self.incoming.from_.tag or "", "early")


def test_a_phone_that_rings_is_replaced_and_the_others_are_told() -> None:
    ring = Ringing()
    invite = ring.third.invite("x", body=sdp(ring.third.host, 14000), headers=ring.named)
    answer = answered(ring.third, invite)
    for phone in (ring.bob, ring.second):
        assert "completed elsewhere" in (phone.expect("CANCEL").first("Reason") or "")
    taken = answered(ring.alice, ring.invite)
    assert direction(taken) == direction(answer) == "sendrecv"
    (relay,) = ring.bench.relays.values()
    assert relay.b is not None
    assert (relay.a.remote, relay.b.remote) == (
        (ring.alice.host, 10000),
        (ring.third.host, 14000),
    )
    ring.third.send(ring.third.within(invite, answer, "BYE"))
    ring.alice.expect("BYE")
    assert ring.bench.record.answered_by == "1002"
    ring.bench.quiet()


def test_early_only_means_just_that() -> None:
    ring = Ringing()
    named = [(name, f"{value};early-only") for name, value in ring.named]
    invite = ring.third.invite("x", headers=named)
    answered(ring.third, invite)
    answered(ring.alice, ring.invite)


def test_the_answer_of_a_phone_crosses() -> None:
    ring = Ringing()
    invite = ring.third.invite("x", headers=ring.named)
    answered(ring.third, invite)
    ring.bob.take()
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert [request.method for request in ring.bob.requests()] == ["ACK", "BYE"]
    answered(ring.alice, ring.invite)
    ring.alice.send(ring.alice.back(ring.invite, "BYE", ring.invite.from_.tag or ""))


def test_the_first_of_two_wins() -> None:
    ring = Ringing()
    (fourth,) = ring.bench.registered("1002")
    answered(ring.third, ring.third.invite("x", headers=ring.named))
    fourth.invite("x", headers=ring.named)
    assert fourth.responses() == [100, 603]


def test_an_offer_that_has_nothing_in_common_changes_nothing() -> None:
    ring = Ringing()
    body = sdp(ring.third.host).replace(b"AVP 0 101", b"AVP 96").replace(b"0 PCMU", b"96 opus/1")
    ring.third.invite("x", body=body, headers=ring.named)
    assert ring.third.responses() == [100, 488]
    assert ring.bob.take() == []
    ring.bob.answer(ring.incoming, 200, tag="early", body=sdp(ring.bob.host))
    assert 200 in ring.alice.responses()


def test_a_dialog_that_its_phone_began_cannot_be_replaced_while_it_rings() -> None:
    bench = Bench.in_outage()
    alice, bob, second = bench.registered("1001", "1002", "1001")
    invite = alice.invite("1002")
    bob.answer(bob.expect("INVITE"), 180)
    early = [m for m in alice.take() if isinstance(m, Response)][-1]
    named = replaces(invite.call_id, early.to.tag or "", invite.from_.tag or "")
    second.invite("x", headers=named)
    assert second.responses() == [100, 481]


def test_srtp_of_one_and_rtp_of_the_other_are_bridged() -> None:
    bench = Bench.in_outage()
    alice, bob, second = bench.registered("1001", "1002", "1002")
    invite = alice.invite("1002", body=secure(alice, line(1, SHA1_80)))
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 180, tag="early")
    alice.take(), second.take()
    named = replaces(incoming.call_id, incoming.from_.tag or "", "early")
    comes = second.invite("x", headers=named)
    clear = answered(second, comes)
    assert b"RTP/AVP 0" in clear.body
    assert b"crypto" not in clear.body
    keyed = answered(alice, invite)
    assert b"RTP/SAVP 0" in keyed.body
    assert b"crypto" in keyed.body
    (relay,) = bench.relays.values()
    assert relay.b is not None
    assert relay.a.receives is not None
    assert relay.b.receives is None
