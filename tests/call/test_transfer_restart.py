"""Core is killed around a transfer: the pair that counts goes on, and nothing is left over."""

from __future__ import annotations

import pytest

from tests.call.test_consult import Consult
from tests.call.test_replaces import answered, of_bob
from tests.call.trio import Trio, agree, pick_up
from tests.phones import Phone, sdp


def settle(trio: Trio, *phones: Phone) -> None:
    """Let phones answer whatever they are told again after a restart."""
    for _ in range(4):
        trio.bench.advance(1.1)
        for phone in phones:
            for request in phone.requests():
                if request.method == "INVITE":
                    phone.answer(request, 200, tag=request.to.tag or "", body=sdp(phone.host))


def test_the_new_pair_goes_on() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    ringing = pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    before = trio.sides
    trio.bench.restart()
    assert trio.sides == before
    assert trio.pair() == {"1002", "1003"}
    trio.bench.advance(5)
    assert (trio.bob.take(), trio.carol.take()) == ([], [])
    trio.carol.send(trio.carol.back(ringing, "BYE", "picked"))
    assert trio.carol.responses() == [200]
    trio.bob.answer(trio.bob.expect("BYE"), 200)
    assert trio.bench.record.answered_by == "1002"
    trio.bench.quiet()


def test_the_new_pair_of_a_consult_transfer_goes_on_and_can_be_handed_on() -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    agree(trio.carol, trio.carol.expect("INVITE"))
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    trio.alice.take()
    trio.bench.restart()
    settle(trio, trio.bob, trio.carol)
    assert trio.pair() == {"1002", "1003"}
    (dave,) = trio.bench.registered("1004")
    trio.refer(trio.bob, "<sip:1004@example.com>")
    pick_up(dave)
    agree(trio.carol, trio.carol.expect("INVITE"))
    assert trio.pair() == {"1003", "1004"}
    trio.listen(trio.bob)
    trio.carol.send(trio.carol.back(trio.second[2], "BYE", "callee", cseq=60))
    dave.expect("BYE")
    assert len(trio.bench.records) == 2
    trio.bench.advance(40)
    trio.bench.quiet()


def test_who_transfers_is_hung_up_even_if_core_dies_before_that() -> None:
    trio = Trio()
    trio.refer(trio.alice)
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.alice.take()  # the last NOTIFY is not answered yet, so no BYE was sent
    trio.bench.restart()
    trio.alice.expect("BYE")
    assert trio.pair() == {"1002", "1003"}


def test_a_target_that_still_rings_is_cancelled_and_the_two_are_together_again() -> None:
    trio = Trio()
    before = {side.remote for side in trio.sides}
    trio.refer(trio.alice)
    ringing = trio.carol.expect("INVITE")
    trio.carol.answer(ringing, 180, tag="carol")
    trio.bench.restart()
    assert trio.carol.expect("CANCEL").call_id == ringing.call_id
    trio.carol.answer(ringing, 487, tag="carol")
    assert {side.remote for side in trio.sides} == before
    assert [side.hears for side in trio.sides] == [None, None]
    assert trio.pair() == {"1001", "1002"}
    trio.alice.take()
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_who_is_alone_when_core_dies_is_hung_up() -> None:
    trio = Trio()
    trio.refer(trio.bob)
    trio.hang_up(trio.bob)
    ringing = trio.carol.expect("INVITE")
    trio.bench.restart()
    trio.carol.expect("CANCEL")
    trio.carol.answer(ringing, 487, tag="carol")
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    assert trio.bench.record.ended is not None
    trio.bench.quiet()


def test_who_came_by_replaces_goes_on_whether_or_not_its_ack_is_known() -> None:
    trio = Trio()
    (second,) = trio.bench.registered("1002")
    invite = second.invite("x", headers=of_bob(trio))
    agree(trio.alice, trio.alice.expect("INVITE"))
    answer = answered(second, invite)
    trio.bob.answer(trio.bob.expect("BYE"), 200)
    trio.bench.restart()
    settle(trio, trio.alice)
    assert 200 in second.responses()  # an ACK that may be lost is asked for again
    second.send(second.within(invite, answer, "ACK", cseq=invite.cseq.number))
    trio.bench.advance(40)
    assert trio.pair() == {"1001", "1002"}
    second.send(second.within(invite, answer, "BYE"))
    assert 200 in second.responses()
    assert "BYE" in [request.method for request in trio.alice.requests()]
    trio.bench.quiet()


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_restart_between_the_targets_answer_and_the_other_partys(seconds: int) -> None:
    trio = Trio()
    trio.refer(trio.alice)
    pick_up(trio.carol)
    trio.bob.expect("INVITE")
    trio.bench.advance(seconds)
    trio.bench.restart()
    trio.carol.expect("BYE")  # nobody is to wait in a call with nobody
    settle(trio, trio.alice, trio.bob)
    assert trio.pair() == {"1001", "1002"}
    assert [side.hears for side in trio.sides] == [None, None]
    trio.hang_up(trio.alice)
    trio.bench.advance(40)
    trio.bench.quiet()
