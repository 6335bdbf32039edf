"""Somebody comes to a party that waits: what pick-up and retrieval are made of, and their races."""

from __future__ import annotations

from appliance.sip.message import Request, Response
from tests.call.test_replaces import answered, replaces
from tests.call.trio import MUSIC, Trio, agree
from tests.phones import Phone, sdp


class Waiting(Trio):
    """Alice hands Bob on to Carol, whose phone rings; her other phone may take the call."""

    def __init__(self) -> None:
        super().__init__()
        self.refer(self.alice)
        self.ringing = self.carol.expect("INVITE")
        self.carol.answer(self.ringing, 180, tag="early")
        self.listen(self.alice)
        (self.second,) = self.bench.registered("1003")
        self.named = replaces(self.ringing.call_id, self.ringing.from_.tag or "", "early")

    def comes(self, phone: Phone | None = None) -> Request:
        phone = phone or self.second
        return phone.invite("x", body=sdp(phone.host, 14000), headers=self.named)


def test_who_waits_talks_with_who_comes() -> None:
    trio = Waiting()
    invite = trio.comes()
    assert trio.carol.take() == []
    agree(trio.bob, trio.bob.expect("INVITE"))
    answered(trio.second, invite)
    assert "completed elsewhere" in (trio.carol.expect("CANCEL").first("Reason") or "")
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"
    trio.alice.answer(trio.alice.expect("BYE"), 200)
    assert {side.remote[1] for side in trio.sides if side.remote} == {10000, 14000}
    trio.carol.answer(trio.ringing, 487, tag="early")
    trio.hang_up(trio.bob)
    trio.second.expect("BYE")
    trio.bench.quiet()


def test_an_answer_meanwhile_comes_too_late() -> None:
    trio = Waiting()
    invite = trio.comes()
    offer = trio.bob.expect("INVITE")
    trio.carol.answer(trio.ringing, 200, tag="early", body=sdp(trio.carol.host))
    assert [request.method for request in trio.carol.requests()] == ["ACK", "BYE"]
    agree(trio.bob, offer)
    answered(trio.second, invite)
    assert trio.pair() == {"1002", "1003"}


def test_a_refusal_lets_the_phones_ring_on() -> None:
    trio = Waiting()
    trio.comes()
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    assert trio.second.responses() == [100, 488]
    assert trio.carol.take() == []
    assert trio.sides[1].hears == MUSIC
    trio.carol.answer(trio.ringing, 200, tag="early", body=sdp(trio.carol.host))
    ack, again = trio.bob.requests()
    assert ack.method == "ACK"
    agree(trio.bob, again)
    assert trio.pair() == {"1002", "1003"}


def test_who_comes_gives_up_and_the_phones_ring_on() -> None:
    trio = Waiting()
    invite = trio.comes()
    offer = trio.bob.expect("INVITE")
    trio.second.send(trio.second.cancel(invite))
    assert trio.second.responses() == [100, 200, 487]
    agree(trio.bob, offer)
    assert trio.carol.take() == []
    trio.carol.answer(trio.ringing, 200, tag="early", body=sdp(trio.carol.host))
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert trio.pair() == {"1002", "1003"}


def test_what_came_of_the_ringing_meanwhile_counts_if_nobody_comes() -> None:
    trio = Waiting()
    trio.comes()
    offer = trio.bob.expect("INVITE")
    trio.carol.answer(trio.ringing, 486, tag="early")
    trio.bob.answer(offer, 488, tag=offer.to.tag or "")
    assert trio.second.responses() == [100, 488]
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 486"
    assert trio.pair() == {"1001", "1002"}
    trio.hang_up(trio.alice)
    trio.bob.take()
    trio.bench.quiet()


def test_what_came_of_the_ringing_meanwhile_is_forgotten_if_somebody_comes() -> None:
    trio = Waiting()
    invite = trio.comes()
    offer = trio.bob.expect("INVITE")
    trio.carol.answer(trio.ringing, 486, tag="early")
    agree(trio.bob, offer)
    answered(trio.second, invite)
    trio.listen(trio.alice)
    assert trio.told[-1] == "terminated 200"


def test_of_two_who_come_one_wins() -> None:
    trio = Waiting()
    (third,) = trio.bench.registered("1003")
    invite = trio.comes()
    trio.comes(third)
    assert third.responses() == [100, 486]
    agree(trio.bob, trio.bob.expect("INVITE"))
    answered(trio.second, invite)
    trio.comes(third)
    assert third.responses() == [100, 603]


def test_who_waits_hangs_up_meanwhile() -> None:
    trio = Waiting()
    trio.comes()
    trio.bob.expect("INVITE")
    trio.hang_up(trio.bob)
    assert trio.second.responses() == [100, 487]
    trio.carol.expect("CANCEL")
    trio.carol.answer(trio.ringing, 487, tag="early")
    trio.bench.quiet()


def test_who_comes_loses_its_connection() -> None:
    trio = Waiting()
    second = trio.bench.phone("1003", transport="TLS")
    second.register()
    trio.comes(second)
    offer = trio.bob.expect("INVITE")
    trio.bench.perform(trio.bench.core.lost(second.flow, trio.bench.now))
    agree(trio.bob, offer)
    assert len(trio.bench.core.switchboard.takeovers) == 0
    assert trio.carol.take() == []
    answers = [m for m in second.take() if isinstance(m, Response) and m.status == 200]
    assert len(answers) == 0
