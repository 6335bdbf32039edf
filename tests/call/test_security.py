"""SRTP between legs (C13): keys that pass, keys that are bridged, and what is never allowed."""

from __future__ import annotations

import base64

import pytest

from appliance.bundle import Policies, SrtpPolicy
from appliance.call.actions import Keys, Relay, RelaySide
from appliance.call.steps import Plan, Reject, Ring, Target
from appliance.sdp.crypto import BRIDGED, SUITES, CryptoAttribute, read_crypto
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone, sdp, site_bundle

SHA1_80, SHA1_32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
GCM = "AEAD_AES_256_GCM"


def line(tag: int, suite: str, filler: int = 0) -> str:
    """Write an a=crypto line whose key is one octet repeated."""
    key = base64.b64encode(bytes([filler or tag]) * SUITES[suite]).decode()
    return f"{tag} {suite} inline:{key}"


def key_of(tag: int, suite: str, filler: int = 0) -> Keys:
    return Keys(suite, bytes([filler or tag]) * SUITES[suite])


def secure(phone: Phone, *lines: str, version: int = 1, protocol: str = "RTP/SAVP") -> bytes:
    """Write a description with these keys."""
    return sdp(phone.host, protocol=protocol, version=version, crypto="\r\na=crypto:".join(lines))


def crypto(message: Request | Response) -> tuple[CryptoAttribute, ...]:
    return read_crypto(Session.parse(message.body).media[0].crypto)


def profile(message: Request | Response) -> str:
    return Session.parse(message.body).media[0].protocol


def taken(offer: Request | Response, suite: str, filler: int) -> str:
    """Write the answer's line to the offered line of this suite."""
    (tag,) = (one.tag for one in crypto(offer) if one.suite == suite)
    return line(tag, suite, filler)


def ours(offer: Request | Response, suite: str) -> Keys:
    (key,) = (one.keys[0].key_salt for one in crypto(offer) if one.suite == suite)
    return Keys(suite, key)


def the_relay(bench: Bench) -> tuple[RelaySide, RelaySide]:
    (relay,) = bench.relays.values()
    assert isinstance(relay, Relay)
    assert relay.b is not None
    return relay.a, relay.b


def answer_to(phone: Phone) -> Response:
    (message,) = (m for m in phone.take() if isinstance(m, Response) and m.status >= 180)
    return message


def called(bench: Bench, caller: Phone, callee: Phone, body: bytes) -> tuple[Request, Request]:
    invite = caller.invite(callee.extension, body=body)
    return invite, callee.expect("INVITE")


def joined(caller: Phone, invite: Request, callee: Phone) -> Response:
    """Acknowledge everything after the callee's 200."""
    answer = answer_to(caller)
    assert answer.status == 200
    caller.send(caller.within(invite, answer, "ACK", cseq=invite.cseq.number))
    callee.take()
    return answer


def test_the_offer_has_the_callers_keys_first_and_ours_for_the_other_suites() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, secure(alice, line(1, SHA1_80), line(2, GCM)))
    lines = crypto(incoming)
    assert [str(one) for one in lines[:2]] == [line(1, SHA1_80), line(2, GCM)]
    assert {one.suite for one in lines} == set(BRIDGED)
    assert len({one.tag for one in lines}) == len(lines)


def test_each_forked_phone_has_keys_of_its_own() -> None:
    bench = Bench.in_outage()
    alice, desk, cell = bench.registered("1001", "1002", "1002")
    alice.invite("1002", body=secure(alice, line(1, SHA1_80)))
    keys = [ours(phone.expect("INVITE"), GCM) for phone in (desk, cell)]
    assert keys[0] != keys[1]


def test_packets_pass_where_the_callee_takes_the_callers_key() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    offer = secure(alice, line(1, SHA1_80), line(2, SHA1_32))
    invite, incoming = called(bench, alice, bob, offer)
    bob.answer(incoming, 200, body=secure(bob, line(2, SHA1_32, 77)))
    answer = joined(alice, invite, bob)
    assert [str(one) for one in crypto(answer)] == [line(2, SHA1_32, 77)]
    a, b = the_relay(bench)
    assert (a.receives, a.sends) == (key_of(2, SHA1_32), key_of(2, SHA1_32, 77))
    assert (b.receives, b.sends) == (a.sends, a.receives)
    alice.send(alice.within(invite, answer, "BYE"))
    assert f"SRTP: caller {SHA1_32}, callee {SHA1_32}, passed" in bench.record.steps
    bench.quiet()


def test_legs_are_bridged_where_the_callee_takes_a_key_of_ours() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, secure(alice, line(4, SHA1_80)))
    bob.answer(incoming, 200, body=secure(bob, taken(incoming, GCM, 77)))
    answer = joined(alice, invite, bob)
    (told,) = crypto(answer)
    assert (told.tag, told.suite) == (4, SHA1_80)
    a, b = the_relay(bench)
    assert (a.receives, a.sends) == (key_of(4, SHA1_80), ours(answer, SHA1_80))
    assert (b.receives, b.sends) == (key_of(0, GCM, 77), ours(incoming, GCM))
    alice.send(alice.within(invite, answer, "BYE"))
    assert f"SRTP: caller {SHA1_80}, callee {GCM}, bridged" in bench.record.steps
    assert "inline" not in str(bench.record)
    bench.quiet()


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_phone_that_only_does_srtp_is_reached_from_one_that_does_not(status: int) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    assert profile(incoming) == "RTP/AVP"
    bob.answer(incoming, status)
    _, again = bob.requests()
    assert profile(again) == "RTP/SAVP"
    assert again.from_.tag != incoming.from_.tag
    bob.answer(again, 200, tag="again", body=secure(bob, taken(again, SHA1_80, 77)))
    answer = joined(alice, invite, bob)
    assert (profile(answer), crypto(answer)) == ("RTP/AVP", ())
    a, b = the_relay(bench)
    assert (a.receives, a.sends) == (None, None)
    assert (b.receives, b.sends) == (key_of(0, SHA1_80, 77), ours(again, SHA1_80))
    alice.send(alice.within(invite, answer, "BYE"))
    assert f"1002 refused RTP ({status}): SRTP" in bench.record.steps
    bench.quiet()


def test_a_phone_without_srtp_is_reached_from_one_that_only_does_srtp() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, secure(alice, line(1, SHA1_80)))
    bob.answer(incoming, 488)
    _, again = bob.requests()
    assert (profile(again), crypto(again)) == ("RTP/AVP", ())
    bob.answer(again, 200, tag="again", body=sdp(bob.host))
    answer = joined(alice, invite, bob)
    assert profile(answer) == "RTP/SAVP"
    a, b = the_relay(bench)
    assert (a.receives, a.sends) == (key_of(1, SHA1_80), ours(answer, SHA1_80))
    assert (b.receives, b.sends) == (None, None)


def test_a_phone_is_asked_for_the_other_profile_only_once() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, sdp(alice.host))
    bob.answer(incoming, 488)
    _, again = bob.requests()
    bob.answer(again, 488, tag="again")
    assert [request.method for request in bob.requests()] == ["ACK"]
    assert alice.responses()[-1] == 603
    bench.quiet()


def test_where_srtp_is_required_nobody_is_asked_for_less() -> None:
    bench = Bench.in_outage(site_bundle(Policies(srtp="required")))
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, secure(alice, line(1, SHA1_80)))
    bob.answer(incoming, 488)
    assert [request.method for request in bob.requests()] == ["ACK"]
    bench.quiet()


def test_where_srtp_is_off_nobody_is_asked_for_it() -> None:
    bench = Bench.in_outage(site_bundle(Policies(srtp="off")))
    alice, bob = bench.registered("1001", "1002")
    _, incoming = called(bench, alice, bob, sdp(alice.host))
    bob.answer(incoming, 488)
    assert [request.method for request in bob.requests()] == ["ACK"]
    alice.take()
    alice.invite("1002", body=secure(alice, line(1, SHA1_80)))
    assert alice.responses()[-1] == 488
    assert bob.requests() == []


@pytest.mark.parametrize(
    ("policy", "body", "asked"),
    [("required", "clear", "RTP/SAVP"), ("off", "secure", "RTP/AVP"), ("off", "clear", "RTP/AVP")],
)
def test_each_leg_has_a_policy_of_its_own(policy: SrtpPolicy, body: str, asked: str) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")

    def plan(*_: object) -> Plan:
        yield Ring((Target(f"sip:1002@{bob.host}", bob.flow, "1002", policy),), 30.0)
        yield Reject(488)

    bench.core.switchboard._plan = plan  # type: ignore[method-assign]
    offer = sdp(alice.host) if body == "clear" else secure(alice, line(1, SHA1_80))
    invite, incoming = called(bench, alice, bob, offer)
    assert profile(incoming) == asked
    if policy == "required":
        bob.answer(incoming, 200, body=secure(bob, taken(incoming, GCM, 77)))
    else:
        bob.answer(incoming, 200, body=sdp(bob.host))
    answer = joined(alice, invite, bob)
    assert profile(answer) == profile(invite)
    a, b = the_relay(bench)
    assert (a.receives is None, b.receives is None) == (body == "clear", policy == "off")


def test_a_refusal_that_crosses_the_cancel_is_the_end() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    alice.send(alice.cancel(invite))
    bob.answer(incoming, 488)
    assert [request.method for request in bob.requests()] == ["ACK"]
    bench.quiet()


def test_suites_we_cannot_bridge_pass_or_are_refused() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    f8 = line(1, "F8_128_HMAC_SHA1_80")
    _, incoming = called(bench, alice, bob, secure(alice, f8))
    assert [str(one) for one in crypto(incoming)] == [f8]
    bob.answer(incoming, 488)
    assert [request.method for request in bob.requests()] == ["ACK"]
    bench.quiet()


def test_keys_beside_a_clear_profile_are_a_wish_that_may_stay_one() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    wish = secure(alice, line(1, SHA1_80), protocol="RTP/AVP")
    for body, suite in (
        (sdp(bob.host), None),
        (secure(bob, line(1, SHA1_80, 77), protocol="RTP/AVP"), SHA1_80),
    ):
        invite, incoming = called(bench, alice, bob, wish)
        bob.answer(incoming, 200, body=body)
        answer = joined(alice, invite, bob)
        assert profile(answer) == "RTP/AVP"
        assert [one.suite for one in crypto(answer)] == ([suite] if suite else [])
        a, b = the_relay(bench)
        assert a.sends == b.receives == (key_of(0, SHA1_80, 77) if suite else None)
        alice.send(alice.within(invite, answer, "BYE"))
        bob.take()
        alice.take()


# While people talk


def talking_bridged(bench: Bench, alice: Phone, bob: Phone) -> tuple[Request, Response, Request]:
    invite, incoming = called(bench, alice, bob, secure(alice, line(1, SHA1_80)))
    bob.answer(incoming, 200, body=secure(bob, taken(incoming, GCM, 77)))
    return invite, joined(alice, invite, bob), incoming


def test_the_caller_changes_its_key_and_only_its_leg_notices() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking_bridged(bench, alice, bob)
    _, before = the_relay(bench)
    fresh = secure(alice, line(1, SHA1_80, 99), version=2)
    alice.send(alice.within(invite, answer, "INVITE", body=fresh))
    reinvite = bob.expect("INVITE")
    assert ours(reinvite, GCM) == ours(incoming, GCM)
    bob.answer(reinvite, 200, tag="callee", body=secure(bob, taken(reinvite, GCM, 77), version=2))
    again = answer_to(alice)
    assert crypto(again) == crypto(answer)
    a, b = the_relay(bench)
    assert a.receives == key_of(0, SHA1_80, 99)
    assert (b.receives, b.sends) == (before.receives, before.sends)


def test_the_callee_changes_its_key_too() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking_bridged(bench, alice, bob)
    bob.send(bob.back(incoming, "INVITE", "callee", body=secure(bob, line(1, GCM, 55), version=2)))
    reinvite = alice.expect("INVITE")
    alice.answer(
        reinvite,
        200,
        tag=reinvite.to.tag or "",
        body=secure(alice, taken(reinvite, SHA1_80, 44), version=2),
    )
    a, b = the_relay(bench)
    assert a.receives == key_of(0, SHA1_80, 44)
    assert b.receives == key_of(0, GCM, 55)
    assert b.sends == ours(answer_to(bob), GCM)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_neither_may_make_its_leg_clear(side: str) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking_bridged(bench, alice, bob)
    before = the_relay(bench)
    if side == "caller":
        alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, version=2)))
        assert alice.responses() == [100, 488]
    else:
        bob.send(bob.back(incoming, "INVITE", "callee", body=sdp(bob.host, version=2)))
        assert bob.responses() == [100, 488]
    assert the_relay(bench) == before
    assert alice.requests() == bob.requests() == []


def test_a_clear_leg_beside_a_secure_one_stays_as_it_is_on_hold() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    bob.answer(incoming, 488)
    _, again = bob.requests()
    bob.answer(again, 200, tag="again", body=secure(bob, taken(again, GCM, 77)))
    answer = joined(alice, invite, bob)
    held = sdp(alice.host, direction="sendonly", version=2)
    alice.send(alice.within(invite, answer, "INVITE", body=held))
    reinvite = bob.expect("INVITE")
    assert profile(reinvite) == "RTP/SAVP"
    assert ours(reinvite, GCM) == ours(again, GCM)


def test_a_phone_may_answer_a_session_refresh_with_another_key() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    bob.answer(incoming, 488)
    _, again = bob.requests()
    bob.answer(again, 200, tag="again", body=secure(bob, taken(again, GCM, 77)))
    joined(alice, invite, bob)
    revisions = []
    for filler in (77, 78):
        bench.advance(900.1)
        for phone in (alice, bob):
            refresh = phone.expect("INVITE")
            body = sdp(alice.host)
            if phone is bob:
                body = secure(bob, taken(refresh, GCM, filler))
            phone.answer(refresh, 200, tag=refresh.to.tag or "", body=body)
            phone.expect("ACK")
        (relay,) = bench.relays.values()
        revisions.append(relay.revision)
    assert the_relay(bench)[1].receives == key_of(0, GCM, 78)
    assert revisions == [1, 2]


def test_a_phone_is_offered_the_suite_first_that_it_uses() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, sdp(alice.host))
    bob.answer(incoming, 488)
    _, again = bob.requests()
    bob.answer(again, 200, tag="again", body=secure(bob, taken(again, SHA1_32, 77)))
    answer = joined(alice, invite, bob)
    alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, 12000, version=2)))
    assert crypto(again)[0].suite != SHA1_32
    assert crypto(bob.expect("INVITE"))[0].suite == SHA1_32


def test_a_late_offer_has_the_keys_of_the_callee_and_ours() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = called(bench, alice, bob, b"")
    bob.answer(incoming, 200, body=secure(bob, line(1, SHA1_80)))
    offered = answer_to(alice)
    assert {one.suite for one in crypto(offered)} == set(BRIDGED)
    body = secure(alice, taken(offered, GCM, 77))
    alice.send(alice.within(invite, offered, "ACK", cseq=invite.cseq.number, body=body))
    ack = bob.expect("ACK")
    a, b = the_relay(bench)
    assert (a.receives, a.sends) == (key_of(0, GCM, 77), ours(offered, GCM))
    assert (b.receives, b.sends) == (key_of(1, SHA1_80), ours(ack, SHA1_80))
