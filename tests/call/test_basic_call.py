"""Extension to extension on the virtual clock (C1): each outcome, and what is left behind."""

from __future__ import annotations

from appliance.bundle import Policies
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone, sdp, site_bundle


def ringing_call(bench: Bench, caller: Phone, callee: Phone) -> tuple[Request, Request]:
    """Let a phone call another until it rings; return both INVITEs."""
    invite = caller.invite(callee.extension)
    assert caller.responses() == [100]
    incoming = callee.expect("INVITE")
    callee.answer(incoming, 180)
    assert caller.responses() == [180]
    return invite, incoming


def talking(
    bench: Bench, caller: Phone, callee: Phone, body: bytes = b""
) -> tuple[Request, Response, Request]:
    """Let a phone call another until they talk; return INVITE, its answer and the other INVITE."""
    invite, incoming = ringing_call(bench, caller, callee)
    callee.answer(incoming, 200, body=body or sdp(callee.host))
    (answer,) = caller.take()
    assert isinstance(answer, Response)
    assert answer.status == 200
    callee.expect("ACK")
    caller.send(caller.within(invite, answer, "ACK", cseq=invite.cseq.number))
    return invite, answer, incoming


def test_a_call_is_answered_and_hung_up_by_the_caller() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    assert list(bench.relays)
    bench.advance(30)
    alice.send(alice.within(invite, answer, "BYE"))
    assert alice.responses() == [200]
    bob.answer(bob.expect("BYE"), 200)
    assert (bench.record.outcome, bench.record.ended_by) == ("answered", "caller")
    assert bench.record.answered_by == "1002"
    assert bench.record.ended - bench.record.answered == 30  # type: ignore[operator]
    assert bench.record.mode == "survivability"
    assert bench.record.sealed
    assert bench.record.from_caller.packets == 50
    bench.quiet()


def test_the_callee_hangs_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    bob.send(bob.back(incoming, "BYE", "callee"))
    assert bob.responses() == [200]
    alice.answer(alice.expect("BYE"), 200)
    assert bench.record.ended_by == "callee"
    bench.quiet()


def test_the_callee_is_shown_who_really_calls() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    assert incoming.from_.display == "User 1001"
    assert "192.0.2.101" not in incoming.encode().decode()


def test_each_side_gets_the_relay_and_nothing_of_the_other_phone() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, answer, incoming = talking(bench, alice, bob)
    assert b"c=IN IP4 192.0.2.10" in incoming.body
    assert b"192.0.2.101" not in incoming.body
    assert b"192.0.2.102" not in answer.body
    (relay,) = bench.relays.values()
    assert relay.a.remote == ("192.0.2.101", 10000)
    assert relay.b.remote == ("192.0.2.102", 10000)
    assert not relay.a.learn


def test_all_phones_ring_and_the_losers_are_told_why() -> None:
    bench = Bench.in_outage()
    alice, desk, cell = bench.registered("1001", "1002", "1002")
    alice.invite("1002")
    to_desk, to_cell = desk.expect("INVITE"), cell.expect("INVITE")
    desk.answer(to_desk, 180, tag="desk")
    cell.answer(to_cell, 180, tag="cell")
    desk.answer(to_desk, 200, tag="desk", body=sdp(desk.host))
    cancel = cell.expect("CANCEL")
    assert "Call completed elsewhere" in (cancel.first("Reason") or "")
    cell.answer(cancel, 200)
    cell.answer(to_cell, 487, tag="cell")
    cell.expect("ACK")
    assert alice.responses() == [100, 180, 200]
    assert bench.record_of_the_only_call().answered_by == "1002"


def test_two_phones_that_answer_at_once_leave_one_call() -> None:
    bench = Bench.in_outage()
    alice, desk, cell = bench.registered("1001", "1002", "1002")
    invite = alice.invite("1002")
    to_desk, to_cell = desk.expect("INVITE"), cell.expect("INVITE")
    desk.answer(to_desk, 200, tag="desk", body=sdp(desk.host))
    cell.answer(to_cell, 200, tag="cell", body=sdp(cell.host))
    (_, answer) = alice.take()
    assert isinstance(answer, Response)
    assert [request.method for request in cell.requests()] == ["ACK", "BYE"]
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    alice.send(alice.within(invite, answer, "BYE"))
    assert [request.method for request in desk.requests()] == ["ACK", "BYE"]
    bench.quiet()


def test_cancel_stops_the_ringing() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    alice.send(alice.cancel(invite))
    assert alice.responses() == [200, 487]
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(incoming, 487)
    bob.expect("ACK")
    assert bench.record.outcome == "cancelled"
    bench.quiet()


def test_an_answer_that_crosses_the_cancel_is_ended_at_once() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    alice.send(alice.cancel(invite))
    bob.expect("CANCEL")
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert [request.method for request in bob.requests()] == ["ACK", "BYE"]
    assert bench.record.outcome == "cancelled"
    bench.quiet()


def test_a_cancel_before_any_sign_of_the_phone_waits_for_it() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002")
    incoming = bob.expect("INVITE")
    alice.send(alice.cancel(invite))
    assert bob.requests() == []
    bob.answer(incoming, 180)
    bob.expect("CANCEL")


def test_busy_no_answer_and_reject_reach_the_caller() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    for status, seen, outcome in ((486, 486, "busy"), (603, 603, "rejected"), (500, 480, "")):
        bench.records.clear()
        alice.invite("1002")
        bob.answer(bob.expect("INVITE"), status)
        bob.expect("ACK")
        assert alice.responses()[-1] == seen
        assert bench.record.outcome == (outcome or "unavailable")
    bench.quiet()


def test_nobody_answers() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bench.advance(50)
    assert alice.register().status == 200
    bench.advance(10.1)
    assert 480 in alice.responses()
    bob.expect("CANCEL")
    bob.answer(incoming, 487)
    assert bench.record.outcome == "no_answer"
    bench.quiet()


def test_a_number_nobody_has_and_a_user_without_phone() -> None:
    bench = Bench.in_outage()
    (alice,) = bench.registered("1001")
    alice.invite("7777")
    assert alice.responses()[-1] == 404
    assert bench.record.outcome == "not_found"
    bench.records.clear()
    alice.invite("1003")
    assert alice.responses()[-1] == 480
    assert bench.record.outcome == "unavailable"
    bench.quiet()


def test_the_site_code_in_front_of_an_extension_reaches_it() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("811002")
    bob.expect("INVITE")


def test_a_phone_that_does_not_answer_at_all_is_given_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    assert bob.expect("INVITE").method == "INVITE"
    bench.advance(33)
    assert alice.responses()[-1] == 480
    bench.quiet()


def test_the_answer_is_repeated_until_its_ack_and_then_given_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bob.answer(incoming, 200, body=sdp(bob.host))
    bob.expect("ACK")
    bench.advance(33)
    seen = alice.take()
    assert sum(isinstance(m, Response) and m.status == 200 for m in seen) > 5
    assert any(isinstance(m, Request) and m.method == "BYE" for m in seen)
    assert {request.method for request in bob.requests()} == {"BYE"}
    assert "never acknowledged" in bench.record.reason
    bench.quiet()


def test_a_repeated_invite_and_a_repeated_answer_change_nothing() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    alice.send(invite)
    assert alice.responses() == [180]
    assert bob.requests() == []
    bob.answer(incoming, 200, body=sdp(bob.host))
    bob.expect("ACK")
    bob.answer(incoming, 200, body=sdp(bob.host))
    bob.expect("ACK")
    assert alice.responses() == [200]


def test_max_forwards_goes_down_and_ends_a_loop() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    assert incoming.max_forwards == 69
    request = alice.request("INVITE", "sip:1002@example.com", body=sdp(alice.host))
    request.set("Max-Forwards", "0")
    alice.authenticated(request)
    assert alice.responses()[-1] == 483


def test_without_credentials_nobody_calls() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.password = "wrong"
    alice.invite("1002")
    assert alice.responses() == [401]
    assert bob.inbox == []


def test_in_standby_a_call_is_sent_to_the_cloud() -> None:
    bench = Bench()
    phone = bench.phone("1001")
    phone.send(phone.request("INVITE", "sip:1002@example.com", body=sdp(phone.host)))
    (answer,) = phone.take()
    assert isinstance(answer, Response)
    assert answer.status == 503
    assert answer.first("Retry-After") == "30"


def test_the_loss_of_the_callers_connection_ends_the_ringing() -> None:
    bench = Bench.in_outage()
    alice = bench.phone("1001", transport="TLS")
    alice.register()
    (bob,) = bench.registered("1002")
    _, incoming = ringing_call(bench, alice, bob)
    bench.perform(bench.core.lost(alice.flow, bench.now))
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(incoming, 487)
    bench.quiet()


def test_the_session_timer_ends_a_call_whose_phone_vanished() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.advance(1800)
    assert bench.record.outcome == "answered"
    assert "refresh" in bench.record.reason or "session timer" in bench.record.reason
    bench.quiet()


def test_a_call_beyond_the_limit_is_refused_and_recorded() -> None:
    bench = Bench.in_outage(site_bundle(Policies(max_calls=1)))
    alice, bob, carol = bench.registered("1001", "1002", "1003")
    talking(bench, alice, bob)
    carol.invite("1001")
    assert carol.responses()[-1] == 503
    assert bench.record.reason == "every line is in use"
    assert bench.notices[-1].topic == "calls.full"
