"""What phones still say to a call that is over, and how little is kept for them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import ref

from appliance.sip.message import Request, Response
from tests.call.test_basic_call import ringing_call, talking
from tests.phones import Bench, Phone, sdp


@contextmanager
def no_collector() -> Iterator[None]:
    """Let things die by their reference counts alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def over(bench: Bench, caller: Phone, callee: Phone) -> tuple[Request, Request, bytes]:
    """Let two phones talk and the caller hang up; return both INVITEs and our ACK."""
    invite, incoming = ringing_call(bench, caller, callee)
    callee.answer(incoming, 200, body=sdp(callee.host))
    (answer,) = caller.take()
    assert isinstance(answer, Response)
    ack = callee.expect("ACK").encode()
    caller.send(caller.within(invite, answer, "ACK", cseq=invite.cseq.number))
    caller.send(caller.within(invite, answer, "BYE"))
    assert caller.responses() == [200]
    callee.answer(callee.expect("BYE"), 200)
    return invite, incoming, ack


def test_a_callee_that_missed_our_ack_gets_the_same_again_when_the_call_is_over() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming, ack = over(bench, alice, bob)
    for _ in range(2):
        bob.answer(incoming, 200, body=sdp(bob.host))
        assert bob.expect("ACK").encode() == ack
    assert not bob.take()
    bench.quiet()


def test_it_gets_it_on_the_connection_it_has_now() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.phone("1001"), bench.phone("1002", transport="TLS")
    alice.register()
    bob.register()
    invite, answer, incoming = talking(bench, alice, bob)
    bench.perform(bench.core.lost(bob.flow, bench.now))
    alice.send(alice.within(invite, answer, "BYE"))
    back = bench.reconnected(bob)
    back.answer(incoming, 200, body=sdp(back.host))
    assert not back.take()  # nobody knows yet whose connection it is
    back.register_again()
    back.answer(back.expect("BYE"), 200)
    back.answer(incoming, 200, body=sdp(back.host))
    assert back.expect("ACK").to.tag == "callee"
    bench.quiet()


def test_a_fork_that_answers_when_the_call_is_over_is_acknowledged_and_ended() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming, _ = over(bench, alice, bob)
    bob.answer(incoming, 200, tag="late", body=sdp(bob.host))
    ack, bye = bob.requests()
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert ack.to.tag == bye.to.tag == "late"
    bob.answer(bye, 200)
    bench.quiet()


def test_a_phone_that_rings_when_its_call_is_over_is_not_heard() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming, _ = over(bench, alice, bob)
    bob.answer(incoming, 180)
    bob.answer(incoming, 486)
    assert not bob.take() and not alice.take()
    bench.quiet()


def test_the_callers_invite_is_no_second_call_and_its_cancel_comes_too_late() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, _, _ = over(bench, alice, bob)
    alice.send(invite)
    assert not alice.take() and not bob.take()
    alice.send(alice.cancel(invite))
    assert alice.responses() == [200]
    assert not bench.core.switchboard.calls
    bench.quiet()


def test_the_legs_of_a_call_die_with_it() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    (call,) = bench.core.switchboard.calls.values()
    legs = [ref(leg) for leg in call.legs if leg is not None]
    invited = call.caller.invite
    del call
    with no_collector():
        alice.send(alice.within(invite, answer, "BYE"))
        assert [leg() for leg in legs] == [None, None]
        assert not hasattr(invited, "request")  # 6 KB, for 32 s
    bench.quiet()


def test_a_refused_call_keeps_its_refusal_alone() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    (call,) = bench.core.switchboard.calls.values()
    (branch,) = call.branches
    invited, kept = call.caller.invite, (ref(branch), ref(call.caller))
    del call, branch
    with no_collector():
        bob.answer(incoming, 486)
        bob.expect("ACK")
        assert alice.responses() == [486]
        assert [leg() for leg in kept] == [None, None]
        assert not hasattr(invited, "request")
    alice.send(invite)
    assert alice.responses() == [486]
    bob.answer(incoming, 486)
    bob.expect("ACK")
    bench.quiet()
