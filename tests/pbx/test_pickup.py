"""Pick-up (C9): by extension and by group, by code and by Replaces; one wins."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.bundle import PickupGroup, Policies
from appliance.sip.message import Request, Response
from tests.call.test_replaces import answered, replaces
from tests.phones import Bench, Phone, sdp, site_bundle

OFFICE = PickupGroup(id="office", members=("u1002", "u1003", "u1004"))


class Ringing:
    """1001 calls 1002, whose phone rings; 1002, 1003 and 1004 may take each other's calls."""

    def __init__(self, pickup: Any = "groups", groups: tuple[PickupGroup, ...] = (OFFICE,)) -> None:
        bundle = site_bundle(Policies(pickup=pickup))
        self.bench = Bench.in_outage(replace(bundle, pickup_groups=groups))
        self.caller, self.callee, self.near, self.also, self.far = self.bench.registered(
            "1001", "1002", "1003", "1004", "1005"
        )
        self.invite = self.caller.invite("1002")
        self.incoming = self.callee.expect("INVITE")
        self.callee.answer(self.incoming, 180, tag="early")
        assert self.caller.responses() == [100, 180]

    def take(self, phone: Phone, number: str, headers: Any = None) -> Request:
        return phone.invite(number, body=sdp(phone.host, 14000), headers=headers)

    def talks_with(self, phone: Phone, invite: Request) -> None:
        """Check that the caller talks with a phone, and hang up."""
        answer = answered(phone, invite)
        answered(self.caller, self.invite)
        cancel = self.callee.expect("CANCEL")
        assert "completed elsewhere" in (cancel.first("Reason") or "")
        self.callee.answer(cancel, 200)
        self.callee.answer(self.incoming, 487, tag="early")
        (relay,) = self.bench.relays.values()
        assert relay.b is not None
        assert {relay.a.remote, relay.b.remote} == {(self.caller.host, 10000), (phone.host, 14000)}
        phone.send(phone.within(invite, answer, "BYE"))
        self.caller.answer(self.caller.expect("BYE"), 200)
        self.bench.quiet()


def refused(ringing: Ringing, phone: Phone, invite: Request) -> list[str]:
    """Return what somebody hears who may not take the call, which must ring on."""
    answered(phone, invite)
    heard = [one.a.hears.name for one in ringing.bench.relays.values() if one.a.hears]
    assert ringing.callee.take() == []
    return heard


@pytest.mark.parametrize("code", ["*971002", "*98"])
def test_a_call_is_taken_by_a_code(code: str) -> None:
    ringing = Ringing()
    invite = ringing.take(ringing.near, code)
    ringing.talks_with(ringing.near, invite)
    record = ringing.bench.record
    assert (record.answered_by, record.callee) == ("1003", "1002")
    assert "1003 takes the call" in record.steps


def test_a_call_is_taken_by_replacing_the_dialog_that_rings() -> None:
    ringing = Ringing()
    named = replaces(ringing.incoming.call_id, ringing.incoming.from_.tag or "", "early")
    invite = ringing.take(ringing.near, "1002", named)
    ringing.talks_with(ringing.near, invite)


def test_nobody_else_may_take_it() -> None:
    ringing = Ringing()
    for code in ("*971002", "*98"):
        invite = ringing.take(ringing.far, code)
        assert "pickup-none" in refused(ringing, ringing.far, invite)
    named = replaces(ringing.incoming.call_id, ringing.incoming.from_.tag or "", "early")
    ringing.far.take()
    ringing.take(ringing.far, "1002", named)
    assert ringing.far.responses() == [100, 603]


def test_a_site_may_let_everybody_take_calls_by_extension() -> None:
    ringing = Ringing("site", ())
    invite = ringing.take(ringing.far, "*98")
    assert refused(ringing, ringing.far, invite) == ["pickup-none"]
    ringing.far.take()
    invite = ringing.take(ringing.near, "*971002")
    answered(ringing.near, invite)
    assert "completed elsewhere" in (ringing.callee.expect("CANCEL").first("Reason") or "")


def test_of_two_who_take_one_call_the_second_hears_that_there_is_none() -> None:
    ringing = Ringing()
    first = ringing.take(ringing.near, "*971002")
    second = ringing.take(ringing.also, "*971002")
    answered(ringing.also, second)
    heard = [one.a.hears.name for one in ringing.bench.relays.values() if one.a.hears]
    assert heard == ["pickup-none"]
    answered(ringing.near, first)
    assert ringing.callee.expect("CANCEL")


def test_of_an_answer_and_a_pick_up_the_first_wins() -> None:
    ringing = Ringing()
    invite = ringing.take(ringing.near, "*971002")
    ringing.callee.answer(ringing.incoming, 200, tag="early", body=sdp(ringing.callee.host))
    assert [one.method for one in ringing.callee.requests()] == ["CANCEL", "ACK", "BYE"]
    answered(ringing.near, invite)
    answered(ringing.caller, ringing.invite)


def test_an_answered_call_is_not_picked_up() -> None:
    ringing = Ringing()
    ringing.callee.answer(ringing.incoming, 200, tag="early", body=sdp(ringing.callee.host))
    ringing.callee.expect("ACK")
    invite = ringing.take(ringing.near, "*971002")
    assert refused(ringing, ringing.near, invite) == ["pickup-none"]


def test_the_caller_does_not_pick_up_the_own_call() -> None:
    everybody = PickupGroup(id="all", members=("u1001", "u1002"))
    ringing = Ringing(groups=(everybody,))
    (second,) = ringing.bench.registered("1001")
    invite = ringing.take(second, "*971002")
    assert refused(ringing, second, invite) == ["pickup-none"]


def test_the_call_that_has_rung_for_longest_is_taken() -> None:
    ringing = Ringing()
    ringing.bench.advance(3)
    ringing.far.invite("1004")
    other = ringing.also.expect("INVITE")
    ringing.also.answer(other, 180, tag="other")
    ringing.callee.take()
    ringing.near.take()
    invite = ringing.take(ringing.near, "*98")
    answered(ringing.near, invite)
    assert ringing.also.take() == []
    assert ringing.callee.expect("CANCEL")


@pytest.mark.parametrize("code", ["*971002", "*98"])
def test_who_picks_up_may_leave_the_offer_to_us(code: str) -> None:
    ringing = Ringing()
    invite = ringing.near.invite(code, body=b"")
    offer = next(m for m in ringing.near.take() if isinstance(m, Response) and m.status == 200)
    assert b"m=audio" in offer.body
    assert ringing.callee.take() == []
    body = sdp(ringing.near.host, 14000)
    ack = ringing.near.within(invite, offer, "ACK", cseq=invite.cseq.number, body=body)
    ringing.near.send(ack)
    answered(ringing.caller, ringing.invite)
    assert "completed elsewhere" in (ringing.callee.expect("CANCEL").first("Reason") or "")
    assert ringing.bench.record_of_the_only_call().answered_by == "1003"


def test_a_phone_that_has_gone_takes_nothing() -> None:
    ringing = Ringing()
    ringing.caller.send(ringing.caller.cancel(ringing.invite))
    invite = ringing.take(ringing.near, "*971002")
    answers = [m for m in ringing.near.take() if isinstance(m, Response)]
    assert answers[-1].status == 200
    assert ringing.near.within(invite, answers[-1], "BYE")


def test_a_colleague_takes_nobodys_conversation() -> None:
    ringing = Ringing("site")
    named = replaces(ringing.incoming.call_id, ringing.incoming.from_.tag or "", "early")
    ringing.callee.answer(ringing.incoming, 200, tag="early", body=sdp(ringing.callee.host))
    ringing.callee.expect("ACK")
    ringing.take(ringing.near, "1002", named)
    assert ringing.near.responses() == [100, 603]
    assert ringing.callee.take() == []
