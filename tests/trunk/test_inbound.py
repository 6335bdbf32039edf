"""Whose number was called: DIDs, cloud numbers many to one, a PBX behind the SBC (E3)."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from appliance.bundle import Bundle, Group, Policies, TrunkNumber
from appliance.sip.flow import Flow
from appliance.sip.message import Request
from tests.phones import HOLDFAST, sdp
from tests.trunk.outside import Trunked, answered, trunk_bundle, udp

CLOUD = tuple(f"+1312555{extension}" for extension in (1001, 1002))


def many_to_one(target: str | None = None) -> Bundle:
    row = TrunkNumber(number="+13125558000", cloud_numbers=CLOUD, target=target)
    return replace(trunk_bundle(), trunk_numbers=(row,))


@pytest.mark.parametrize(
    "written",
    ["+13125551002", "13125551002", "3125551002", "+1-312-555-1002", "%2B13125551002"],
)
def test_a_number_is_known_however_the_carrier_writes_it(written: str) -> None:
    site = Trunked()
    site.sbc.call(written)
    site.bob.expect("INVITE")


@pytest.mark.parametrize(
    "headers",
    [
        [("Diversion", "<sip:+13125551002@cloud.example>;reason=unconditional")],
        [("Diversion", "<tel:+13125551002>;reason=unconditional")],
        [("Diversion", "<sip:+15550000@x>"), ("Diversion", "<sip:+13125551002@x>")],
        [("History-Info", "<sip:+13125551002@x>;index=1, <sip:+13125558000@x>;index=1.1")],
        [("P-Called-Party-ID", "<sip:+13125551002@x>")],
    ],
)
def test_many_cloud_numbers_come_on_one_of_the_trunk(headers: list[tuple[str, str]]) -> None:
    site = Trunked(many_to_one())
    site.sbc.call("+13125558000", headers=headers)
    site.bob.expect("INVITE")
    assert not site.alice.take()


def test_to_tells_as_well() -> None:
    site = Trunked(many_to_one())
    site.sbc.call("+13125558000", to="<sip:+13125551002@cloud.example>")
    site.bob.expect("INVITE")


def test_a_number_that_is_not_forwarded_here_is_not_believed() -> None:
    site = Trunked(many_to_one())
    site.sbc.call("+13125558000", headers=[("Diversion", "<sip:+13125551003@x>")])
    assert site.sbc.responses() == [404]


def test_what_tells_nothing_goes_where_the_bundle_says() -> None:
    site = Trunked(many_to_one("1001"))
    site.sbc.call("+13125558000", headers=[("Diversion", "rubbish<<<")])
    site.alice.expect("INVITE")


def test_a_group_is_reached_by_its_number() -> None:
    group = Group(id="g", name="G", extension="7000", numbers=("+13125557000",), members=("u1002",))
    site = Trunked(replace(trunk_bundle(), groups=(group,)))
    site.sbc.call("+13125557000")
    site.bob.expect("INVITE")


def test_extensions_are_no_numbers_for_a_carrier() -> None:
    site = Trunked()
    for dialled in ("1002", "811002", "u1002", "*72", "911"):
        site.sbc.call(dialled)
    assert set(site.sbc.responses()) == {404}
    assert not site.bob.take()


def test_a_pbx_behind_the_sbc_calls_extensions_and_is_called_by_its_prefix() -> None:
    site = Trunked(trunk_bundle(prefixes=("6",)))
    site.sbc.call("1002", caller="6123")
    incoming = site.bob.expect("INVITE")
    assert incoming.from_.uri.user == "6123"  # type: ignore[union-attr]
    site.alice.invite("6123")
    (call,) = [m for m in site.sbc.take() if isinstance(m, Request)]
    assert call.uri == "sip:6123@sbc1.example.net"


@pytest.mark.parametrize(
    ("headers", "caller", "shown"),
    [
        ([("P-Asserted-Identity", '"Bob" <sip:+442079460000@c>')], "+1999", "+442079460000"),
        ([("P-Asserted-Identity", "<tel:+442079460000>")], "anonymous", "+442079460000"),
        ([("Privacy", "id"), ("P-Asserted-Identity", "<tel:+442079460000>")], "x", "anonymous"),
        ([], "442079460000", "442079460000"),
        ([], "3125551003", "+13125551003"),
        ([], "anonymous", "anonymous"),
    ],
)
def test_who_calls_is_what_the_carrier_vouches_for(
    headers: list[tuple[str, str]], caller: str, shown: str
) -> None:
    site = Trunked()
    site.sbc.call("+13125551002", caller=caller, headers=headers)
    incoming = site.bob.expect("INVITE")
    assert incoming.from_.uri.user == shown  # type: ignore[union-attr]


def test_an_outside_caller_is_never_taken_for_a_user() -> None:
    site = Trunked()
    site.sbc.call("+13125551002", caller="1001")
    site.bob.expect("INVITE")
    (call,) = site.bench.core.switchboard.calls.values()
    assert call.party.line is not None


def test_another_port_of_an_sbc_is_a_stranger_over_udp() -> None:
    site = Trunked()
    flow = site.sbc.flow._replace(remote=(site.sbc.flow.remote[0], 5099))
    stranger = type(site.sbc)(site.bench, "x", flow)
    site.bench.phones[flow] = stranger
    stranger.call("+13125551002")
    assert stranger.responses() == [401]


def test_over_tls_only_the_name_counts() -> None:
    site = Trunked(trunk_bundle(udp(1, transport="TLS")))
    local = (HOLDFAST, 5061)
    nameless = Flow("TLS", local, (site.sbc.flow.remote[0], 40_000), 7)
    named = Flow("TLS", local, ("203.0.113.9", 40_001), 8, "SBC1.example.net")
    for flow, expected in ((nameless, [401]), (named, [100])):
        peer = type(site.sbc)(site.bench, "x", flow)
        site.bench.phones[flow] = peer
        peer.call("+13125551002")
        assert peer.responses() == expected


def test_while_the_cloud_is_there_the_carrier_is_sent_there() -> None:
    site = Trunked()
    site.bench.zones_up = True
    site.bench.advance(400)
    assert site.bench.mode == "standby"
    site.sbc.call("+13125551002")
    (answer,) = site.sbc.take()
    assert answer.status == 503  # type: ignore[union-attr]
    assert answer.first("Retry-After")


def test_nobody_registers_through_the_trunk() -> None:
    site = Trunked()
    request = site.sbc.request("REGISTER", "sip:example.com", to="<sip:1001@example.com>")
    site.sbc.send(request)
    assert site.sbc.responses() == [405]


def test_options_of_an_sbc_are_answered() -> None:
    site = Trunked()
    site.sbc.send(site.sbc.request("OPTIONS", f"sip:{HOLDFAST}"))
    assert site.sbc.responses() == [200]


def test_srtp_outside_and_rtp_inside_are_bridged_by_the_route_groups_policy() -> None:
    bundle = trunk_bundle(udp(1, transport="TLS"), srtp="required")
    site = Trunked(replace(bundle, policies=Policies(srtp="off")))
    invite = site.alice.invite("95125550199")
    call = site.sbc.expect("INVITE")
    assert b"RTP/SAVP" in call.body
    (tag,) = re.findall(r"a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 ", call.body.decode())
    key = f"{tag} AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
    body = sdp(site.sbc.host, protocol="RTP/SAVP", crypto=key)
    site.sbc.answer(call, 200, body=body)
    site.sbc.expect("ACK")
    answer = site.alice.take()[-1]
    assert b"RTP/AVP" in answer.body
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=invite.cseq.number))  # type: ignore[arg-type]
    (relay,) = site.bench.relays.values()
    assert relay.b is not None
    assert relay.b.sends is not None
    assert relay.a.sends is None


def test_audio_may_have_a_host_of_its_own_beside_the_sbc() -> None:
    site = Trunked()
    invite = site.alice.invite("95125550199")
    site.sbc.answer(site.sbc.expect("INVITE"), 200, body=sdp("203.0.113.80", 4000))
    answer = site.alice.take()[-1]
    site.alice.send(site.alice.within(invite, answer, "ACK", cseq=invite.cseq.number))  # type: ignore[arg-type]
    (relay,) = site.bench.relays.values()
    assert relay.b is not None
    assert (relay.b.remote, relay.b.learn) == (("203.0.113.80", 4000), False)


def test_an_sbc_without_srtp_is_refused_where_it_is_required() -> None:
    site = Trunked(trunk_bundle(udp(1, transport="TLS"), srtp="required"))
    site.sbc.call("+13125551002")
    assert site.sbc.responses()[-1] == 488


def test_codecs_are_ordered_and_filtered() -> None:
    site = Trunked(trunk_bundle(codecs=("pcma", "pcmu")))
    body = sdp(site.alice.host).replace(b" 0 101\r\n", b" 9 0 8 101\r\n")
    site.alice.invite("95125550199", body)
    call = site.sbc.expect("INVITE")
    assert b"m=audio 20000 RTP/AVP 8 0 101\r\n" in call.body


def test_no_common_codec_is_488_with_the_reason_both_ways() -> None:
    site = Trunked(trunk_bundle(codecs=("g729",)))
    site.alice.invite("95125550199")
    answer = site.alice.take()[-1]
    assert answer.status == 488  # type: ignore[union-attr]
    assert "no codec in common: offered pcmu; allowed g729" in (answer.first("Warning") or "")
    site.sbc.call("+13125551002")
    refused = site.sbc.take()[-1]
    assert refused.status == 488  # type: ignore[union-attr]
    assert "no codec in common" in (refused.first("Warning") or "")


def test_an_inbound_call_survives_a_restart() -> None:
    site = Trunked()
    invite = site.sbc.call("+13125551002")
    answer = answered(site.sbc, invite, site.bob, site.bob.expect("INVITE"))
    site.bench.restart()
    site.bob.take()
    site.sbc.send(site.sbc.within(invite, answer, "BYE"))
    assert site.sbc.responses()[-1] == 200
    site.bob.expect("BYE")
