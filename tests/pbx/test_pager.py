"""Texts from phone to phone (RFC 3428): who gets them, and what their sender is told."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.pbx.pager import AT_ONCE
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone


def text(phone: Phone, to: str, body: bytes = b"hello", kind: str = "text/plain") -> Request:
    """Send a text, with credentials."""
    request = phone.request("MESSAGE", f"sip:{to}@example.com")
    request.add("Content-Type", kind)
    request.body = body
    return phone.authenticated(request)


def got(phone: Phone) -> Request:
    return phone.expect("MESSAGE")


def test_a_text_reaches_the_phone_and_its_sender_is_told() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    text(alice, "1002")
    message = got(bob)
    assert (message.body, message.content_type) == (b"hello", "text/plain")
    assert message.from_.display == "User 1001"
    assert str(message.from_.uri) == "sip:1001@example.com"
    assert str(message.to.uri) == "sip:1002@example.com"
    assert alice.host not in message.encode().decode()
    assert alice.responses() == []
    bob.answer(message, 200)
    assert alice.responses() == [200]
    bench.quiet()
    assert not len(bench.core.switchboard.pager)


def test_every_phone_gets_it_and_the_first_that_takes_it_counts() -> None:
    bench = Bench.in_outage()
    alice, bob, also = bench.registered("1001", "1002", "1002")
    text(alice, "1002")
    bob.answer(got(bob), 405)
    assert alice.responses() == []
    also.answer(got(also), 202)
    assert alice.responses() == [200]


@pytest.mark.parametrize(("statuses", "told"), [((405, 486), 486), ((405, 405), 480)])
def test_when_no_phone_takes_it_the_best_reason_is_told(statuses: Any, told: int) -> None:
    bench = Bench.in_outage()
    alice, bob, also = bench.registered("1001", "1002", "1002")
    text(alice, "1002")
    for phone, status in zip((bob, also), statuses, strict=True):
        phone.answer(got(phone), status)
    assert alice.responses() == [told]


def test_a_phone_that_is_silent_has_not_got_it() -> None:
    bench = Bench.in_outage()
    alice, _ = bench.registered("1001", "1002")
    text(alice, "1002")
    bench.advance(33)
    assert alice.responses()[-1] == 480
    assert not len(bench.core.switchboard.pager)


def test_who_has_no_phone_here_gets_nothing() -> None:
    bench = Bench.in_outage()
    (alice,) = bench.registered("1001")
    text(alice, "1002")
    assert alice.responses() == [480]


@pytest.mark.parametrize("to", ["4711", "911", "*78", "+13125550100"])
def test_texts_go_to_users_only(to: str) -> None:
    bench = Bench.in_outage()
    (alice,) = bench.registered("1001")
    text(alice, to)
    assert alice.responses() == [404]


def test_a_text_without_credentials_is_challenged() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    request = alice.request("MESSAGE", "sip:1002@example.com")
    request.add("Content-Type", "text/plain")
    alice.send(request)
    assert alice.responses() == [401]
    assert bob.take() == []


@pytest.mark.parametrize(
    ("body", "kind", "status"), [(b"x" * 1301, "text/plain", 413), (b"x", "application/sdp", 415)]
)
def test_what_is_no_short_text_is_refused(body: bytes, kind: str, status: int) -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    request = alice.request("MESSAGE", "sip:1002@example.com")
    request.add("Content-Type", kind)
    request.body = body
    alice.send(request)
    assert alice.responses() == [status]
    assert bob.take() == []


def test_a_sender_without_end_is_slowed_down() -> None:
    bench = Bench.in_outage()
    alice, _ = bench.registered("1001", "1002")
    for _ in range(AT_ONCE):
        text(alice, "1002")
    assert alice.responses() == []
    text(alice, "1002")
    (answer,) = alice.take()
    assert isinstance(answer, Response)
    assert (answer.status, answer.first("Retry-After")) == (503, "5")


def test_a_repeated_text_is_delivered_once() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    sent = text(alice, "1002")
    alice.send(sent)
    bob.answer(got(bob), 200)
    alice.send(sent)
    assert alice.responses() == [200, 200]
    assert bob.take() == []


def test_texts_wait_for_the_outage() -> None:
    bench = Bench()
    bench.zones_up = True
    bench.advance(10)
    alice = bench.phone("1001")
    request = alice.request("MESSAGE", "sip:1002@example.com")
    request.add("Content-Type", "text/plain")
    alice.send(request)
    alice.send(alice.with_digest(request, alice.take()[0]))  # type: ignore[arg-type]
    assert alice.responses() == [503]
