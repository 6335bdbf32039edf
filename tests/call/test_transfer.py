"""Blind transfer (C5; RFC 5589, section 6): what each party hears and is told, and every race."""

from __future__ import annotations

import pytest

from appliance.bundle import Policies
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.trio import MUSIC, TO_CAROL, Trio, a_law, agree, direction, pick_up
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
    trio.hang_up(trio.alice)
    trio.carol.expect("BYE")
    trio.bench.quiet()


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
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()


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


def test_two_refers_at_once_the_second_has_to_wait() -> None:
    trio = Trio()
    assert trio.refer(trio.alice) == 202
    assert trio.refer(trio.alice) == 491
    assert trio.refer(trio.bob) == 491
    trio.carol.answer(trio.carol.expect("INVITE"), 486, tag="carol")
    trio.listen(trio.alice)
    assert trio.refer(trio.alice) == 202
    assert trio.told[-2:] == ["terminated 486", "active 100"]


def test_the_second_refer_in_a_dialog_is_told_apart_by_its_number() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    trio.carol.answer(trio.carol.expect("INVITE"), 486, tag="carol")
    trio.listen(trio.alice)
    request = trio.within(trio.alice, "REFER", Refer_To=TO_CAROL)
    trio.alice.send(request)
    events = [m.first("Event") for m in trio.alice.take() if isinstance(m, Request)]
    assert events == [f"refer;id={request.cseq.number}"]


def test_refer_crosses_bye() -> None:
    trio = Trio()
    trio.bob.send(trio.within(trio.bob, "BYE"))
    trio.alice.expect("BYE")
    trio.alice.send(trio.within(trio.alice, "REFER", Refer_To=TO_CAROL))
    assert trio.alice.responses() == [481]
    assert trio.carol.take() == []
    trio.bench.quiet()


@pytest.mark.parametrize("extension", ["1001", "1002"])
def test_a_transfer_to_one_of_the_two_rings_no_phone_that_is_in_the_call(extension: str) -> None:
    trio = Trio()
    assert trio.refer(trio.alice, f"<sip:{extension}@example.com>") == 202
    assert trio.told == ["active 100", "terminated 480"]
    assert trio.pair() == {"1001", "1002"}
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_a_transfer_to_the_other_phone_of_who_transfers() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1001")
    trio.refer(trio.alice, "<sip:1001@example.com>")
    pick_up(second)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    trio.alice.expect("BYE")
    assert trio.pair() == {"1001", "1002"}


@pytest.mark.parametrize(
    "to",
    [
        "nonsense",
        "<sip:1003@example.com>, <sip:1004@example.com>",
        "<sip:1003@example.com?Replaces=nothing>",
        "<sip:1003@example.com;method=BYE>",
        "<mailto:carol@example.com>",
        "<sip:1003@example.com",
        "sip:1003@example.com?Replaces=a",
    ],
)
def test_a_refer_to_that_nobody_can_follow_gets_400(to: str) -> None:
    trio = Trio()
    request = trio.within(trio.alice, "REFER", Refer_To=to)
    trio.alice.send(request)
    (answer,) = trio.alice.take()
    assert isinstance(answer, Response)
    assert answer.status == 400
    assert "holdfast" in (answer.first("Warning") or "")
    assert trio.pair() == {"1001", "1002"}


def test_a_refer_without_target_or_with_a_broken_referred_by_gets_400() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "REFER"))
    assert trio.alice.responses() == [400]
    assert trio.refer(trio.alice, Referred_By="<sip:bob") == 400
    assert trio.refer(trio.alice, Referred_By="<sip:bob@example.com>") == 202


def test_a_number_that_leads_nowhere_is_told_and_changes_nothing() -> None:
    trio = Trio()
    trio.refer(trio.alice, "<sip:4711@example.com>")
    assert trio.told == ["active 100", "terminated 404"]
    assert trio.refer(trio.alice, "tel:4711") == 202
    assert trio.told[-1] == "terminated 404"
    assert trio.pair() == {"1001", "1002"}


def test_without_a_subscription_nothing_is_told() -> None:
    trio = Trio()
    request = trio.within(trio.alice, "REFER", Refer_To=TO_CAROL, Refer_Sub="false")
    trio.alice.send(request)
    (answer,) = trio.alice.take()
    assert isinstance(answer, Response)
    assert (answer.status, answer.first("Refer-Sub")) == (202, "false")
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.alice.expect("BYE")


def test_a_phone_that_wants_no_more_news_gets_none() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "REFER", Refer_To=TO_CAROL))
    (notify,) = (m for m in trio.alice.take() if isinstance(m, Request))
    trio.alice.answer(notify, 481, tag=notify.to.tag or "")
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.alice.expect("BYE")
    assert trio.pair() == {"1002", "1003"}


def test_a_phone_that_never_answers_a_notify_is_hung_up_all_the_same() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "REFER", Refer_To=TO_CAROL))
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.bench.advance(33)
    assert "BYE" in [request.method for request in trio.alice.requests()]
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    trio.bench.quiet()


def test_nobody_is_transferred_round_and_round() -> None:
    trio = Trio()
    for _ in range(16):
        assert trio.refer(trio.alice, "<sip:4711@example.com>") == 202
    assert trio.refer(trio.alice) == 482
    assert trio.carol.take() == []


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
