"""The transfer flows of RFC 5589 and RFC 5359, message by message as each phone sees them.

Between the phones stands a back-to-back user agent, so what a flow sends to the transferee as
REFER, or to the target as INVITE with Replaces, is an INVITE or re-INVITE of ours.
"""

from __future__ import annotations

from appliance.sip.message import Response
from tests.call.test_consult import Consult, named
from tests.call.trio import TO_CAROL, Trio, agree, pick_up
from tests.phones import Phone, sdp


def ladder(phone: Phone) -> list[str]:
    """Return what has come, one word each: a method with what it tells, or a status."""
    lines = []
    while phone.inbox:
        message = phone.inbox.pop(0)
        if isinstance(message, Response):
            lines.append(f"{message.status} {message.cseq.method}")
        elif message.method == "NOTIFY":
            phone.answer(message, 200, tag=message.to.tag or "")
            lines.append(f"NOTIFY {message.body.decode().split()[1]}")
        else:
            if message.method == "BYE":
                phone.answer(message, 200, tag=message.to.tag or "")
            lines.append(message.method)
    return lines


def refer(trio: Trio, to: str = TO_CAROL, **headers: str) -> None:
    trio.alice.send(trio.within(trio.alice, "REFER", Refer_To=to, **headers))


def test_5589_6_1_successful_transfer() -> None:
    trio = Trio()
    refer(trio)
    assert ladder(trio.alice) == ["202 REFER", "NOTIFY 100"]
    pick_up(trio.carol)
    assert ladder(trio.alice) == ["NOTIFY 180"]
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert ladder(trio.alice) == ["NOTIFY 200", "BYE"]
    trio.hang_up(trio.bob)
    assert ladder(trio.carol) == ["BYE"]
    trio.bench.quiet()


def test_5589_6_2_transfer_target_busy() -> None:
    trio = Trio()
    trio.ask(trio.alice, "sendonly")
    refer(trio)
    trio.carol.answer(trio.carol.expect("INVITE"), 486, tag="busy")
    assert ladder(trio.alice) == ["202 REFER", "NOTIFY 100", "NOTIFY 486"]
    trio.ask(trio.alice, "sendrecv")  # she takes Bob back
    assert ladder(trio.bob) == []
    trio.hang_up(trio.alice)
    assert ladder(trio.bob) == ["BYE"]
    trio.bench.quiet()


def test_5589_6_3_transfer_target_does_not_answer() -> None:
    trio = Trio()
    refer(trio)
    invite = trio.carol.expect("INVITE")
    trio.carol.answer(invite, 180, tag="carol")
    assert ladder(trio.alice) == ["202 REFER", "NOTIFY 100", "NOTIFY 180"]
    trio.bench.advance(60.2)
    assert ladder(trio.carol)[0] == "CANCEL"
    trio.carol.answer(invite, 487, tag="carol")
    assert ladder(trio.alice) == ["NOTIFY 480"]
    assert trio.pair() == {"1001", "1002"}


def test_5589_7_3_attended_transfer() -> None:
    trio = Consult()
    refer(trio, trio.replaces)
    assert ladder(trio.alice) == ["202 REFER", "NOTIFY 100"]
    agree(trio.carol, trio.carol.expect("INVITE"))
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert ladder(trio.alice) == ["NOTIFY 200", "BYE", "BYE"]
    assert trio.pair() == {"1002", "1003"}


def test_5589_7_6_attended_transfer_falls_back_to_a_basic_one() -> None:
    trio = Consult(answered=False)
    refer(trio, named(trio.inviting, trio.early))
    assert ladder(trio.alice) == ["202 REFER", "487 INVITE", "NOTIFY 100"]
    cancel, invite = trio.carol.requests()
    assert (cancel.method, invite.method) == ("CANCEL", "INVITE")
    trio.carol.answer(trio.ringing, 487, tag="ringing")
    trio.carol.answer(invite, 200, tag="again", body=sdp(trio.carol.host))
    trio.carol.requests()
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert ladder(trio.alice) == ["NOTIFY 200", "BYE"]


def test_5359_2_4_unattended_transfer_after_which_the_transferor_hangs_up_itself() -> None:
    trio = Trio()
    refer(trio)
    assert ladder(trio.alice) == ["202 REFER", "NOTIFY 100"]
    trio.alice.send(trio.within(trio.alice, "BYE"))
    assert ladder(trio.alice) == ["200 BYE"]
    pick_up(trio.carol)
    agree(trio.bob, trio.bob.expect("INVITE"))
    assert ladder(trio.alice) == []
    assert trio.pair() == {"1002", "1003"}


def test_5359_2_5_attended_transfer_with_both_on_hold() -> None:
    trio = Consult()
    invite, answer, _ = trio.second
    hold = trio.alice.within(
        invite,
        answer,
        "INVITE",
        cseq=20,
        body=sdp(trio.alice.host, direction="sendonly", version=4),
    )
    trio.alice.send(hold)
    agree(trio.carol, trio.carol.expect("INVITE"), "recvonly")
    assert 200 in trio.alice.responses()
    trio.alice.send(trio.alice.within(invite, answer, "ACK", cseq=20))
    refer(trio, trio.replaces)
    for phone in (trio.carol, trio.bob):
        assert b"a=sendrecv" in agree(phone, phone.expect("INVITE")).body
    assert trio.pair() == {"1002", "1003"}
    assert [side.hears for side in trio.sides] == [None, None]


def test_5359_2_2_consultation_without_a_transfer() -> None:
    trio = Consult()
    trio.hang_up_second()
    assert ladder(trio.carol) == ["BYE"]
    trio.alice.take()
    trio.ask(trio.alice, "sendrecv")
    assert trio.pair() == {"1001", "1002"}


# -- three in a call, mixed by Alice's phone (C11) -------------------------------------------------


class Mixed(Consult):
    """Alice's phone mixes Bob and Carol."""

    def __init__(self) -> None:
        super().__init__()
        self.ask(self.alice, "sendrecv")

    def pairs(self) -> list[set[str]]:
        calls = self.bench.core.switchboard.calls.values()
        return [{leg.extension for leg in call.joined} for call in calls]


def test_c11_one_of_three_holds_and_the_others_go_on() -> None:
    trio = Mixed()
    trio.ask(trio.bob, "sendonly")
    assert trio.carol.take() == []
    heard = [(relay.a.hears, relay.b and relay.b.hears) for relay in trio.bench.relays.values()]
    assert sum(sound is not None for pair in heard for sound in pair) == 1
    trio.ask(trio.bob, "sendrecv")
    assert trio.pairs() == [{"1001", "1002"}, {"1001", "1003"}]


def test_c11_the_phone_that_mixes_leaves_and_the_two_others_talk_on() -> None:
    trio = Mixed()
    refer(trio, trio.replaces)
    agree(trio.carol, trio.carol.expect("INVITE"))
    agree(trio.bob, trio.bob.expect("INVITE"))
    ladder(trio.alice)
    assert trio.pairs() == [{"1002", "1003"}]
    trio.hang_up(trio.bob)
    assert ladder(trio.carol) == ["BYE"]
    trio.bench.quiet()


def test_c11_one_of_three_hands_the_mixer_on_and_the_third_stays() -> None:
    trio = Mixed()
    (dave,) = trio.bench.registered("1004")
    trio.bob.send(trio.within(trio.bob, "REFER", Refer_To="<sip:1004@example.com>"))
    pick_up(dave)
    agree(trio.alice, trio.alice.expect("INVITE"))
    assert trio.pairs() == [{"1001", "1004"}, {"1001", "1003"}]
    assert trio.carol.take() == []


def test_c11_a_reinvite_in_one_call_while_the_other_is_handed_on() -> None:
    trio = Mixed()
    invite, answer, incoming = trio.second
    trio.carol.send(
        trio.carol.back(
            incoming, "REFER", "callee", cseq=70, headers=[("Refer-To", "<sip:1004@example.com>")]
        )
    )
    trio.ask(trio.alice, "sendonly")
    trio.ask(trio.alice, "sendrecv")
    assert trio.pairs() == [{"1001", "1002"}, {"1001", "1003"}]  # nobody has 1004 here
    del invite, answer
    trio.hang_up(trio.alice)
    assert ladder(trio.bob) == ["BYE"]
