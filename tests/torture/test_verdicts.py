"""RFC 4475, message by message: the verdict of reading and checking, and what was read."""

from __future__ import annotations

import hashlib
import json

import pytest

from appliance.errors import RemoteError
from appliance.sip.framing import BadMessage, StreamFramer, parse
from appliance.sip.headers import CSeq, NameAddr, Via
from appliance.sip.message import Request, Response
from appliance.sip.uri import SipUri
from appliance.sip.validate import check_request
from tests.torture.verdicts import DATA, MESSAGES, Torture, verdict

BY_FILE = {message.file.removesuffix(".dat"): message for message in MESSAGES}


def request(name: str) -> Request:
    message = parse(BY_FILE[name].data)
    assert isinstance(message, Request)
    return message


def response(name: str) -> Response:
    message = parse(BY_FILE[name].data)
    assert isinstance(message, Response)
    return message


def uri(address: NameAddr) -> SipUri:
    assert isinstance(address.uri, SipUri)
    return address.uri


def test_all_of_them_are_here_octet_for_octet() -> None:
    listed = json.loads((DATA / "manifest.json").read_text())["messages"]
    assert len(listed) == 49
    for entry in listed:
        data = (DATA / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["file"]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.file)
def test_a_datagram_gets_its_verdict(message: Torture) -> None:
    assert verdict(message.data) in message.verdicts


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.file)
def test_an_answer_can_be_built_for_every_request_refused(message: Torture) -> None:
    if message.kind == "response":
        return
    try:
        parsed: Request | Response | None = parse(message.data)
        assert isinstance(parsed, Request)
        check_request(parsed)
    except BadMessage as error:
        parsed = error.request
    except RemoteError:
        pass
    assert isinstance(parsed, Request)
    answer = parse(parsed.response(400, to_tag="t1").encode())
    assert [v.split() for v in answer.all("Via")] == [v.split() for v in parsed.all("Via")]
    for name in ("From", "Call-ID", "CSeq"):
        assert answer.all(name) == parsed.all(name)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.file)
def test_a_stream_yields_the_same_message(message: Torture) -> None:
    framer = StreamFramer()
    framed = framer.feed(message.data)
    if message.file in ("clerr.dat", "baddn.dat"):
        assert framed == [] and framer.pending
        return
    expected = "accept" if message.file == "inv2543.dat" else verdict(message.data)
    assert verdict(framed[0]) == expected
    assert framer.broken == (message.file in ("ncl.dat", "mcl01.dat"))


def test_a_short_tortuous_invite() -> None:
    invite = request("wsinv")
    assert invite.to.tag == "1918181833n"
    assert invite.from_ == NameAddr.parse(
        '"J Rosenberg \\\\\\"" <sip:jdrosen@example.com>;tag=98asjd8'
    )
    assert invite.from_.display == 'J Rosenberg \\"'
    assert (invite.max_forwards, invite.cseq) == (68, CSeq(9, "INVITE"))
    assert [str(via) for via in invite.vias] == [
        "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
    ]
    assert invite.first("Newfangledheader") == "newfangled value continued newfangled value"
    assert invite.first("Unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert invite.contacts[0].q == 0.33
    assert invite.contacts[0].params["newparam"] == "newvalue"
    assert len(invite.body) == 150
    assert "lr" in uri(invite.routes[0]).params


def test_a_wide_range_of_valid_characters() -> None:
    tortured = request("intmeth")
    assert tortured.method == tortured.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert tortured.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert uri(tortured.to).user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert tortured.request_uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert tortured.from_.tag == "_token~1'+`*%!-."
    assert tortured.from_.param("fromparam''~+*_!.-%") == "работающий"


def test_valid_use_of_escapes() -> None:
    invite = request("esc01")
    assert invite.request_uri.user == "sips:user@example.com"
    assert uri(invite.to).user == "user"
    assert uri(invite.from_).user == "I have spaces"
    contact = uri(invite.contacts[0])
    assert contact.user == "caller"
    assert contact.params == {"lr": None, "name": "value%41"}


def test_escaped_nulls_do_not_end_a_name() -> None:
    register = request("escnull")
    assert uri(register.to).user == "null-\x00-null"
    assert [uri(contact).user for contact in register.contacts] == ["\x00", "\x00\x00"]


def test_percent_signs_that_escape_nothing() -> None:
    unknown = request("esc02")
    assert unknown.method == "RE%47IST%45R"
    assert len(unknown.contacts) == 2
    assert unknown.to.display == "%Z%45"


def test_a_display_name_beside_its_bracket() -> None:
    assert request("lwsdisp").from_.display == "caller"


def test_long_values_keep_their_length() -> None:
    invite = request("longreq")
    assert f";tag={invite.from_.tag};unknownheaderparam".encode() in BY_FILE["longreq"].data
    assert len(invite.from_.tag or "") == 155
    assert len(invite.vias) == 34
    assert invite.call_id.endswith("longcallid")


def test_a_second_request_in_a_datagram_is_not_read() -> None:
    register = request("dblreq")
    assert (register.method, register.body) == ("REGISTER", b"")
    assert register.call_id == "dblreq.0ha0isndaksdj99sdfafnl3lk233412"


def test_a_second_request_on_a_stream_is_one() -> None:
    framer = StreamFramer()
    methods = []
    for data in framer.feed(BY_FILE["dblreq"].data)[:2]:
        message = parse(data)
        assert isinstance(message, Request)
        methods.append(message.method)
    assert methods == ["REGISTER", "INVITE"]
    assert framer.take_pings() == 0


def test_semicolons_in_a_user_part() -> None:
    target = request("semiuri").request_uri
    assert (target.user, target.params) == ("user;par=u@example.net", {})


def test_unknown_transports_in_via() -> None:
    transports = [via.transport for via in request("transports").vias]
    assert transports == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_a_binary_body_stays_as_it_is() -> None:
    body = request("mpart01").body
    assert len(body) == 553
    assert b"\x00" in body and b"\xff" in body


def test_reason_phrases_of_any_kind() -> None:
    assert response("unreason").reason.startswith("= 2**3 * 5**2 но сто")
    assert (response("noreason").status, response("noreason").reason) == (100, "")


def test_escaped_headers_of_a_request_uri_never_become_headers() -> None:
    invite = request("escruri")
    assert invite.request_uri.headers == (("Route", "<sip:example.com>"),)
    assert invite.routes == ()
    with pytest.raises(RemoteError, match="400"):
        check_request(invite)


def test_another_version_is_answered_with_all_that_an_answer_copies() -> None:
    with pytest.raises(BadMessage) as caught:
        parse(BY_FILE["badvers"].data)
    salvaged = caught.value.request
    assert caught.value.status == 505
    assert salvaged is not None
    answer = parse(salvaged.response(505).encode())
    assert answer.via == Via("UDP", "c.example.com", None, {"branch": "z9hG4bKkdjuw"})
    assert (answer.call_id, answer.cseq) == ("badvers.31417@c.example.com", CSeq(1, "OPTIONS"))


def test_what_nobody_supports_is_listed() -> None:
    with pytest.raises(RemoteError) as caught:
        check_request(request("bext01"))
    assert caught.value.headers == (
        ("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
    )


def test_what_is_accepted_instead_is_listed() -> None:
    with pytest.raises(RemoteError) as caught:
        check_request(request("invut"))
    assert caught.value.headers == (("Accept", "application/sdp"),)


def test_an_unknown_authorization_scheme_shows_no_credentials() -> None:
    credentials = request("regaut01").authorization
    assert credentials is not None
    assert (credentials.scheme, credentials.username) == ("nooneknowsthisscheme", "")


def test_parameters_belong_to_the_header_or_to_the_uri() -> None:
    outside, inside = request("cparam01").contacts[0], request("cparam02").contacts[0]
    assert str(outside.uri) == "sip:+19725552222@gw1.example.net"
    assert outside.params == {"unknownparam": None}
    assert str(inside.uri) == "sip:+19725552222@gw1.example.net;unknownparam"
    assert inside.params == {}


def test_an_escaped_header_stays_in_the_contact() -> None:
    contact = request("regescrt").contacts[0]
    assert str(contact.uri) == "sip:user@example.com?Route=%3Csip:sip.example.com%3E"


def test_rfc_2543_is_still_read() -> None:
    invite = request("inv2543")
    assert (invite.via.branch, invite.from_.tag, invite.max_forwards) == (None, None, None)
    assert invite.body.startswith(b"v=0")
