"""What happens while people talk: hold, resume, glare, session timers, INFO, late offers."""

from __future__ import annotations

import pytest

from appliance.bundle import Policies
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_basic_call import ringing_call, talking
from tests.call.trio import Trio
from tests.phones import Bench, Phone, sdp, site_bundle

KEY = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"


def response_of(phone: Phone) -> Response:
    """Return the one response that came."""
    (message,) = phone.take()
    assert isinstance(message, Response)
    return message


def direction(body: bytes) -> str:
    session = Session.parse(body)
    return session.direction_of(session.media[0])


def test_hold_and_resume_pass_through_with_our_addresses() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    for step, (asked, answered) in enumerate((("sendonly", "recvonly"), ("sendrecv", "sendrecv"))):
        offer = sdp(alice.host, direction=asked, version=step + 2)
        cseq = invite.cseq.number + 1 + step
        reinvite = alice.within(invite, answer, "INVITE", cseq=cseq, body=offer)
        alice.send(reinvite)
        incoming = bob.expect("INVITE")
        assert direction(incoming.body) == asked
        assert b"c=IN IP4 192.0.2.10" in incoming.body
        bob.answer(incoming, 200, body=sdp(bob.host, direction=answered, version=step + 2))
        bob.expect("ACK")
        (_, held) = alice.take()
        assert isinstance(held, Response)
        assert direction(held.body) == answered
        alice.send(alice.within(invite, answer, "ACK", cseq=cseq))
    versions = {Session.parse(answer.body).origin.version, Session.parse(held.body).origin.version}
    assert len(versions) == 2
    alice.send(alice.within(invite, answer, "BYE", cseq=cseq + 1))
    bench.quiet()


def test_the_callee_may_hold_too_and_old_phones_hold_by_address() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    bob.send(bob.back(incoming, "INVITE", "callee", body=sdp("0.0.0.0", version=2)))
    held = alice.expect("INVITE")
    alice.answer(held, 200, tag=held.to.tag or "", body=sdp(alice.host, direction="recvonly"))
    assert bob.responses() == [100, 200]
    (relay,) = bench.relays.values()
    assert relay.b.remote is None
    assert relay.revision > 1


def test_the_same_offer_again_is_a_refresh_and_stays_on_its_leg() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    alice.send(alice.within(invite, answer, "INVITE", body=invite.body))
    assert alice.responses() == [100, 200]
    assert bob.requests() == []


def test_a_reinvite_that_is_refused_leaves_the_call_as_it_was() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    before = dict(bench.relays)
    alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, 12000, version=2)))
    bob.answer(bob.expect("INVITE"), 488)
    assert alice.responses() == [100, 488]
    assert bench.relays == before
    alice.send(alice.within(invite, answer, "BYE", cseq=9))
    bench.quiet()


def test_glare_is_answered_491_on_the_leg_where_it_happens() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking(bench, alice, bob)
    alice.send(
        alice.within(
            invite, answer, "INVITE", body=sdp(alice.host, direction="sendonly", version=2)
        )
    )
    bob.expect("INVITE")
    bob.send(
        bob.back(incoming, "INVITE", "callee", body=sdp(bob.host, direction="sendonly", version=2))
    )
    assert bob.responses() == [100, 491]


def test_a_dead_dialog_ends_the_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, version=2)))
    bob.answer(bob.expect("INVITE"), 481)
    messages = alice.take()
    assert 481 in [m.status for m in messages if isinstance(m, Response)]
    assert [m.method for m in messages if isinstance(m, Request)] == ["BYE"]
    bench.quiet()


def test_bye_crossing_a_reinvite_ends_both_legs() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking(bench, alice, bob)
    alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, version=2)))
    reinvite = bob.expect("INVITE")
    bob.send(bob.back(incoming, "BYE", "callee"))
    assert bob.responses() == [200]
    bob.answer(reinvite, 481)
    messages = alice.take()
    assert [m.method for m in messages if isinstance(m, Request)] == ["BYE"]
    assert [m.status for m in messages if isinstance(m, Response)][-1] >= 400
    bench.quiet()


def test_info_with_digits_reaches_the_other_phone() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    info = alice.within(invite, answer, "INFO")
    info.add("Content-Type", "application/dtmf-relay")
    info.body = b"Signal=5\r\nDuration=160\r\n"
    alice.send(info)
    passed = bob.expect("INFO")
    assert passed.content_type == "application/dtmf-relay"
    assert passed.body == info.body
    bob.answer(passed, 200)
    assert alice.responses() == [200]


def test_update_refreshes_the_session() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uac")]
    alice.send(alice.within(invite, answer, "UPDATE", headers=headers))
    refreshed = response_of(alice)
    assert refreshed.status == 200
    assert refreshed.first("Session-Expires") == "120;refresher=uac"


def test_a_session_interval_below_the_minimum_is_refused_with_the_minimum() -> None:
    bench = Bench.in_outage()
    alice, _ = bench.registered("1001", "1002")
    alice.invite("1002", headers=[("Supported", "timer"), ("Session-Expires", "30")])
    assert alice.responses()[-1] == 422


def test_we_refresh_a_phone_that_knows_no_timers() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, _ = talking(bench, alice, bob)
    bench.advance(900.1)
    for phone in (alice, bob):
        refresh = phone.expect("INVITE")
        assert (refresh.first("Session-Expires") or "").startswith("1800")
        phone.answer(refresh, 200, tag=refresh.to.tag or "", body=sdp(phone.host))
        phone.expect("ACK")
    bench.advance(899)
    assert bench.core.switchboard.calls


@pytest.mark.parametrize("value", ["soon", "1800;refresher=me", "9" * 40, ""])
def test_an_interval_in_an_answer_that_nobody_can_read_costs_nothing(value: str) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, _ = talking(bench, alice, bob)
    bench.advance(900.1)
    refresh = bob.expect("INVITE")
    headers = [("Session-Expires", value)]
    bob.answer(refresh, 200, tag=refresh.to.tag or "", body=sdp(bob.host), headers=headers)
    bob.expect("ACK")
    assert bench.core.switchboard.calls


def test_a_late_offer_is_answered_in_the_ack() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", body=b"")
    alice.responses()
    incoming = bob.expect("INVITE")
    assert incoming.body == b""
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert bob.requests() == []
    offered = response_of(alice)
    assert b"c=IN IP4 192.0.2.10" in offered.body
    alice.send(alice.within(invite, offered, "ACK", cseq=invite.cseq.number, body=sdp(alice.host)))
    ack = bob.expect("ACK")
    assert b"c=IN IP4 192.0.2.10" in ack.body
    (relay,) = bench.relays.values()
    assert relay.a.remote == (alice.host, 10000)


def test_early_media_of_a_single_phone_is_passed_on() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    alice.responses()
    bob.answer(bob.expect("INVITE"), 183, body=sdp(bob.host))
    progress = response_of(alice)
    assert progress.status == 183
    assert b"c=IN IP4 192.0.2.10" in progress.body
    assert len(bench.relays) == 1


def test_a_reliable_response_is_repeated_until_prack() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", headers=[("Require", "100rel")])
    alice.responses()
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 180)
    bench.advance(2)
    ringing = alice.take()
    assert len(ringing) == 3
    first = ringing[0]
    assert isinstance(first, Response)
    assert first.require == {"100rel"}
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert alice.responses() == []
    rack = [("RAck", f"{first.first('RSeq')} {invite.cseq.number} INVITE")]
    alice.send(alice.within(invite, first, "PRACK", headers=rack))
    assert alice.responses() == [200, 200]


def test_a_phone_that_rings_reliably_gets_its_prack() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    bob.answer(bob.expect("INVITE"), 180, headers=[("Require", "100rel"), ("RSeq", "7")])
    prack = bob.expect("PRACK")
    assert prack.first("RAck") == "7 1 INVITE"


def test_forked_early_dialogs_and_an_answer_from_the_second() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 180, tag="fork-1")
    bob.answer(incoming, 180, tag="fork-2")
    bob.answer(incoming, 200, tag="fork-2", body=sdp(bob.host))
    assert bob.expect("ACK").to.tag == "fork-2"
    bob.answer(incoming, 200, tag="fork-1", body=sdp(bob.host))
    assert [request.method for request in bob.requests()] == ["ACK", "BYE"]


def test_srtp_keys_pass_through_untouched() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002", body=sdp(alice.host, protocol="RTP/SAVP", crypto=KEY))
    incoming = bob.expect("INVITE")
    assert f"a=crypto:{KEY}".encode() in incoming.body


def test_where_srtp_is_required_a_clear_offer_gets_488() -> None:
    bench = Bench.in_outage(site_bundle(Policies(srtp="required")))
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    assert alice.responses()[-1] == 488
    assert bob.requests() == []
    assert bench.record.outcome == "rejected"


def test_a_secure_call_cannot_be_made_clear_by_a_reinvite() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    secure = sdp(alice.host, protocol="RTP/SAVP", crypto=KEY)
    invite = alice.invite("1002", body=secure)
    alice.responses()
    bob.answer(bob.expect("INVITE"), 200, body=sdp(bob.host, protocol="RTP/SAVP", crypto=KEY))
    answer = response_of(alice)
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    bob.take()
    alice.send(alice.within(invite, answer, "INVITE", body=sdp(alice.host, version=2)))
    assert alice.responses() == [100, 488]
    assert bob.requests() == []


def test_media_behind_nat_is_learnt_once() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob, body=sdp("10.9.8.7"))
    (relay,) = bench.relays.values()
    assert (relay.a.learn, relay.b.learn) == (False, True)


def test_a_mode_change_drops_no_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    bench.zones_up = True
    bench.advance(400)
    assert bench.mode == "standby"
    alice.send(alice.within(invite, answer, "BYE"))
    assert alice.responses() == [200]
    assert {request.method for request in bob.requests()} >= {"BYE"}


def test_an_in_dialog_request_with_a_wrong_tag_is_refused() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    bob.answer(incoming, 200, body=sdp(bob.host))
    answer = response_of(alice)
    bye = alice.within(invite, answer, "BYE")
    bye.set("To", "<sip:1002@example.com>;tag=guessed")
    alice.send(bye)
    assert alice.responses() == [481]


def test_a_phone_that_only_rings_on_a_reinvite_is_asked_no_longer() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "INVITE", body=sdp(trio.alice.host, version=3)))
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 180, tag=offer.to.tag or "")
    trio.bench.advance(59)
    assert (trio.alice.responses(), trio.bob.take()) == ([100], [])
    trio.bench.advance(1.1)
    cancel = trio.bob.expect("CANCEL")
    trio.bob.answer(cancel, 200, tag=cancel.to.tag or "")
    trio.bob.answer(offer, 487, tag=offer.to.tag or "")
    trio.bob.expect("ACK")
    assert trio.alice.responses() == [487]
    trio.ask(trio.alice, "sendonly")
    trio.hang_up(trio.alice)
    trio.bob.expect("BYE")
    trio.bench.quiet()


def test_a_phone_that_rang_on_a_reinvite_and_is_gone_ends_the_call() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "INVITE", body=sdp(trio.alice.host, version=3)))
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 180, tag=offer.to.tag or "")
    trio.bench.advance(60 + 32.1)
    assert 408 in trio.alice.responses()
    assert trio.bench.record.ended_by == "system"


def test_a_call_that_ends_leaves_no_reinvite_behind() -> None:
    trio = Trio()
    trio.alice.send(trio.within(trio.alice, "INVITE", body=sdp(trio.alice.host, version=3)))
    offer = trio.bob.expect("INVITE")
    trio.bob.answer(offer, 180, tag=offer.to.tag or "")
    trio.hang_up(trio.alice)
    trio.bench.advance(130)
    assert len(trio.bench.core.transactions) == 0
    trio.bench.quiet()
