"""Blind transfer (C5; RFC 5589, section 6): what each party hears and is told, and every race."""

from __future__ import annotations

import pytest

from appliance.bundle import Policies
from appliance.sdp.session import Session
from tests.call.trio import MUSIC, Trio, a_law, agree, direction, pick_up
from tests.phones import Phone, sdp, site_bundle


def parts(trio: Trio, who: str) -> tuple[Phone, Phone]:
    """Return who transfers and who is transferred."""
    return (trio.alice, trio.bob) if who == "alice" else (trio.bob, trio.alice)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_the_other_party_talks_with_the_target(who: str) -> None:
    trio = Trio()
    leaves, stays = parts(trio, who)
    assert trio.refer(leaves) == 202
    assert stays.take() == []
    mine = trio.sides[0] if who == "bob" else trio.sides[1]
    nobody = trio.sides[1] if who == "bob" else trio.sides[0]
    assert (mine.hears, nobody.remote) == (MUSIC, None)
    ringing = trio.carol.expect("INVITE")
    assert ringing.from_.uri.user == stays.extension  # type: ignore[union-attr]
    assert ringing.first("Referred-By") == f"<sip:{leaves.extension}@example.com>"
    assert direction(ringing) == "sendrecv"
    trio.carol.answer(ringing, 180, tag="carol")
    trio.carol.answer(ringing, 200, tag="carol", body=sdp(trio.carol.host, 12000))
    trio.carol.expect("ACK")
    assert trio.call.state.value == "transferring"
    agree(stays, stays.expect("INVITE"))
    trio.listen(leaves)
    assert trio.told == ["active 100", "active 180", "terminated 200"]
    leaves.answer(leaves.expect("BYE"), 200)
    assert trio.pair() == {stays.extension, "1003"}
    assert {side.remote for side in trio.sides} == {(stays.host, 10000), (trio.carol.host, 12000)}
    assert [side.hears for side in trio.sides] == [None, None]
    trio.carol.send(trio.carol.back(ringing, "BYE", "carol"))
    stays.answer(stays.expect("BYE"), 200)
    steps = trio.bench.record.steps
    assert f"{leaves.extension} transfers to 1003" in steps
    assert any(step.startswith(f"{leaves.extension} is replaced by 1003") for step in steps)
    assert trio.bench.record.from_caller.packets == 100
    trio.bench.quiet()


def test_a_target_that_does_not_answer_brings_the_two_together_again() -> None:
    trio = Trio()
    before = trio.sides
    trio.refer(trio.alice)
    trio.carol.answer(trio.carol.expect("INVITE"), 486, tag="carol")
    trio.listen(trio.alice)
    assert trio.told == ["active 100", "terminated 486"]
    assert trio.sides == before
    assert trio.pair() == {"1001", "1002"}
    assert (trio.alice.take(), trio.bob.take()) == ([], [])
    trio.hang_up(trio.bob)
    trio.alice.expect("BYE")
    assert "transfer failed (486): User 1003 is busy" in trio.bench.record.steps
    trio.bench.quiet()


def test_who_transfers_may_hang_up_at_once() -> None:
    trio = Trio()
    trio.refer(trio.bob)
    trio.hang_up(trio.bob)
    assert trio.alice.take() == []
    pick_up(trio.carol)
    agree(trio.alice, trio.alice.expect("INVITE"))
    assert trio.bob.take() == []
    assert trio.pair() == {"1001", "1003"}
    trio.end(trio.alice, trio.carol)


def test_who_has_hung_up_is_called_back_when_the_target_fails() -> None:
    trio = Trio()
    trio.refer(trio.bob)
    trio.hang_up(trio.bob)
    trio.carol.answer(trio.carol.expect("INVITE"), 603, tag="carol")
    # Bob has no other phone, and the one on his flow is free again.
    pick_up(trio.bob)
    agree(trio.alice, trio.alice.expect("INVITE"))
    assert trio.pair() == {"1001", "1002"}
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    assert "call 1002 back" in trio.bench.record.steps
    trio.bench.quiet()


def test_when_nobody_takes_the_call_back_it_ends() -> None:
    trio = Trio()
    trio.refer(trio.bob)
    trio.hang_up(trio.bob)
    for phone in (trio.carol, trio.bob):
        phone.answer(phone.expect("INVITE"), 486, tag="x")
    trio.alice.expect("BYE")
    assert trio.bench.record.ended_by == "system"
    trio.bench.quiet()


def test_the_party_that_is_transferred_hangs_up_while_the_target_rings() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    invite = trio.carol.expect("INVITE")
    trio.carol.answer(invite, 180, tag="carol")
    trio.listen(trio.alice)
    trio.hang_up(trio.bob)
    trio.carol.expect("CANCEL")
    trio.carol.answer(invite, 487, tag="carol")
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 487"
    trio.alice.expect("BYE")
    trio.bench.quiet()


def test_the_target_answers_as_it_is_cancelled() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    invite = trio.carol.expect("INVITE")
    trio.hang_up(trio.bob)
    trio.carol.answer(invite, 200, tag="carol", body=sdp(trio.carol.host))
    assert [request.method for request in trio.carol.requests()][-2:] == ["ACK", "BYE"]
    trio.bench.quiet()


def test_the_target_hangs_up_before_the_other_party_has_agreed() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    answered = pick_up(trio.carol, a_law(trio.carol))
    offer = trio.bob.expect("INVITE")
    trio.carol.send(trio.carol.back(answered, "BYE", "picked"))
    assert trio.carol.responses() == [200]
    trio.bob.answer(offer, 200, tag=offer.to.tag or "", body=a_law(trio.bob))
    ack, back = trio.bob.requests()
    assert ack.method == "ACK"
    agree(trio.bob, back)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 480"
    assert trio.pair() == {"1001", "1002"}
    trio.end(trio.alice, trio.bob)


def test_the_target_hangs_up_and_the_other_party_had_refused() -> None:
    trio = Trio()
    before = trio.sides
    trio.refer(trio.alice)
    answered = pick_up(trio.carol)
    offer = trio.bob.expect("INVITE")
    trio.carol.send(trio.carol.back(answered, "BYE", "picked"))
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    assert trio.sides == before
    trio.hang_up(trio.alice)
    trio.bench.quiet()


def test_a_party_that_will_not_talk_with_the_target_goes_back() -> None:
    trio = Trio()
    before = trio.sides
    trio.refer(trio.alice)
    pick_up(trio.carol)
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    trio.bob.expect("ACK")
    trio.carol.expect("BYE")
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 488"
    assert trio.sides == before
    trio.hang_up(trio.alice)
    trio.bench.quiet()


def test_a_party_that_is_gone_ends_the_call_for_all() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    pick_up(trio.carol)
    trio.bench.advance(40)  # Bob's phone answers nothing
    assert "BYE" in [request.method for request in trio.carol.requests()]
    assert "BYE" in [request.method for request in trio.alice.requests()]
    trio.bench.quiet()


def test_hold_before_and_a_target_that_is_held() -> None:
    trio = Trio()
    trio.ask(trio.alice, "sendonly")
    trio.refer(trio.alice)
    ringing = pick_up(trio.carol)
    assert direction(ringing) == "sendrecv"
    offer = agree(trio.bob, trio.bob.expect("INVITE"))
    assert direction(offer) == "sendrecv"
    assert [side.hears for side in trio.sides] == [None, None]
    trio.carol.send(
        trio.carol.back(
            ringing, "INVITE", "picked", body=sdp(trio.carol.host, direction="sendonly", version=2)
        )
    )
    assert direction(agree(trio.bob, trio.bob.expect("INVITE"), "recvonly")) == "sendonly"
    trio.bench.advance(1)
    assert MUSIC in [side.hears for side in trio.sides]


def test_a_refer_that_crosses_a_hold_waits_for_it() -> None:
    trio = Trio()
    hold = trio.within(trio.alice, "INVITE", body=sdp(trio.alice.host, direction="sendonly"))
    trio.alice.send(hold)
    offer = trio.bob.expect("INVITE")
    assert trio.refer(trio.alice) == 202
    assert trio.carol.take() == []
    agree(trio.bob, offer, "recvonly")
    trio.bench.advance(0.3)
    pick_up(trio.carol)
    trio.alice.take()
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.pair() == {"1002", "1003"}


def test_a_hold_of_the_other_party_while_the_target_rings() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    ringing = trio.carol.expect("INVITE")
    hold = trio.within(trio.bob, "INVITE", body=sdp(trio.bob.host, direction="sendonly", version=2))
    trio.bob.send(hold)
    assert trio.bob.responses() == [100, 200]
    ack = trio.within(trio.bob, "ACK")
    ack.set("CSeq", f"{hold.cseq.number} ACK")
    trio.bob.send(ack)
    trio.carol.answer(ringing, 200, tag="carol", body=sdp(trio.carol.host))
    agree(trio.bob, trio.bob.expect("INVITE"), "sendonly")
    assert trio.sides[0].hears == MUSIC


def test_an_offer_of_who_transfers_gets_491_meanwhile() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    trio.alice.send(trio.within(trio.alice, "INVITE", body=sdp(trio.alice.host, version=3)))
    assert trio.alice.responses() == [100, 491]


def test_glare_with_the_other_partys_offer_is_tried_again() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    pick_up(trio.carol)
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 491, tag=offer.to.tag or "")
    trio.bob.expect("ACK")
    trio.bench.advance(2.2)
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.pair() == {"1002", "1003"}


def test_without_music_on_hold_there_is_a_ring_back_tone() -> None:
    trio = Trio(site_bundle(Policies(music_on_hold=False)))
    trio.refer(trio.alice)
    assert trio.sides[1].hears is not None
    assert trio.sides[1].hears.name == "tone/ringback"


def test_a_phone_in_a_transfer_counts_as_busy_and_the_target_as_ringing() -> None:
    trio = Trio()
    presence = trio.bench.core.switchboard.presence
    trio.refer(trio.alice)
    assert "1003" in presence.ringing()
    assert "1001" in presence.busy()
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert "1001" not in presence.busy()
    assert {"1002", "1003"} <= set(presence.busy())  # type: ignore[call-overload]
    trio.hang_up(trio.bob)
    assert list(presence.busy()) == []  # type: ignore[call-overload]


def test_transfers_of_a_call_that_was_transferred() -> None:
    trio = Trio()
    (dave,) = trio.bench.registered("1004")
    trio.refer(trio.alice)
    carols = pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    refer = trio.carol.back(
        carols, "REFER", "picked", headers=[("Refer-To", "<sip:1004@example.com>")]
    )
    trio.carol.send(refer)
    pick_up(dave)
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.pair() == {"1002", "1004"}
    trio.hang_up(trio.bob)
    dave.expect("BYE")
    assert len(trio.bench.records) == 1
    trio.bench.advance(40)
    trio.bench.quiet()


def test_codecs_are_agreed_on_anew() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    ringing = trio.carol.expect("INVITE")
    assert {"0", "8", "101"} == set(Session.parse(ringing.body).media[0].formats)
    trio.carol.answer(ringing, 200, tag="carol", body=a_law(trio.carol))
    offer = trio.bob.expect("INVITE")
    assert Session.parse(offer.body).media[0].formats == ("8", "101")
    trio.bob.answer(offer, 200, tag=offer.to.tag or "", body=a_law(trio.bob))
    assert [side.codecs[0].name for side in trio.sides] == ["PCMA", "PCMA"]


def test_without_a_free_port_the_two_stay_together() -> None:
    trio = Trio()
    before = trio.sides
    trio.bench.core.switchboard._ports._free.clear()
    assert trio.refer(trio.alice) == 202
    assert trio.told == ["active 100", "terminated 503"]
    assert trio.sides == before
    assert trio.carol.take() == []
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")


@pytest.mark.parametrize("late", [200, 481])
def test_bye_crosses_the_reinvite_that_joins(late: int) -> None:
    trio = Trio()
    trio.refer(trio.alice)
    pick_up(trio.carol)
    trio.listen(trio.alice)
    offer = trio.bob.expect("INVITE")
    trio.hang_up(trio.bob)
    body = sdp(trio.bob.host) if late == 200 else b""
    trio.bob.answer(offer, late, tag=offer.to.tag or "", body=body)
    trio.carol.answer(trio.carol.expect("BYE"), 200)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 487"
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    assert trio.bench.record.reason == "the callee hung up"
    trio.bench.quiet()
