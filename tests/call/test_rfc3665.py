"""The call flows of RFC 3665 with Holdfast in the place of the registrar and of the proxies.

3.3 (challenges at each proxy) is one challenge here, for there is one of us; 3.5 (ALG) is what the
relay does in every call; 3.6 (redirect) is the cloud's business: a redirecting phone counts as
unavailable.
"""

from __future__ import annotations

from appliance.sip.message import Request, Response
from tests.call.test_basic_call import ringing_call, talking
from tests.phones import DOMAIN, Bench, Phone, sdp


def register(phone: Phone, contact: str | None, expires: str = "7200") -> Response:
    """Register as the RFC's Bob does; return the final answer."""
    request = phone.request(
        "REGISTER",
        f"sip:{DOMAIN}",
        to=f"<sip:{phone.extension}@{DOMAIN}>",
        call_id="1j9FpLxk3uxtm8tn",
    )
    request.set("Expires", expires)
    request.remove("Contact")
    if contact:
        request.add("Contact", contact)
    phone.authenticated(request)
    (answer,) = phone.take()
    assert isinstance(answer, Response)
    return answer


def bob_in_outage() -> Phone:
    return Bench.in_outage().phone("1002")


def test_2_1_successful_new_registration() -> None:
    bob = bob_in_outage()
    answer = register(bob, f"<sip:1002@{bob.host}>")
    assert answer.status == 200
    assert str(answer.contacts[0].uri) == f"sip:1002@{bob.host}"


def test_2_2_update_of_contact_list() -> None:
    bob = bob_in_outage()
    bob.register()
    answer = register(bob, "<mailto:1002@example.com>")
    assert answer.status == 400  # a mail address cannot ring
    answer = register(bob, "<sip:1002@192.0.2.77>")
    assert len(answer.contacts) == 2


def test_2_3_request_for_current_contact_list() -> None:
    bob = bob_in_outage()
    bob.register()
    assert len(register(bob, None).contacts) == 1


def test_2_4_cancellation_of_registration() -> None:
    bob = bob_in_outage()
    bob.register()
    assert register(bob, "*", expires="0").first("Contact") is None
    assert len(bob.bench.core.switchboard.location) == 0


def test_2_5_unsuccessful_registration() -> None:
    bob = bob_in_outage()
    bob.register()
    bob.password = "0 wrong"
    assert bob.register().status == 401
    assert len(bob.bench.core.switchboard.location) == 1


def test_3_1_and_3_2_successful_session_establishment() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, answer, incoming = talking(bench, alice, bob)
    assert answer.status == 200
    bob.send(bob.back(incoming, "BYE", "callee"))
    assert bob.responses() == [200]
    alice.answer(alice.expect("BYE"), 200)
    bench.quiet()


def test_3_4_session_when_a_phone_of_the_callee_does_not_answer() -> None:
    bench = Bench.in_outage()
    alice, dead, bob = bench.registered("1001", "1002", "1002")
    alice.invite("1002")
    dead.expect("INVITE")
    bench.advance(2)
    bob.answer(bob.requests()[0], 200, body=sdp(bob.host))
    assert alice.responses()[-1] == 200


def test_3_7_reinvite_with_a_new_address() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, _, incoming = talking(bench, alice, bob)
    moved = sdp(bob.host, 31000, version=2)
    bob.send(bob.back(incoming, "INVITE", "callee", cseq=14, body=moved))
    passed = alice.expect("INVITE")
    assert b"31000" not in passed.body
    alice.answer(passed, 200, tag=passed.to.tag or "", body=sdp(alice.host))
    assert bob.responses() == [100, 200]
    (relay,) = bench.relays.values()
    assert relay.b.remote == (bob.host, 31000)


def test_3_8_unsuccessful_no_answer() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, incoming = ringing_call(bench, alice, bob)
    alice.send(alice.cancel(invite))
    bob.answer(bob.expect("CANCEL"), 200)
    bob.answer(incoming, 487)
    bob.expect("ACK")
    cancelled, ended = (m for m in alice.take() if isinstance(m, Response))
    assert (cancelled.status, ended.status) == (200, 487)
    alice.send(alice.ack_failure(invite, ended))
    bench.advance(5)
    assert alice.take() == []


def test_3_9_unsuccessful_busy() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    bob.answer(bob.expect("INVITE"), 486)
    bob.expect("ACK")
    assert alice.responses() == [100, 486]


def test_3_10_unsuccessful_no_response_from_user_agent() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    alice.invite("1002")
    bench.advance(33)
    assert {type(message) for message in bob.take()} == {Request}
    assert alice.responses()[-1] == 480


def test_3_11_unsuccessful_temporarily_unavailable() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    _, incoming = ringing_call(bench, alice, bob)
    bob.answer(incoming, 480)
    assert alice.responses() == [480]
