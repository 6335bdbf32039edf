"""What a REFER may say, when it may come, and what its sender is told (RFC 3515, 4488)."""

from __future__ import annotations

import pytest

from appliance.sip.message import Request, Response
from tests.call.trio import TO_CAROL, Trio, agree, pick_up


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
