"""Out to one SBC and in from it, and what must never be seen there (E2-E4)."""

from __future__ import annotations

from appliance.sdp.session import Session
from appliance.sip.message import Response
from tests.phones import HOLDFAST, sdp
from tests.trunk.outside import Trunked, answered


def test_a_number_outside_is_called_with_the_users_own_number() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    assert call.uri == "sip:+15125550199@sbc1.example.net;user=phone"
    assert call.from_.uri.user == "+13125551001"  # type: ignore[union-attr]
    assert call.first("P-Asserted-Identity") == f"<sip:+13125551001@{HOLDFAST};user=phone>"
    answer = answered(site.alice, invite, site.sbc, call)
    site.alice.send(site.alice.within(invite, answer, "BYE"))
    site.sbc.answer(site.sbc.expect("BYE"), 200)
    assert site.bench.record.outcome == "answered"
    assert site.bench.record.answered_by == "+15125550199"
    site.bench.quiet()


def test_a_call_from_outside_rings_whom_the_number_belongs_to() -> None:
    site = Trunked()
    invite = site.sbc.call("+13125551002")
    incoming = site.bob.expect("INVITE")
    assert incoming.from_.uri.user == "+442079460000"  # type: ignore[union-attr]
    site.bob.answer(incoming, 180)
    assert site.sbc.responses() == [100, 180]
    answer = answered(site.sbc, invite, site.bob, incoming)
    site.sbc.send(site.sbc.within(invite, answer, "BYE"))
    assert site.sbc.responses() == [200]
    site.bob.answer(site.bob.expect("BYE"), 200)
    assert site.bench.record.caller == "+442079460000"
    site.bench.quiet()


def test_a_number_that_is_not_ours_gets_404_and_leaves_no_record() -> None:
    site = Trunked()
    site.sbc.call("+13125559999")
    assert site.sbc.responses() == [404]
    assert not site.bench.records


def test_a_stranger_is_no_sbc_and_has_to_prove_who_it_is() -> None:
    site = Trunked()
    stranger = site.bench.phone("+442079460000", host="198.51.100.77")
    stranger.send(stranger.request("INVITE", f"sip:+13125551002@{HOLDFAST}", body=sdp("x")))
    assert stranger.responses() == [401]


def test_an_sbc_calls_nobody_outside_through_us() -> None:
    site = Trunked()
    site.sbc.call("+15125550199")
    assert site.sbc.responses() == [404]


def test_a_phone_that_asks_for_an_offer_in_mid_call_is_made_one_by_us() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    answer = answered(site.alice, invite, site.sbc, site.sbc.expect("INVITE"))
    site.alice.send(site.alice.within(invite, answer, "INVITE"))
    offer = site.alice.take()[-1]
    assert isinstance(offer, Response)
    assert (offer.status, bool(offer.body)) == (200, True)
    assert not site.sbc.take()
    held = sdp(site.alice.host, direction="sendonly", version=2)
    number = offer.cseq.number
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=number, body=held))
    again = site.sbc.expect("INVITE")
    assert b"a=sendonly" in again.body
    body = sdp(site.sbc.host, direction="recvonly", version=2)
    site.sbc.answer(again, 200, body=body)
    assert not site.sbc.expect("ACK").body
    assert site.bench.relays
    site.alice.send(site.alice.within(invite, answer, "INVITE", cseq=number + 1))
    site.alice.take()
    refresh = site.alice.within(invite, answer, "ACK", cseq=number + 1, body=held)
    site.alice.send(refresh)
    assert not site.sbc.take(), "a refresh is no news for the carrier"
    site.alice.send(site.alice.within(invite, answer, "BYE", cseq=number + 2))
    site.sbc.answer(site.sbc.expect("BYE"), 200)
    site.bench.quiet()


def test_a_late_offer_of_a_phone_is_an_early_one_outside() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199", b"")
    call = site.sbc.expect("INVITE")
    offer = Session.parse(call.body)
    assert offer.media[0].formats == ("0", "8", "101")
    site.sbc.answer(call, 200, body=sdp(site.sbc.host, 4000))
    assert not site.sbc.expect("ACK").body
    answer = site.alice.take()[-1]
    assert isinstance(answer, Response)
    assert Session.parse(answer.body).media[0].formats == ("0", "101")
    assert not site.bench.relays, "nobody knows where the caller's audio goes"
    ack = site.alice.within(
        invite, answer, "ACK", cseq=invite.cseq.number, body=sdp(site.alice.host)
    )
    site.alice.send(ack)
    (relay,) = site.bench.relays.values()
    assert relay.b is not None
    assert (relay.a.remote, relay.b.remote) == ((site.alice.host, 10000), (site.sbc.host, 4000))
