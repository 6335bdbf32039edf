"""Nothing of the inside is ever in a byte that an SBC gets (E2)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.bundle import Forwarding
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.phones import DOMAIN, HOLDFAST, sdp
from tests.trunk.outside import CARRIER, Trunked, answered, trunk_bundle, udp

TELLING = "\r\n".join(
    [
        "v=0",
        "o=alice-laptop 20518 0 IN IP4 192.0.2.201",
        "s=secret session",
        "i=secret information",
        "c=IN IP4 192.0.2.201",
        "b=AS:64",
        "t=0 0",
        "a=tool:secret-phone 1.0",
        "a=x-inside:192.0.2.202",
        "m=audio 10000 RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=candidate:1 1 UDP 2130706431 192.0.2.203 10000 typ host",
        "a=ssrc:4711 cname:alice@192.0.2.204",
        "a=rtcp:10001 IN IP4 192.0.2.205",
        "a=x-secret:secret",
        "a=sendrecv",
        "",
    ]
).encode()
"""A description that tells much of whoever wrote it."""
INSIDE = re.compile(
    rb"192\.0\.2\.(?!10\b)\d+|alice|bob|(?<!\d)100\d@|User 100|secret|laptop|example\.com|"
    rb"Record-Route|u1001|tag-10|call-10",
    re.IGNORECASE,
)
"""What would show somebody inside; our own address, 192.0.2.10, is the one an SBC has to know."""


def check(site: Trunked) -> None:
    """Look at every byte that the SBCs were sent."""
    for sbc in site.sbcs:
        for data in sbc.seen:
            found = INSIDE.search(data)
            assert found is None, f"{found.group()!r} in\n{data.decode()}"  # type: ignore[union-attr]


def telling(site: Trunked, number: str) -> Request:
    """Call outside from a phone that tells everything about itself."""
    headers = [
        ("User-Agent", "secret-phone/1.0"),
        ("Record-Route", "<sip:192.0.2.206;lr>"),
        ("P-Asserted-Identity", "<sip:+19995550000@192.0.2.207>"),
        ("Diversion", "<sip:+19995550000@192.0.2.207>;reason=unconditional"),
        ("Remote-Party-ID", "<sip:alice@192.0.2.208>"),
        ("X-Inside", "secret"),
    ]
    return site.alice.invite(number, TELLING, headers)


def test_an_outbound_call_from_ring_to_end() -> None:
    site = Trunked()
    invite = telling(site, "95125550199")
    call = site.sbc.expect("INVITE")
    site.sbc.answer(call, 183, body=sdp(site.sbc.host))
    answer = answered(site.alice, invite, site.sbc, call)
    again = TELLING.replace(b"sendrecv", b"sendonly").replace(b"20518 0", b"20518 1")
    site.alice.send(site.alice.within(invite, answer, "INVITE", body=again))
    site.sbc.answer(site.sbc.expect("INVITE"), 200, body=sdp(site.sbc.host, version=2))
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=3))
    digit = b"Signal=5\r\nDuration=160\r\n"
    info = site.alice.within(invite, answer, "INFO", cseq=4, body=digit)
    info.set("Content-Type", "application/dtmf-relay")
    site.alice.send(info)
    site.sbc.take()
    bye = site.alice.within(invite, answer, "BYE", cseq=5)
    bye.add("Reason", 'SIP;cause=200;text="secret"')
    site.alice.send(bye)
    site.sbc.expect("BYE")
    assert len(site.sbc.seen) >= 6
    check(site)


def test_a_call_that_is_given_up_and_one_that_fails() -> None:
    site = Trunked()
    invite = telling(site, "95125550199")
    site.sbc.answer(site.sbc.expect("INVITE"), 180)
    site.alice.send(site.alice.cancel(invite))
    site.sbc.answer(site.sbc.expect("CANCEL"), 200)
    site.alice.take()
    telling(site, "95125550199")
    site.sbc.answer(site.sbc.expect("INVITE"), 486)
    site.sbc.expect("ACK")
    check(site)


def test_an_inbound_call_is_answered_by_a_phone_that_tells_everything() -> None:
    site = Trunked()
    invite = site.sbc.call("+13125551001")
    incoming = site.alice.expect("INVITE")
    site.alice.answer(incoming, 180, headers=[("User-Agent", "secret-phone/1.0")])
    site.alice.answer(
        incoming,
        200,
        body=TELLING,
        headers=[("User-Agent", "secret-phone/1.0"), ("Server", "secret")],
    )
    answer = site.sbc.take()[-1]
    assert isinstance(answer, Response)
    assert answer.status == 200
    site.sbc.send(site.sbc.within(invite, answer, "ACK", cseq=1))
    site.alice.take()
    site.alice.send(site.alice.back(incoming, "BYE", "callee"))
    site.sbc.expect("BYE")
    check(site)


def test_an_inbound_call_that_is_declined_says_nothing_of_who_did_it() -> None:
    site = Trunked()
    site.sbc.call("+13125551001")
    site.alice.answer(site.alice.expect("INVITE"), 603)
    site.sbc.call("+13125551003")
    site.sbc.call("+13125559999")
    statuses = [m.status for m in site.sbc.take() if isinstance(m, Response)]
    assert statuses == [100, 603, 100, 480, 404]
    check(site)


def test_a_forwarded_call_shows_numbers_of_ours_and_the_caller_by_choice_only() -> None:
    bundle = trunk_bundle(shows_caller=True)
    forwarding = Forwarding(always="95125550199")
    users = tuple(
        replace(one, forwarding=forwarding) if one.extension == "1001" else one
        for one in bundle.users
    )
    site = Trunked(replace(bundle, users=users))
    site.sbc.call("+13125551001", caller="+442079460000")
    requests = [m for m in site.sbc.take() if isinstance(m, Request)]
    (call,) = requests
    assert (call.first("From") or "").startswith(f"<sip:+442079460000@{HOLDFAST};user=phone>")
    assert call.first("P-Asserted-Identity") == f"<sip:+13125551001@{HOLDFAST};user=phone>"
    assert call.all("Diversion") == [
        f"<sip:+13125551001@{HOLDFAST};user=phone>;reason=unconditional;counter=1"
    ]
    check(site)


BY = f"sip:+13125551001@{HOLDFAST};user=phone"
TO = "sip:+15125550199@sbc1.example.net;user=phone"
HISTORY = f"<{BY}?Reason=SIP%3Bcause%3D486>;index=1, <{TO};cause=486>;index=1.1;mp=1"


@pytest.mark.parametrize(
    ("policy", "diversion", "history"),
    [
        ("diversion", [f"<{BY}>;reason=user-busy;counter=1"], []),
        ("history_info", [], [HISTORY]),
        ("both", [f"<{BY}>;reason=user-busy;counter=1"], [HISTORY]),
        ("none", [], []),
    ],
)
def test_the_carrier_is_told_who_forwards_and_why_as_it_wants_to_be(
    policy: Any, diversion: list[str], history: list[str]
) -> None:
    bundle = trunk_bundle(diversion=policy)
    forwarding = Forwarding(busy="95125550199")
    users = tuple(
        replace(one, forwarding=forwarding) if one.extension == "1001" else one
        for one in bundle.users
    )
    site = Trunked(replace(bundle, users=users))
    site.bob.invite("1001")
    site.alice.answer(site.alice.expect("INVITE"), 486)
    call = site.sbc.expect("INVITE")
    assert call.all("Diversion") == diversion
    assert call.all("History-Info") == history
    check(site)


def test_who_forwards_and_is_not_shown_asks_for_privacy() -> None:
    bundle = trunk_bundle(diversion="both")
    forwarding = Forwarding(always="95125550199")
    users = tuple(
        replace(one, forwarding=forwarding, hides_caller_id=True)
        if one.extension == "1001"
        else one
        for one in bundle.users
    )
    site = Trunked(replace(bundle, users=users))
    site.bob.invite("1001")
    call = site.sbc.expect("INVITE")
    assert call.first("Diversion").endswith(";privacy=full")
    assert "?Privacy=history&Reason=" in call.first("History-Info")


def test_a_call_that_nobody_forwarded_names_nobody() -> None:
    site = Trunked(trunk_bundle(diversion="both"))
    site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    assert not call.all("Diversion") + call.all("History-Info")


def test_what_the_carrier_is_told_of_audio_is_ours_alone() -> None:
    site = Trunked()
    telling(site, "95125550199")
    offer = Session.parse(site.sbc.expect("INVITE").body)
    assert (offer.origin.username, offer.origin.address) == ("holdfast", HOLDFAST)
    assert (offer.connection, offer.name, offer.attributes) == (HOLDFAST, "-", ())
    shown = {attribute.name for attribute in offer.media[0].attributes}
    assert shown == {"rtpmap", "fmtp", "sendrecv"}


def test_the_search_would_find_what_must_not_be_there() -> None:
    for leak in (b"192.0.2.101", DOMAIN.encode(), b"User 1001", b"sip:1001@", b"Record-Route"):
        assert INSIDE.search(b"x " + leak)
    assert not INSIDE.search(f"{HOLDFAST} {CARRIER}.1 sbc1.example.net".encode())
    assert udp(1).host == "sbc1.example.net"
