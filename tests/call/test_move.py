"""A port of ours that another process holds costs nobody the call."""

from __future__ import annotations

from appliance.call.actions import Relay
from appliance.call.events import RelayFailed
from appliance.call.move import TRIES
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_basic_call import ringing_call, talking
from tests.phones import Bench, Phone, sdp

TAKEN = "Address already in use"


def the_relay(bench: Bench) -> Relay:
    (relay,) = bench.relays.values()
    return relay


def port_of(side: object) -> int:
    return int(side.local[1])  # type: ignore[attr-defined]


def fail(bench: Bench, port: int) -> None:
    """Let the media process find a port of the only relay taken."""
    event = RelayFailed(the_relay(bench).key, TAKEN, port)
    bench.perform(bench.core.media_event(event, bench.now))


def told_port(message: Request | Response) -> int:
    return Session.parse(message.body).media[0].port


def accept(phone: Phone, reinvite: Request, body: bytes = b"") -> None:
    tag = reinvite.to.tag or ""
    phone.answer(reinvite, 200, tag=tag, body=body or sdp(phone.host))
    phone.expect("ACK")


def test_the_phone_concerned_is_moved_while_people_talk() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    old, revision = port_of(the_relay(bench).b), the_relay(bench).revision
    fail(bench, old)
    reinvite = bob.expect("INVITE")
    new = port_of(the_relay(bench).b)
    assert new != old
    assert told_port(reinvite) == new
    assert the_relay(bench).revision > revision
    assert alice.take() == []
    accept(bob, reinvite, sdp(bob.host, 12000, version=2))
    assert the_relay(bench).b.remote == (bob.host, 12000)  # type: ignore[union-attr]
    alice.send(alice.within(invite, answer, "BYE"))
    bob.expect("BYE")
    assert f"port {old} is held by another process: moved to {new}" in bench.record.steps
    bench.quiet()


def test_the_port_of_rtcp_counts_as_its_streams() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    old = port_of(the_relay(bench).a)
    fail(bench, old + 1)
    assert told_port(alice.expect("INVITE")) == port_of(the_relay(bench).a) != old


def test_what_failed_before_the_ack_waits_for_it() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    bob.answer(incoming, 200, body=sdp(bob.host))
    (answer,) = alice.take()
    assert isinstance(answer, Response)
    fail(bench, port_of(the_relay(bench).a))
    bench.advance(0.4)
    assert alice.take() == []
    alice.send(alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    bench.advance(0.3)
    accept(alice, alice.expect("INVITE"))


def test_early_media_moves_at_once_and_the_phones_are_told_after_the_answer() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    incoming = bob.expect("INVITE")
    bob.answer(incoming, 183, body=sdp(bob.host))
    old = port_of(the_relay(bench).b)
    assert told_port(incoming) == old
    fail(bench, old)
    assert port_of(the_relay(bench).b) != old
    assert bob.take() == []
    bob.answer(incoming, 200, body=sdp(bob.host))
    assert [request.method for request in bob.requests()] == ["ACK", "INVITE"]


def test_both_sides_may_have_to_move_and_news_of_old_ports_is_ignored() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    a, b = port_of(the_relay(bench).a), port_of(the_relay(bench).b)
    for port in (a, a, b, b):
        fail(bench, port)
    accept(alice, alice.expect("INVITE"))
    accept(bob, bob.expect("INVITE"))
    bench.advance(5)
    assert (alice.take(), bob.take()) == ([], [])


def test_a_phone_that_offers_at_the_same_time_is_told_later() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    fail(bench, port_of(the_relay(bench).b))
    first = bob.expect("INVITE")
    bob.answer(first, 491, tag=first.to.tag or "")
    bob.expect("ACK")
    bench.advance(3.1)
    accept(bob, bob.expect("INVITE"))


def test_a_phone_that_refuses_to_move_ends_the_call_with_the_reason() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    fail(bench, port_of(the_relay(bench).b))
    reinvite = bob.expect("INVITE")
    bob.answer(reinvite, 488, tag=reinvite.to.tag or "")
    alice.expect("BYE")
    assert bench.record.reason == "a phone would not move its audio (488)"
    bench.quiet()


def test_ports_that_fail_one_after_another_end_the_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    for _ in range(TRIES):
        fail(bench, port_of(the_relay(bench).b))
    fail(bench, port_of(the_relay(bench).b))
    assert TAKEN in bench.record.reason
    assert f"{TRIES} ports tried" in bench.record.reason
    bench.quiet()


def test_a_failure_that_no_other_port_cures_ends_the_call() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    talking(bench, alice, bob)
    event = RelayFailed(the_relay(bench).key, "Cannot assign requested address")
    bench.perform(bench.core.media_event(event, bench.now))
    assert bench.record.reason == "no relay for its audio: Cannot assign requested address"
    bench.quiet()


def test_a_port_set_aside_comes_back_after_a_while() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    ports = bench.core.switchboard._ports
    free = len(ports._free)
    invite, answer, _ = talking(bench, alice, bob)
    fail(bench, port_of(the_relay(bench).b))
    alice.send(alice.within(invite, answer, "BYE"))
    bench.quiet()
    assert len(ports._free) == free - 1
    bench.advance(600)
    assert len(ports._free) == free
