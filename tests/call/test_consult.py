"""Consult transfer (C6; RFC 5589, section 7): before and after the answer, and every race."""

from __future__ import annotations

import pytest

from appliance.sip.message import Request, Response
from tests.call.test_basic_call import talking
from tests.call.trio import Trio, a_law, agree
from tests.phones import Phone, sdp


class Consult(Trio):
    """Alice talks with Bob, holds him, and calls Carol."""

    def __init__(self, answered: bool = True) -> None:
        super().__init__()
        self.ask(self.alice, "sendonly")
        if answered:
            self.second = talking(self.bench, self.alice, self.carol)
        else:
            self.inviting = self.alice.invite("1003")
            self.ringing = self.carol.expect("INVITE")
            self.carol.answer(self.ringing, 180, tag="ringing")
            self.early = [m for m in self.alice.take() if isinstance(m, Response)][-1]

    @property
    def replaces(self) -> str:
        """Name Alice's dialog in the call to Carol, escaped as in a URI."""
        invite, answer, _ = self.second
        return named(invite, answer)

    def hang_up_second(self) -> None:
        invite, answer, _ = self.second
        self.alice.send(self.alice.within(invite, answer, "BYE"))

    def carol_hangs_up(self) -> None:
        self.carol.send(self.carol.back(self.second[2], "BYE", "callee", cseq=50))

    def only(self) -> set[str]:
        """Return who talks in the only call that is up."""
        return self.pair()


def named(invite: Request, answer: Response, more: str = "") -> str:
    tags = f"to-tag%3D{answer.to.tag}%3Bfrom-tag%3D{invite.from_.tag}"
    return f"<sip:1003@example.com?Replaces={invite.call_id}%3B{tags}{more}>"


def test_the_two_others_talk_and_who_transfers_is_out_of_both_calls() -> None:
    trio = Consult()
    assert trio.refer(trio.alice, trio.replaces) == 202
    assert trio.bob.take() == []
    offer = agree(trio.carol, trio.carol.expect("INVITE"))
    assert b"a=sendrecv" in offer.body
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    assert trio.told == ["active 100", "terminated 200"]
    byes = trio.alice.requests()
    assert [request.method for request in byes] == ["BYE", "BYE"]
    for bye in byes:
        trio.alice.answer(bye, 200)
    assert trio.only() == {"1002", "1003"}
    assert {side.remote for side in trio.sides} == {
        (trio.bob.host, 10000),
        (trio.carol.host, 10000),
    }
    assert [side.hears for side in trio.sides] == [None, None]
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    assert len(trio.bench.records) == 2
    reasons = {record.reason for record in trio.bench.records.values()}
    assert "1003 was joined with 1002 by a transfer" in reasons
    trio.bench.quiet()


def test_the_refer_may_come_in_the_second_call() -> None:
    trio = Consult()
    first = named(trio.invite, trio.answer)
    invite, answer, _ = trio.second
    trio.alice.send(trio.alice.within(invite, answer, "REFER", headers=[("Refer-To", first)]))
    assert trio.listen(trio.alice) == 202
    agree(trio.bob, trio.bob.expect("INVITE"))
    agree(trio.carol, trio.carol.expect("INVITE"))
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"
    assert trio.only() == {"1002", "1003"}


@pytest.mark.parametrize("which", ["first", "second", "both"])
def test_who_transfers_may_hang_up_at_once(which: str) -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    if which != "second":
        trio.hang_up(trio.alice)
    if which != "first":
        trio.hang_up_second()
    agree(trio.carol, trio.carol.expect("INVITE"))
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    assert trio.only() == {"1002", "1003"}
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    trio.bench.quiet()


def test_a_target_that_refuses_changes_nothing() -> None:
    trio = Consult()
    before = dict(trio.bench.relays)
    trio.refer(trio.alice, trio.replaces)
    offer = trio.carol.expect("INVITE")
    trio.carol.answer(offer, 488, tag=offer.to.tag or "")
    trio.carol.expect("ACK")
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 488"
    assert (trio.alice.take(), trio.bob.take(), trio.carol.take()) == ([], [], [])
    sides = [(relay.a.remote, relay.b and relay.b.remote) for relay in trio.bench.relays.values()]
    assert sides == [(relay.a.remote, relay.b and relay.b.remote) for relay in before.values()]
    trio.hang_up(trio.alice)
    trio.hang_up_second()
    trio.bench.quiet()


def test_a_party_that_refuses_leaves_both_calls_as_they_were() -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    offer = trio.carol.expect("INVITE")
    trio.carol.answer(offer, 200, tag=offer.to.tag or "", body=a_law(trio.carol))
    trio.carol.expect("ACK")
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    trio.bob.expect("ACK")
    agree(trio.carol, trio.carol.expect("INVITE"))  # back to Alice
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 488"
    calls = trio.bench.core.switchboard.calls.values()
    pairs = [{leg.extension for leg in call.joined} for call in calls]
    assert pairs == [{"1001", "1002"}, {"1001", "1003"}]
    assert {call.state.value for call in calls} == {"answered"}
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.hang_up_second()
    trio.carol.expect("BYE")
    trio.bench.quiet()


@pytest.mark.parametrize("stage", ["asked", "agreed"])
def test_the_target_hangs_up_meanwhile(stage: str) -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    offer = trio.carol.expect("INVITE")
    if stage == "agreed":
        agree(trio.carol, offer)
        offer = trio.bob.expect("INVITE")
    trio.carol_hangs_up()
    assert trio.carol.responses() == [200]
    if stage == "agreed":
        trio.bob.answer(offer, 200, tag=offer.to.tag or "", body=sdp(trio.bob.host))
        ack, back = trio.bob.requests()
        assert ack.method == "ACK"
        agree(trio.bob, back, "recvonly")  # Alice holds him as before
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 480"
    assert trio.only() == {"1001", "1002"}
    trio.bench.advance(5)
    trio.hang_up(trio.alice)
    trio.bench.quiet()


@pytest.mark.parametrize("stage", ["asked", "agreed"])
def test_the_party_hangs_up_meanwhile(stage: str) -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    offer = trio.carol.expect("INVITE")
    if stage == "agreed":
        agree(trio.carol, offer)
        trio.bob.expect("INVITE")
    trio.hang_up(trio.bob)
    if stage == "asked":
        trio.carol.answer(offer, 200, tag=offer.to.tag or "", body=sdp(trio.carol.host))
        trio.carol.requests()
        trio.bench.advance(0.5)
    for again in [m for m in trio.carol.requests() if m.method == "INVITE"]:
        agree(trio.carol, again)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 487"
    assert trio.only() == {"1001", "1003"}
    trio.alice.take()
    trio.hang_up_second()
    assert "BYE" in [request.method for request in trio.carol.requests()]
    trio.bench.quiet()


def test_a_target_that_does_not_answer_is_gone() -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    trio.bench.advance(33)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 480"
    assert trio.only() == {"1001", "1002"}
    trio.hang_up(trio.alice)
    trio.bench.quiet()


def test_everybody_leaves_and_the_target_refuses() -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    trio.hang_up(trio.alice)
    trio.hang_up_second()
    trio.alice.take()
    offer = trio.carol.expect("INVITE")
    trio.carol.answer(offer, 488, tag=offer.to.tag or "")
    assert [request.method for request in trio.carol.requests()] == ["ACK", "BYE"]
    back = trio.alice.expect("INVITE")  # Bob is not left alone
    trio.alice.answer(back, 486, tag="busy")
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_a_refer_of_the_second_call_while_the_first_is_handed_on() -> None:
    trio = Consult()
    trio.refer(trio.alice, trio.replaces)
    invite, answer, _ = trio.second
    first = named(trio.invite, trio.answer)
    trio.alice.send(trio.alice.within(invite, answer, "REFER", headers=[("Refer-To", first)]))
    assert trio.listen(trio.alice) == 491


def test_before_the_answer_the_target_is_rung_anew_and_shown_who_calls() -> None:
    trio = Consult(answered=False)
    to = named(trio.inviting, trio.early)
    assert trio.refer(trio.alice, to) == 202
    cancel, invite = trio.carol.requests()
    assert "completed elsewhere" in (cancel.first("Reason") or "")
    assert invite.from_.uri.user == "1002"  # type: ignore[union-attr]
    assert 487 in trio.alice.responses()
    trio.carol.answer(trio.ringing, 487, tag="ringing")
    trio.carol.expect("ACK")
    trio.carol.answer(invite, 200, tag="again", body=sdp(trio.carol.host))
    trio.carol.expect("ACK")
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"
    assert trio.only() == {"1002", "1003"}
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    assert len(trio.bench.records) == 2
    trio.bench.advance(40)
    trio.bench.quiet()


def test_the_target_answers_as_it_is_rung_anew() -> None:
    trio = Consult(answered=False)
    trio.refer(trio.alice, named(trio.inviting, trio.early))
    _, invite = trio.carol.requests()
    trio.carol.answer(trio.ringing, 200, tag="ringing", body=sdp(trio.carol.host))
    assert [request.method for request in trio.carol.requests()] == ["ACK", "BYE"]
    trio.carol.answer(invite, 200, tag="again", body=sdp(trio.carol.host))
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.only() == {"1002", "1003"}


def test_early_only_does_not_replace_what_is_answered() -> None:
    trio = Consult()
    invite, answer, _ = trio.second
    assert trio.refer(trio.alice, named(invite, answer, "%3Bearly-only")) == 202
    assert trio.told == ["terminated 486"]
    assert trio.carol.take() == []


def test_a_dialog_that_is_not_there_is_told_so_and_nothing_is_lost() -> None:
    trio = Consult()
    to = "<sip:1003@example.com?Replaces=nothing%3Bto-tag%3Da%3Bfrom-tag%3Db>"
    assert trio.refer(trio.alice, to) == 202
    assert trio.told == ["terminated 481"]
    invite, answer, _ = trio.second
    assert trio.refer(trio.alice, named(trio.invite, trio.answer)) == 202  # its own
    assert trio.told[-1] == "terminated 491"
    assert trio.refer(trio.alice, named(invite, answer)) == 202
    assert trio.told[-1] == "active 100"


def test_only_a_phone_of_that_dialogs_user_may_name_it() -> None:
    trio = Consult()
    assert trio.refer(trio.bob, trio.replaces) == 202
    assert trio.told == ["terminated 603"]
    assert trio.carol.take() == []


def outside(phone: Phone, call_id: str, local: str, remote: str, to: str) -> Request:
    target = f"{call_id};local-tag={local};remote-tag={remote}"
    headers = [("Target-Dialog", target), ("Refer-To", to), ("Require", "tdialog")]
    return phone.request("REFER", "sip:holdfast@example.com", headers=headers)


def test_a_refer_outside_the_dialog_names_it() -> None:
    trio = Trio()
    tags = trio.invite.from_.tag or "", trio.answer.to.tag or ""
    refer = outside(trio.alice, trio.invite.call_id, *tags, "<sip:1003@example.com>")
    trio.alice.authenticated(refer)
    assert trio.listen(trio.alice) == 202
    assert trio.told == ["active 100"]
    invite = trio.carol.expect("INVITE")
    trio.carol.answer(invite, 200, tag="carol", body=sdp(trio.carol.host))
    trio.carol.expect("ACK")
    agree(trio.bob, trio.bob.expect("INVITE"))
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    trio.hang_up(trio.bob)
    trio.carol.expect("BYE")
    trio.bench.quiet()


def test_a_refer_outside_has_to_be_proved_and_ones_own() -> None:
    trio = Trio()
    tags = trio.invite.from_.tag or "", trio.answer.to.tag or ""
    refer = outside(trio.carol, trio.invite.call_id, *tags, "<sip:1003@example.com>")
    trio.carol.authenticated(refer)
    assert trio.carol.responses() == [403]
    refer = outside(trio.alice, "another", *tags, "<sip:1003@example.com>")
    trio.alice.authenticated(refer)
    assert trio.alice.responses() == [481]
    refer = outside(trio.alice, trio.invite.call_id, *tags, "nonsense")
    trio.alice.authenticated(refer)
    assert trio.alice.responses() == [400]
    lonely = trio.alice.request("REFER", "sip:x@example.com", headers=[("Refer-To", "<sip:1>")])
    trio.alice.authenticated(lonely)
    assert trio.alice.responses() == [403]
    broken = trio.alice.request("REFER", "sip:x@example.com", headers=[("Target-Dialog", "x")])
    trio.alice.authenticated(broken)
    assert trio.alice.responses() == [400]
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()
