"""Faxes over the trunk: T.38 passes both ways, and G.711 carries what cannot go by it (E2)."""

from __future__ import annotations

from appliance.call.actions import Relay
from appliance.sdp.session import Session
from appliance.sip.message import Request, Response
from tests.phones import HOLDFAST, Phone, sdp
from tests.trunk.outside import SbcPeer, Trunked, answered, trunk_bundle, udp

KEY = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
RATES = ["T38FaxVersion:0", "T38MaxBitRate:14400", "T38FaxRateManagement:transferredTCF"]
SHOWN = [*RATES, "T38FaxMaxDatagram:400", "T38FaxUdpEC:t38UDPRedundancy"]


def t38(address: str, port: int, *first: str) -> bytes:
    """Write a description of a fax, behind other m-lines."""
    lines = [
        "v=0",
        f"o=fax 1 2 IN IP4 {address}",
        "s=fax machine",
        f"c=IN IP4 {address}",
        "t=0 0",
        *first,
        f"m=image {port} udptl t38",
        *[f"a={one}" for one in SHOWN],
        "a=T38VendorInfo:0 0 37",
        f"a=x-inside:{address}",
    ]
    return "\r\n".join([*lines, ""]).encode()


class Faxing:
    """A call from alice's fax machine to one outside, before either wants T.38."""

    def __init__(self, **group: object) -> None:
        self.cseq = 1
        self.site = Trunked(trunk_bundle(udp(1), **group))
        self.invite = self.alice.invite("95125550199")
        self.call = self.sbc.expect("INVITE")
        if group.get("srtp") == "required":
            offer = Session.parse(self.call.body).media[0]
            tag = next(one.split()[0] for one in offer.crypto if "AES_CM_128_HMAC_SHA1_80" in one)
            body = sdp(self.sbc.host, protocol="RTP/SAVP", crypto=tag + KEY[1:])
            self.sbc.answer(self.call, 200, body=body)
            self.sbc.expect("ACK")
            (self.accepted,) = [m for m in self.alice.take() if isinstance(m, Response)][-1:]
            self.alice.send(self.alice.within(self.invite, self.accepted, "ACK", cseq=2))
        else:
            self.accepted = answered(self.alice, self.invite, self.sbc, self.call)

    @property
    def alice(self) -> Phone:
        return self.site.alice

    @property
    def sbc(self) -> SbcPeer:
        return self.site.sbc

    def from_inside(self, body: bytes) -> Request:
        """Have alice's fax machine ask for something else."""
        request = self.alice.within(self.invite, self.accepted, "INVITE", cseq=9, body=body)
        self.alice.send(request)
        return request

    def from_outside(self, body: bytes) -> Request:
        """Have the fax machine outside ask for something else."""
        self.cseq += 1
        request = self.sbc.back(self.call, "INVITE", "callee", cseq=self.cseq, body=body)
        self.sbc.send(request)
        return request

    @property
    def relay(self) -> Relay:
        (relay,) = self.site.bench.relays.values()
        return relay


def test_a_fax_machine_inside_changes_to_t38() -> None:
    fax = Faxing()
    fax.from_inside(t38("203.0.113.77", 4000))
    offer = fax.sbc.expect("INVITE")
    (line,) = Session.parse(offer.body).media
    assert (line.kind, line.protocol, line.formats) == ("image", "udptl", ("t38",))
    assert [f"{name}:{value}" for name, value in line.attributes] == SHOWN
    assert b"203.0.113.77" not in offer.body and b"Vendor" not in offer.body
    assert Session.parse(offer.body).connection == HOLDFAST
    fax.sbc.answer(offer, 200, body=t38("198.51.100.200", 5000))
    fax.sbc.expect("ACK")
    answer = fax.alice.take()[-1]
    assert isinstance(answer, Response) and answer.status == 200
    (told,) = Session.parse(answer.body).media
    assert (told.kind, told.port > 0) == ("image", True)
    a, b = fax.relay.a, fax.relay.b
    assert b is not None
    assert (a.remote, b.remote) == (("203.0.113.77", 4000), ("198.51.100.200", 5000))
    assert (a.fax, b.fax, a.receives, b.sends, a.codecs) == (True, True, None, None, ())


def test_a_fax_machine_outside_changes_to_t38_and_back() -> None:
    fax = Faxing()
    fax.from_outside(t38("198.51.100.200", 5000))
    offer = fax.alice.expect("INVITE")
    assert Session.parse(offer.body).media[0].is_fax
    fax.alice.answer(offer, 200, body=t38(fax.alice.host, 4000))
    fax.alice.expect("ACK")
    assert 200 in fax.sbc.responses()
    assert fax.relay.a.fax
    fax.from_outside(sdp(fax.sbc.host, version=3))
    offer = fax.alice.expect("INVITE")
    fax.alice.answer(offer, 200, body=sdp(fax.alice.host, version=3))
    assert 200 in fax.sbc.responses()
    assert not fax.relay.a.fax
    assert fax.relay.a.codecs


def test_who_has_no_t38_goes_on_in_g711() -> None:
    fax = Faxing()
    before = fax.relay
    fax.from_outside(t38("198.51.100.200", 5000))
    fax.alice.answer(fax.alice.expect("INVITE"), 488)
    fax.alice.expect("ACK")
    assert fax.sbc.responses()[-1] == 488
    assert fax.relay.a.remote == before.a.remote
    assert not fax.relay.a.fax
    assert len(fax.site.bench.core.switchboard.calls) == 1


def test_beside_audio_that_ends_a_fax_gets_a_relay_of_its_own() -> None:
    fax = Faxing()
    audio = ("m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000")
    fax.from_outside(t38("198.51.100.200", 5000, *audio))
    offer = fax.alice.expect("INVITE")
    assert [line.port > 0 for line in Session.parse(offer.body).media] == [False, True]
    fax.alice.answer(offer, 200, body=t38(fax.alice.host, 4000, *audio))
    assert 200 in fax.sbc.responses()
    assert fax.relay.key.endswith("/1")
    assert fax.relay.a.fax


def test_where_srtp_is_required_t38_is_refused_and_the_call_goes_on() -> None:
    fax = Faxing(srtp="required")
    assert fax.relay.b is not None and fax.relay.b.sends is not None
    fax.from_inside(t38(fax.alice.host, 4000))
    assert not fax.sbc.requests()
    refused = fax.alice.take()[-1]
    assert isinstance(refused, Response) and refused.status == 488
    fax.from_outside(t38("198.51.100.200", 5000))
    assert fax.sbc.responses()[-1] == 488
    assert not fax.alice.requests()
    assert not fax.relay.a.fax
    assert len(fax.site.bench.core.switchboard.calls) == 1
