"""Descriptions that lie, in a call: a clear answer, and nothing left behind (reliability 17)."""

from __future__ import annotations

import pytest

from appliance.bundle import Policies, SrtpPolicy
from tests.call.test_basic_call import talking
from tests.call.test_security import SHA1_32, SHA1_80, called, line, secure
from tests.phones import Bench, Phone, sdp, site_bundle

GOOD = line(1, SHA1_80)


@pytest.mark.parametrize(
    "lines",
    [
        ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!",),
        (line(1, SHA1_80)[:40],),
        ("1 NULL inline:AAAA",),
        (GOOD, line(1, SHA1_32)),
        (f"{GOOD} UNENCRYPTED_SRTP",),
        (f"{GOOD}|2^99x",),
        (GOOD, "2"),
        tuple(line(tag, SHA1_80) for tag in range(1, 40)),
    ],
)
@pytest.mark.parametrize("policy", ["required", "preferred"])
def test_bad_key_lines_are_refused(lines: tuple[str, ...], policy: SrtpPolicy) -> None:
    bench = Bench.in_outage(site_bundle(Policies(srtp=policy)))
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002", body=secure(alice, *lines))
    assert alice.responses()[-1] == 488
    assert bob.requests() == []
    assert bench.record.outcome == "rejected"
    bench.quiet()


@pytest.mark.parametrize(
    "answer",
    [line(9, SHA1_80), line(1, SHA1_32), f"{GOOD}\r\na=crypto:{line(2, SHA1_32)}", "1 X inline:AA"],
)
def test_an_answer_with_a_key_nobody_offered_ends_the_call(answer: str) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, secure(alice, GOOD))
    bob.answer(incoming, 200, body=secure(bob, answer))
    assert [request.method for request in bob.requests()] == ["ACK", "BYE"]
    assert not bench.relays
    bench.quiet()


def test_an_answer_may_not_leave_srtp() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, secure(alice, GOOD))
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert [request.method for request in bob.requests()] == ["ACK", "BYE"]
    assert not bench.relays


# Descriptions that cannot be (F: what phones, and strangers, send)


def lines_of(phone: Phone, *media: str, connection: str = "") -> bytes:
    address = connection or f"IN IP4 {phone.host}"
    head = ["v=0", f"o=- 1 1 IN IP4 {phone.host}", "s=-", f"c={address}", "t=0 0"]
    return "\r\n".join([*head, *media, ""]).encode()


AUDIO = "m=audio 4000 RTP/AVP 0"


@pytest.mark.parametrize(
    ("media", "connection", "status", "reason"),
    [
        ((AUDIO,), "IN IP4 phone.example.com", 488, "'phone.example.com' is not an address"),
        ((AUDIO,), "IN IP4 239.1.2.3", 488, "media cannot be sent to 239.1.2.3"),
        ((AUDIO,), "IN IP6 fe80::1%eth0", 488, "media cannot be sent"),
        ((AUDIO, *["a=x"] * 1000), "", 400, "more than 1000 lines"),
        ((AUDIO,) * 17, "", 400, "more than 16 m-lines"),
        (("m=audio 70000 RTP/AVP 0",), "", 400, "port 70000 does not exist"),
        (("m=image 4000 tcptl t38",), "", 488, "image over tcptl is not relayed"),
        ((), "", 488, "the offer has no media"),
    ],
)
def test_an_offer_that_cannot_be_relayed_says_why(
    media: tuple[str, ...], connection: str, status: int, reason: str
) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002", body=lines_of(alice, *media, connection=connection))
    assert alice.responses()[-1] == status
    assert bob.requests() == []
    assert reason in bench.record.reason
    bench.quiet()


def test_a_description_of_a_thousand_lines_passes() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    body = lines_of(alice, AUDIO, *["a=x"] * 990)
    _, incoming = called(bench, alice, bob, body)
    bob.answer(incoming, 200, body=lines_of(bob, AUDIO, *["a=y"] * 990))
    assert alice.responses()[-1] == 200


def test_ipv6_literals_are_taken_in_any_spelling() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(
        bench, alice, bob, lines_of(alice, AUDIO, connection="IN IP6 2001:DB8:0::1")
    )
    bob.answer(incoming, 200, body=sdp(bob.host))
    (relay,) = bench.relays.values()
    assert relay.a.remote == ("2001:db8::1", 4000)


def test_a_stream_on_port_zero_is_refused_on_both_sides_and_costs_no_relay() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, lines_of(alice, AUDIO, "m=video 0 RTP/AVP 99"))
    assert b"m=video 0 RTP/AVP 99" in incoming.body
    answer = lines_of(bob, AUDIO, "m=video 0 RTP/AVP 99")
    bob.answer(incoming, 200, body=answer)
    assert [key.rpartition("/")[2] for key in bench.relays] == ["0"]


def test_unknown_codecs_pass_and_are_told_to_the_media_process() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    strange = ("m=audio 4000 RTP/AVP 96 97 0", "a=rtpmap:96 X-STRANGE/44100/2", "a=rtpmap:97 Z")
    _, incoming = called(bench, alice, bob, lines_of(alice, *strange))
    bob.answer(incoming, 200, body=lines_of(bob, *strange))
    (relay,) = bench.relays.values()
    assert [(c.payload_type, c.name, c.clock, c.channels) for c in relay.a.codecs] == [
        (96, "X-STRANGE", 44100, 2),
        (0, "PCMU", 8000, 1),
    ]


def test_an_answer_with_other_codecs_ends_the_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, lines_of(alice, AUDIO))
    bob.answer(incoming, 200, body=lines_of(bob, "m=audio 4000 RTP/AVP 8"))
    assert [request.method for request in bob.requests()] == ["ACK", "BYE"]
    assert "no codec of the offer" in bench.record.reason
    bench.quiet()


def test_payload_numbers_may_differ_from_side_to_side() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    events = "telephone-event/8000"
    offer = lines_of(alice, "m=audio 4000 RTP/AVP 0 101", f"a=rtpmap:101 {events}")
    answer = lines_of(bob, "m=audio 4000 RTP/AVP 0 96", f"a=rtpmap:96 {events}")
    _, incoming = called(bench, alice, bob, offer)
    bob.answer(incoming, 200, body=answer)
    (relay,) = bench.relays.values()
    assert relay.b is not None
    numbers = [[codec.payload_type for codec in side.codecs] for side in (relay.a, relay.b)]
    assert numbers == [[0, 101], [0, 96]]


def test_payload_numbers_may_change_in_the_middle_of_a_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    events = "telephone-event/8000"
    offer = lines_of(alice, "m=audio 4000 RTP/AVP 0 96", f"a=rtpmap:96 {events}")
    alice.send(alice.within(invite, answer, "INVITE", body=offer.replace(b"1 1 IN", b"1 2 IN")))
    bob.answer(bob.expect("INVITE"), 200, body=offer.replace(alice.host.encode(), b"192.0.2.77"))
    assert alice.responses() == [100, 200]
    (relay,) = bench.relays.values()
    assert relay.b is not None
    for side in (relay.a, relay.b):
        assert [codec.payload_type for codec in side.codecs] == [0, 96]
