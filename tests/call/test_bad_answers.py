"""Descriptions that cannot be, wherever else than in the first offer they come: a clear end of the
call or of the attempt, a reason in the record, and nothing left behind."""

from __future__ import annotations

import pytest

from appliance.sip.message import Request, Response
from tests.call.test_basic_call import ringing_call, talking
from tests.call.test_descriptions import AUDIO, lines_of
from tests.phones import Bench, Phone, sdp

Bad = tuple[str, tuple[str, ...], str]
BAD: list[Bad] = [
    ("is not an address", (AUDIO,), "IN IP4 phone.example.com"),
    ("is not an address", (AUDIO,), "IN IP4 0x7f.1"),
    ("cannot be sent to 239.1.2.3", (AUDIO,), "IN IP4 239.1.2.3"),
    ("cannot be sent to 255.255", (AUDIO,), "IN IP4 255.255.255.255"),
    ("cannot be sent to fe80", (AUDIO,), "IN IP6 fe80::1%eth0"),
    ("is not an address", (AUDIO, "a=rtcp:5000 IN IP4 phone.example.com"), ""),
    ("more than 1000 lines", (AUDIO, *["a=x"] * 1000), ""),
    ("port 70000 does not exist", ("m=audio 70000 RTP/AVP 0",), ""),
    ("not <letter>=<value>", (AUDIO, "garbage"), ""),
]
ONLY_AS_ANSWER: list[Bad] = [
    ("refuses every stream", ("m=audio 0 RTP/AVP 0",), ""),
    ("no codec of the offer", ("m=audio 4000 RTP/AVP 77",), ""),
    ("another number of m-lines", (AUDIO, "m=video 5000 RTP/AVP 99"), ""),
    ("turns audio into image", ("m=image 4000 udptl t38",), ""),
]


def shown(messages: list[Request | Response]) -> list[int | str]:
    """Name requests by method and responses by status."""
    return [one.status if isinstance(one, Response) else one.method for one in messages]


def body_of(phone: Phone, bad: Bad) -> bytes:
    return lines_of(phone, *bad[1], connection=bad[2]).replace(b"o=- 1 1 ", b"o=- 1 7 ")


@pytest.mark.parametrize("bad", BAD + ONLY_AS_ANSWER, ids=lambda bad: bad[0])
def test_an_answer_that_cannot_be_ends_the_call(bad: Bad) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bob.answer(incoming, 200, body=body_of(bob, bad))
    assert shown(bob.take()) == ["ACK", "BYE"]
    (final,) = alice.responses()
    assert final >= 400
    assert bad[0] in bench.record.reason and bench.record.outcome != "answered"
    bench.quiet()


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad[0])
def test_a_new_offer_that_cannot_be_changes_nothing(bad: Bad) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    before = dict(bench.relays)
    alice.send(alice.within(invite, answer, "INVITE", body=body_of(alice, bad)))
    assert alice.responses()[-1] in (400, 488)
    assert (bob.take(), dict(bench.relays)) == ([], before)
    alice.send(alice.within(invite, answer, "BYE", cseq=invite.cseq.number + 2))
    assert shown(bob.take()) == ["BYE"]
    assert bench.record.outcome == "answered"
    bench.quiet()


@pytest.mark.parametrize("bad", BAD + ONLY_AS_ANSWER, ids=lambda bad: bad[0])
def test_an_answer_in_the_middle_of_a_call_that_cannot_be_ends_it_on_both_sides(bad: Bad) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    offer = sdp(alice.host, 12000, version=2)
    alice.send(alice.within(invite, answer, "INVITE", body=offer))
    bob.answer(bob.expect("INVITE"), 200, body=body_of(bob, bad))
    assert shown(bob.take()) == ["ACK", "BYE"]
    assert shown(alice.take())[1:] == [488, "BYE"]
    assert bad[0] in bench.record.reason
    bench.quiet()


@pytest.mark.parametrize("bad", BAD + ONLY_AS_ANSWER, ids=lambda bad: bad[0])
def test_a_late_answer_that_cannot_be_ends_the_call_on_both_sides(bad: Bad) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", body=b"")
    alice.responses()
    bob.answer(bob.expect("INVITE"), 200, body=sdp(bob.host))
    (offered,) = alice.take()
    assert isinstance(offered, Response)
    body = body_of(alice, bad)
    alice.send(alice.within(invite, offered, "ACK", cseq=invite.cseq.number, body=body))
    assert shown(alice.take()) == ["BYE"]
    assert shown(bob.take()) == ["ACK", "BYE"]
    assert bad[0] in bench.record.reason
    bench.quiet()
