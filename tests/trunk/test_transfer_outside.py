"""Transfers to and from the outside (C5): by whose right, and what the SBC is shown of it."""

from __future__ import annotations

import pytest

from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.call.test_security import SHA1_80, line, secure
from tests.call.trio import agree
from tests.phones import Phone, sdp
from tests.trunk.outside import SbcPeer, Trunked, answered, trunk_bundle
from tests.trunk.test_emergency import ELIN
from tests.trunk.test_emergency import bundle as emergency_bundle
from tests.trunk.test_rights import NEAR, with_user


def refer(phone: Phone, request: Request) -> list[str]:
    """Send a REFER; return what was told of it."""
    phone.send(request)
    told = []
    while phone.inbox:
        message = phone.inbox.pop(0)
        if isinstance(message, Response):
            told.append(str(message.status))
        elif message.method == "NOTIFY":
            told.append(message.body.decode().split()[1])
            phone.answer(message, 200, tag=message.to.tag or "")
        elif message.method == "BYE":
            told.append("BYE")
            phone.answer(message, 200, tag=message.to.tag or "")
    return told


def talking(site: Trunked, headers: list[tuple[str, str]]) -> Request:
    """Let Alice and Bob talk; return her REFER."""
    invite = site.alice.invite("1002")
    site.alice.take()
    answer = answered(site.alice, invite, site.bob, site.bob.expect("INVITE"))
    return site.alice.within(invite, answer, "REFER", headers=headers)


def hide_nothing_of(site: Trunked, message: Request) -> bool:
    text = message.encode().decode()
    return any(phone.host in text for phone in site.phones) or "Referred-By" in text


def test_a_party_is_handed_on_to_a_number_outside() -> None:
    site = Trunked()
    request = talking(site, [("Refer-To", f"<sip:{NEAR}@example.com>")])
    assert refer(site.alice, request) == ["202", "100"]
    out = site.sbc.expect("INVITE")
    assert not hide_nothing_of(site, out)
    site.sbc.answer(out, 200, tag="far", body=sdp(site.sbc.host))
    site.sbc.expect("ACK")
    agree(site.bob, site.bob.expect("INVITE"))
    (call,) = site.bench.core.switchboard.calls.values()
    assert {leg.extension for leg in call.joined} == {"1002", call.joined[0].extension}
    site.sbc.send(site.sbc.back(out, "BYE", "far"))
    assert "BYE" in [request.method for request in site.bob.requests()]


@pytest.mark.parametrize("service", ["internal", "national"])
def test_the_right_of_who_transfers_decides(service: str) -> None:
    site = Trunked(with_user(trunk_bundle(), "1001", class_of_service=service))
    request = talking(site, [("Refer-To", f"<sip:{NEAR}@example.com>")])
    told = refer(site.alice, request)
    if service == "internal":
        assert told == ["202", "100", "403"]
        assert site.sbc.requests() == []
    else:
        site.sbc.expect("INVITE")


def inbound(site: Trunked) -> tuple[Request, Request, Response]:
    """Let somebody outside call Alice and talk with her."""
    invite = site.sbc.call("+13125551001")
    incoming = site.alice.expect("INVITE")
    site.alice.answer(incoming, 200, body=sdp(site.alice.host))
    site.alice.expect("ACK")
    answer = [m for m in site.sbc.take() if isinstance(m, Response)][-1]
    assert answer.status == 200
    site.sbc.send(_within(site.sbc, invite, answer, "ACK"))
    return invite, incoming, answer


def _within(sbc: SbcPeer, invite: Request, answer: Response, method: str, **more: str) -> Request:
    headers = [(name.replace("_", "-"), value) for name, value in more.items()]
    number = invite.cseq.number if method == "ACK" else invite.cseq.number + 1
    request = sbc.within(invite, answer, method, cseq=number, headers=headers)
    request.set("From", invite.first("From") or "")
    return request


def test_who_calls_from_outside_is_handed_on_inside() -> None:
    site = Trunked()
    _, incoming, _ = inbound(site)
    request = site.alice.back(
        incoming, "REFER", "callee", headers=[("Refer-To", "<sip:1002@example.com>")]
    )
    assert refer(site.alice, request) == ["202", "100"]
    ringing = site.bob.expect("INVITE")
    assert ringing.from_.uri.user == "+442079460000"  # type: ignore[union-attr]
    site.bob.answer(ringing, 200, tag="bob", body=sdp(site.bob.host))
    site.bob.expect("ACK")
    offer = site.sbc.expect("INVITE")
    assert not hide_nothing_of(site, offer)
    agree(site.sbc, offer)


def test_who_calls_from_outside_is_handed_on_over_the_same_sbc() -> None:
    site = Trunked()
    _, incoming, _ = inbound(site)
    headers = [("Refer-To", f"<sip:{NEAR}@example.com>")]
    request = site.alice.back(incoming, "REFER", "callee", headers=headers)
    assert refer(site.alice, request) == ["202", "100"]
    out = site.sbc.expect("INVITE")
    site.sbc.answer(out, 200, tag="far", body=sdp(site.sbc.host))
    offer = next(m for m in site.sbc.requests() if m.method == "INVITE")
    agree(site.sbc, offer)
    (call,) = site.bench.core.switchboard.calls.values()
    assert call.talks
    assert all(leg.line is not None for leg in call.joined)


def test_nobody_outside_may_send_our_calls_anywhere() -> None:
    site = Trunked()
    invite, _, answer = inbound(site)
    request = _within(site.sbc, invite, answer, "REFER", Refer_To=f"<sip:{NEAR}@example.com>")
    site.sbc.send(request)
    assert site.sbc.responses() == [403]
    site.sbc.send(site.sbc.request("REFER", "sip:1001@example.com"))
    assert site.sbc.responses() == [401]


def test_nobody_outside_may_replace_a_dialog() -> None:
    site = Trunked()
    _, incoming, _ = inbound(site)
    named = f"{incoming.call_id};to-tag={incoming.from_.tag};from-tag=callee"
    site.sbc.call("+13125551001", headers=[("Replaces", named)], caller="1001")
    assert site.sbc.responses()[-1] == 603
    assert site.alice.take() == []


def test_srtp_inside_and_rtp_outside_are_bridged() -> None:
    site = Trunked()
    invite = site.alice.invite("1002", body=secure(site.alice, line(1, SHA1_80)))
    site.alice.take()
    incoming = site.bob.expect("INVITE")
    site.bob.answer(incoming, 200, body=secure(site.bob, line(1, SHA1_80, 7)))
    site.bob.expect("ACK")
    answer = [m for m in site.alice.take() if isinstance(m, Response)][-1]
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=invite.cseq.number))
    headers = [("Refer-To", f"<sip:{NEAR}@example.com>")]
    refer(site.alice, site.alice.within(invite, answer, "REFER", headers=headers))
    out = site.sbc.expect("INVITE")
    assert Session.parse(out.body).media[0].protocol == "RTP/AVP"
    site.sbc.answer(out, 200, tag="far", body=sdp(site.sbc.host))
    offer = site.bob.expect("INVITE")
    keyed = Session.parse(offer.body).media[0]
    assert keyed.protocol == "RTP/SAVP"
    tag = keyed.crypto[0].partition(" ")[0]
    suite = keyed.crypto[0].split()[1]
    body = secure(site.bob, line(int(tag), suite, 9), version=2)
    site.bob.answer(offer, 200, tag=offer.to.tag or "", body=body)
    (relay,) = site.bench.relays.values()
    assert relay.b is not None
    sides = {bool(relay.a.receives), bool(relay.b.receives)}
    assert sides == {True, False}


def test_a_party_is_handed_on_to_help_and_the_place_is_told() -> None:
    site = Trunked(with_user(emergency_bundle(), "1001", class_of_service="internal"))
    request = talking(site, [("Refer-To", "<sip:911@example.com>")])
    assert refer(site.alice, request) == ["202", "100"]
    out = site.sbc.expect("INVITE")
    assert out.first("Priority") == "emergency"
    assert out.from_.uri.user == ELIN  # type: ignore[union-attr]
    site.sbc.answer(out, 200, tag="help", body=sdp(site.sbc.host))
    site.sbc.expect("ACK")
    agree(site.bob, site.bob.expect("INVITE"))
    (call,) = site.bench.core.switchboard.calls.values()
    assert call.talks


def test_help_that_cannot_be_reached_leaves_the_two_together() -> None:
    site = Trunked(emergency_bundle())
    request = talking(site, [("Refer-To", "<sip:911@example.com>")])
    refer(site.alice, request)
    out = site.sbc.expect("INVITE")
    site.sbc.answer(out, 503, tag="help")
    site.bench.advance(120)
    (call,) = site.bench.core.switchboard.calls.values()
    assert {leg.extension for leg in call.joined} == {"1001", "1002"}
