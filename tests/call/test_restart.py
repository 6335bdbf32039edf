"""Core is killed with `kill -9` and another goes on with what is in the database."""

from __future__ import annotations

import msgspec
import pytest

from appliance.bundle import Policies
from appliance.call.events import RelayEnded
from appliance.call.record import MediaCounters
from appliance.call.saved import SEQUENCE_GAP
from appliance.ports import Restored
from appliance.sdp.session import Session
from appliance.sip.flow import Transport
from appliance.sip.message import Response
from tests.call.test_basic_call import ringing_call, talking
from tests.phones import Bench, Phone, sdp, site_bundle


def two(bench: Bench, transport: Transport = "UDP") -> tuple[Phone, Phone]:
    alice, bob = (bench.phone(name, transport=transport) for name in ("1001", "1002"))
    for phone in (alice, bob):
        assert phone.register().status == 200
    return alice, bob


def methods(phone: Phone) -> list[str]:
    """Return the methods of the requests that have come, and forget all."""
    return [request.method for request in phone.requests()]


def test_an_answered_call_goes_on_and_the_caller_hangs_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    before, ports = dict(bench.relays), bench.core.switchboard.ports_taken
    bench.advance(40)
    bench.restart()
    assert bench.relays == before
    assert bench.core.switchboard.ports_taken == ports
    bench.advance(20)
    alice.send(alice.within(invite, answer, "BYE"))
    assert alice.responses() == [200]
    bob.answer(bob.expect("BYE"), 200)
    assert (bench.record.outcome, bench.record.ended_by) == ("answered", "caller")
    assert bench.record.ended - bench.record.answered == 60  # type: ignore[operator]
    assert bench.record.from_caller.packets == 50
    assert bench.record.sealed
    bench.quiet()


def test_the_callee_hangs_up_and_our_bye_has_a_new_number() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    bench.restart()
    bob.send(bob.back(incoming, "BYE", "callee"))
    assert bob.responses() == [200]
    bye = alice.expect("BYE")
    assert bye.cseq.number > SEQUENCE_GAP
    alice.answer(bye, 200)
    assert bench.record.ended_by == "callee"
    bench.quiet()


def test_nobody_hears_of_a_restart_once_all_is_acknowledged() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    alice.send(alice.within(invite, answer, "OPTIONS"))  # which saves that the ACK has come
    alice.take()
    bench.restart()
    bench.advance(60)
    assert (alice.take(), bob.take()) == ([], [])
    assert bench.core.command("calls", {}, bench.now)[0][0]["state"] == "answered"


def test_an_answer_whose_ack_is_not_known_of_is_repeated() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    bench.restart()
    (again,) = alice.take()
    assert isinstance(again, Response)
    assert (again.status, again.body) == (200, answer.body)
    assert again.to.tag == answer.to.tag
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    bench.advance(60)
    assert (alice.take(), bob.take()) == ([], [])
    alice.send(alice.within(invite, answer, "BYE"))
    bench.quiet()


def test_a_phone_that_has_sent_its_ack_need_not_send_another() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.restart()
    bench.advance(33)
    assert set(alice.responses()) == {200}
    bench.advance(33)
    assert alice.take() == []
    assert len(bench.core.switchboard.calls) == 1


def test_an_answer_of_long_ago_is_not_repeated() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.advance(33)
    bench.restart()
    assert alice.take() == []


def test_a_retransmitted_invite_is_not_a_second_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, _, _ = talking(bench, alice, bob)
    bench.restart()
    alice.take()
    alice.send(invite)
    assert len(bench.core.switchboard.calls) == 1


def test_a_callee_that_missed_our_ack_gets_it_again() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    bench.restart()
    bob.answer(incoming, 200, body=sdp(bob.host))
    ack = bob.expect("ACK")
    assert ack.cseq.number == incoming.cseq.number
    assert not ack.body


@pytest.mark.parametrize("holder", ["caller", "callee"])
def test_hold_and_resume_work_after_a_restart(holder: str) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking(bench, alice, bob)
    relay = next(iter(bench.relays.values()))
    bench.restart()
    alice.take()
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    for number, direction in enumerate(("sendonly", "sendrecv"), 2):
        if holder == "caller":
            body = sdp(alice.host, direction=direction, version=number)
            cseq = invite.cseq.number + number
            alice.send(alice.within(invite, answer, "INVITE", cseq=cseq, body=body))
            asked, other, one = bob.expect("INVITE"), bob, alice
        else:
            body = sdp(bob.host, direction=direction, version=number)
            bob.send(bob.back(incoming, "INVITE", "callee", cseq=number, body=body))
            asked, other, one = alice.expect("INVITE"), alice, bob
        assert direction.encode() in asked.body
        tag = asked.to.tag or ""
        other.answer(asked, 200, tag=tag, body=sdp(other.host, version=number))
        other.expect("ACK")
        assert one.responses() == [100, 200]
        if holder == "caller":
            alice.send(alice.within(invite, answer, "ACK", cseq=cseq))
        else:
            bob.send(bob.back(incoming, "ACK", "callee", cseq=number))
    after = next(iter(bench.relays.values()))
    assert (after.a, after.b) == (relay.a, relay.b)
    assert after.revision > relay.revision


def test_descriptions_after_a_restart_have_the_versions_that_follow() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking(bench, alice, bob)
    bench.restart()
    body = sdp(alice.host, direction="sendonly", version=2)
    alice.send(alice.within(invite, answer, "INVITE", body=body))
    first, second = Session.parse(incoming.body), Session.parse(bob.expect("INVITE").body)
    assert second.origin.session_id == first.origin.session_id
    assert second.origin.version == first.origin.version + 1
    assert second.media[0].port == first.media[0].port


def test_session_timers_go_on() -> None:
    bench = Bench.in_outage(site_bundle(Policies(session_expires=180)))
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.advance(60)
    bench.restart()
    alice.take()
    bench.advance(29)
    assert bob.requests() == []
    bench.advance(1.2)  # 90 s after the answer: half of the interval
    refresh = bob.expect("INVITE")
    bob.answer(refresh, 200, tag="callee", body=sdp(bob.host))
    bob.expect("ACK")


def test_a_refresh_that_came_due_while_nobody_ran_is_done_at_once() -> None:
    bench = Bench.in_outage(site_bundle(Policies(session_expires=180)))
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    left = bench.left()
    bench.now += 120
    bench.restart(left)
    bench.advance(0.1)
    bob.expect("INVITE")


def test_times_are_brought_onto_the_clock_of_another_boot() -> None:
    bench = Bench.in_outage(site_bundle(Policies(session_expires=180)))
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    bench.advance(60)
    left = bench.left(offset=-bench.now + 20)  # 20 s after the boot, and no time has passed
    bench.now = 20
    bench.restart(left)
    bench.advance(29)
    assert bob.requests() == []
    bench.advance(1.2)
    bob.expect("INVITE")


def test_a_late_answer_in_an_ack_is_passed_on_by_the_next_process() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite = alice.invite("1002", body=b"")
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 200, body=sdp(bob.host))
    answer = alice.take()[-1]
    assert isinstance(answer, Response)
    assert bob.requests() == []
    bench.restart()
    body = sdp(alice.host)
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number, body=body))
    assert b"192.0.2.10" in bob.expect("ACK").body
    assert len(bench.relays) == 1
    bench.restart()
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert b"192.0.2.10" in bob.expect("ACK").body


def test_a_reinvite_under_way_is_refused_and_taken_back() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, incoming = talking(bench, alice, bob)
    before = dict(bench.relays)
    body = sdp(alice.host, direction="sendonly", version=2)
    alice.send(alice.within(invite, answer, "INVITE", body=body))
    asked = bob.expect("INVITE")
    alice.take()
    bench.restart()
    assert alice.responses() == [491]
    bob.answer(asked, 200, tag="callee", body=sdp(bob.host, direction="recvonly"))
    assert bob.expect("ACK").cseq.number == asked.cseq.number
    bench.advance(1.1)
    back = bob.expect("INVITE")
    first, held, again = (Session.parse(one.body) for one in (incoming, asked, back))
    assert again.media == first.media
    assert again.origin.version > held.origin.version
    bob.answer(back, 200, tag="callee", body=sdp(bob.host))
    bob.expect("ACK")
    after = next(iter(bench.relays.values()))
    assert (after.a, after.b) == (before[after.key].a, before[after.key].b)
    alice.send(alice.within(invite, answer, "BYE", cseq=9))
    bench.quiet()


def test_a_second_kill_never_uses_a_number_twice() -> None:
    bench = Bench.in_outage(site_bundle(Policies(session_expires=180)))
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    left = bench.left()
    bench.advance(90.2)
    numbers = [bob.expect("INVITE").cseq.number]
    for _ in range(3):
        bench.restart(left)  # of what was sent last nothing was saved
        left = bench.left()
        bench.advance(0.1)
        numbers.append(bob.expect("INVITE").cseq.number)
    assert numbers == sorted(set(numbers))


def test_ringing_ends_for_caller_and_callee() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    bench.restart()
    assert bench.record.reason == "signalling restarted while it rang"
    assert (bench.record.outcome, bench.record.status) == ("failed", 500)
    assert bench.record.sealed
    cancel = bob.expect("CANCEL")
    assert cancel.via.branch == incoming.via.branch
    assert cancel.uri == incoming.uri
    bob.answer(cancel, 200)
    bob.answer(incoming, 487)
    assert bob.expect("ACK").via.branch == incoming.via.branch
    (refused,) = alice.take()
    assert isinstance(refused, Response)
    assert (refused.status, refused.via.branch) == (500, invite.via.branch)
    alice.send(alice.ack_failure(invite, refused))
    bench.quiet()
    assert (alice.take(), bob.take()) == ([], [])
    assert not bench.saved_calls


def test_a_phone_that_answers_in_the_gap_is_hung_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bench.restart()
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(incoming, 200, body=sdp(bob.host))
    ack, bye = bob.requests()
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert bye.to.tag == "callee"


def test_a_phone_that_answers_what_was_never_saved_is_hung_up() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bench.saved_calls.clear()
    bench.restart()
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert methods(bob) == ["ACK", "BYE"]
    stranger = bench.phone("1003", host="198.51.100.9")
    stranger.answer(incoming, 200, body=sdp(bob.host))
    assert stranger.take() == []


def test_a_caller_that_had_its_answer_already_is_hung_up() -> None:
    """The row that said so was lost with the process."""
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    left = bench.left()
    bob.answer(incoming, 200, body=sdp(bob.host))
    alice.take()
    bob.expect("ACK")
    bench.restart(left)
    bench.advance(4.2)
    assert methods(alice) == ["BYE"]
    assert bench.relays == {}


def test_a_deferred_answer_ends_with_the_ringing() -> None:
    """Bob has answered, but Alice has not acknowledged the reliable response before it."""
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002", headers=[("Supported", "100rel")])
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 183, body=sdp(bob.host))
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert alice.responses() == [100, 183]
    bench.restart()
    assert methods(bob) == ["ACK", "BYE"]
    assert alice.responses() == [500]
    assert bench.record.sealed


def test_a_phone_on_tls_is_found_when_it_has_registered_again() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TLS")
    invite, answer, _ = talking(bench, alice, bob)
    bench.restart()
    alice, bob = bench.reconnected(alice), bench.reconnected(bob)
    alice.send(alice.within(invite, answer, "BYE"))
    assert 200 in alice.responses()
    assert bob.take() == []
    bob.register_again()
    assert methods(bob) == ["BYE"]
    assert bench.record.ended_by == "caller"
    bench.quiet()


def test_a_phone_that_takes_tcp_connections_gets_one() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TCP")
    invite, answer, _ = talking(bench, alice, bob)
    bench.restart()
    alice = bench.reconnected(alice)
    alice.send(alice.within(invite, answer, "BYE"))
    bye = bench.unsent[-1]
    assert bye.data.startswith(b"BYE ")
    assert (bye.flow.remote, bye.flow.connection) == (bob.flow.remote, 0)


def test_a_request_inside_the_dialog_shows_where_the_phone_is_now() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TLS")
    invite, answer, incoming = talking(bench, alice, bob)
    bench.restart()
    alice, bob = bench.reconnected(alice), bench.reconnected(bob)
    bob.send(bob.back(incoming, "OPTIONS", "callee"))
    assert bob.responses() == [200]
    alice.send(alice.within(invite, answer, "BYE"))
    bob.expect("BYE")


def test_a_phone_that_does_not_come_back_holds_nothing_up() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TLS")
    invite, answer, _ = talking(bench, alice, bob)
    bench.restart()
    alice = bench.reconnected(alice)
    alice.send(alice.within(invite, answer, "BYE"))
    assert 200 in alice.responses()
    bench.quiet()
    assert bench.record.sealed


def test_a_connection_lost_in_a_call_is_no_end_of_the_call() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TLS")
    invite, answer, _ = talking(bench, alice, bob)
    bench.perform(bench.core.lost(bob.flow, bench.now))
    bob = bench.reconnected(bob)
    bob.register_again()
    alice.send(alice.within(invite, answer, "BYE"))
    bob.expect("BYE")


def test_ringing_phones_on_streams_are_told_when_they_are_back() -> None:
    bench = Bench.in_outage()
    alice, bob = two(bench, "TLS")
    ringing_call(bench, alice, bob)
    bench.restart()
    alice, bob = bench.reconnected(alice), bench.reconnected(bob)
    assert 500 in alice.register_again()
    bob.register_again()
    assert methods(bob) == ["CANCEL"]


def test_a_row_nobody_can_read_leaves_its_record() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    (row,) = bench.saved_calls.values()
    parts = msgspec.msgpack.decode(row)
    for broken in (msgspec.msgpack.encode([parts[0], "?"]), msgspec.msgpack.encode(parts[0])):
        after = Bench(restored=Restored(calls=(broken, b"\xc1")))
        assert (after.record.outcome, after.record.ended_by) == ("answered", "system")
        assert after.record.reason == "signalling restarted during the call"
        assert after.record.sealed


def test_octets_that_are_no_utf8_do_not_keep_a_call_from_being_saved() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002", body=sdp(alice.host).replace(b"s=call", b"s=M\xfcller"))
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 200, body=sdp(bob.host))
    bench.restart()
    assert len(bench.core.switchboard.calls) == 1
    bob.send(bob.back(incoming, "BYE", "callee"))
    alice.take()
    assert bench.record.ended_by == "callee"


def test_counters_that_come_after_a_restart_are_in_the_record() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    bench.restart()
    (key,) = bench.relays
    (call,) = bench.core.switchboard.calls.values()
    actions = bench.core.receive(bob.back(incoming, "BYE", "callee").encode(), bob.flow, bench.now)
    assert call.sealing.due == 1
    counters = MediaCounters(packets=7, octets=1120)
    bench.perform([*bench.core.media_event(RelayEnded(key, counters, counters), bench.now)])
    assert actions
    assert bench.record.from_callee.packets == 7
