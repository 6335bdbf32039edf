"""What any message must have before anybody acts on it."""

from __future__ import annotations

import pytest

from appliance.errors import RemoteError
from appliance.sip.message import Request, Response
from appliance.sip.validate import check_request, check_response
from tests.sip.agent import message

INVITE = """
    INVITE sip:1002@example.com SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa
    Max-Forwards: 70
    From: <sip:1001@example.com>;tag=f
    To: <sip:1002@example.com>
    Call-ID: c1
    CSeq: 1 INVITE
    Contact: <sip:1001@10.0.0.1>
"""


def request(text: str, body: bytes = b"") -> Request:
    parsed = message(text)
    assert isinstance(parsed, Request)
    parsed.body = body
    return parsed


def refusal(text: str, body: bytes = b"") -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        check_request(request(text, body))
    return caught.value


def status(text: str, body: bytes = b"") -> int:
    return refusal(text, body).status


def test_a_good_request_passes() -> None:
    check_request(request(INVITE))
    check_request(request(INVITE + "    Content-Type: application/sdp\n", b"v=0"))
    check_request(request(INVITE.replace("Max-Forwards: 70\n", "Max-Forwards: 070\n")))


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_what_must_be_there(name: str) -> None:
    lines = [line for line in INVITE.splitlines() if f" {name}:" not in line]
    assert status("\n".join(lines)) == 400


@pytest.mark.parametrize(
    "line",
    [
        *("From: <sip:a@b>;tag=g", "To: <sip:c@d>", "i: c2", "CSeq: 2 INVITE", "Max-Forwards: 5"),
        *("c: application/sdp\n    Content-Type: a/b", "Expires: 1\n    Expires: 2"),
    ],
)
def test_what_may_be_there_once(line: str) -> None:
    assert status(f"{INVITE}    {line}\n") == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: INVITE"),
        ("branch=z9hG4bKa", "branch=z9hG4bK"),
        ("branch=z9hG4bKa", "branch=z9hG4bK;rport"),
        ("branch=z9hG4bKa", ";branch=z9hG4bKa"),
        ("Max-Forwards: 70", "Max-Forwards: 256"),
        ("Max-Forwards: 70", "Max-Forwards: many"),
        ("<sip:1001@10.0.0.1>", "<sip:1001@10.0.0.1>;;"),
        ("<sip:1001@10.0.0.1>", "<sip:1001@10.0.0.1;;a>"),
        ("<sip:1001@10.0.0.1>", "<sip:1001@10.0.0.1;a=b=>;=c"),
        ("<sip:1002@example.com>", "<sip:1002@example.com;>"),
        ("<sip:1001@example.com>;tag=f", "<sip:1001@example.com>;tag="),
        ("<sip:1001@example.com>;tag=f", '"A <sip:1001@example.com>'),
        ("INVITE sip:1002@example.com", "INVITE sip:1002@example.com?a=b"),
        ("INVITE sip:1002@example.com", "INVITE sip:1002@example.com;;"),
        ("INVITE sip:1002@example.com", "INVITE sip:1002@"),
        ("INVITE sip:1002@example.com", "INVITE tel:"),
        ("Call-ID: c1", "Call-ID: c1, c2"),
    ],
)
def test_what_is_malformed(old: str, new: str) -> None:
    assert status(INVITE.replace(old, new)) == 400


@pytest.mark.parametrize(
    "uri", ["tel:+15551234", "urn:service:sos", "SIP:1002@example.com", "sips:[::1]:5061;lr"]
)
def test_who_can_be_asked_for(uri: str) -> None:
    check_request(request(INVITE.replace("sip:1002@example.com SIP", f"{uri} SIP")))


@pytest.mark.parametrize("uri", ["http://example.com", "urn:isbn:1", "soap.beep://a", "sipx:a@b"])
def test_who_cannot(uri: str) -> None:
    assert status(INVITE.replace("sip:1002@example.com SIP", f"{uri} SIP")) == 416


def test_an_unknown_method_is_told_apart_from_a_mismatch() -> None:
    assert status(INVITE.replace("INVITE sip", "DANCE sip")) == 501
    assert status(INVITE.replace("INVITE", "DANCE")) == 501
    assert status(INVITE.replace("INVITE", "invite")) == 501
    check_request(request(INVITE.replace("INVITE", "DANCE")), methods=frozenset(["DANCE"]))


def test_required_extensions() -> None:
    required = INVITE + "    Require: timer, nothing\n    Require: 100rel, more\n"
    error = refusal(required)
    assert (error.status, error.headers) == (420, (("Unsupported", "nothing, more"),))
    check_request(request(required), supported=frozenset(["timer", "100rel", "nothing", "more"]))
    check_request(request(INVITE + "    Require: timer\n    Proxy-Require: nothing\n"))


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_cannot_be_refused_requires_in_vain(method: str) -> None:
    check_request(request(INVITE.replace("INVITE", method) + "    Require: nothing\n"))


def test_a_caller_who_takes_no_session_description() -> None:
    assert status(INVITE + "    Accept: text/plain, text/html;level=1\n") == 406
    for accept in ("application/sdp;q=0.1, a/b", "*/*", "Application/*", "a/b,application/sdp"):
        check_request(request(f"{INVITE}    Accept: {accept}\n"))
    check_request(request(INVITE.replace("INVITE", "OPTIONS") + "    Accept: text/plain\n"))


def test_bodies() -> None:
    assert status(INVITE, b"v=0") == 400
    assert status(INVITE + "    Content-Type: text/plain\n", b"hi") == 415
    check_request(request(INVITE, b"\r\n\x00".strip(b"\x00")))
    check_request(request(INVITE.replace("INVITE", "INFO") + "    c: a/dtmf\n", b"5"))
    optional = "    Content-Type: text/plain\n    Content-Disposition: icon ; handling = optional\n"
    check_request(request(INVITE + optional, b"hi"))


def test_an_encoded_body() -> None:
    text = INVITE + "    Content-Type: application/sdp\n    Content-Encoding: {}\n"
    error = refusal(text.format("gzip"), b"\x1f")
    assert (error.status, error.headers) == (415, (("Accept-Encoding", "identity"),))
    check_request(request(text.format("identity"), b"v=0"))


def test_a_register_names_an_address_of_record() -> None:
    register = INVITE.replace("INVITE", "REGISTER").replace("<sip:1002@example.com>", "<{}>")
    assert status(register.format("tel:+15551234")) == 400
    check_request(request(register.format("sips:1002@example.com")))


def test_contact_stars() -> None:
    register = INVITE.replace("INVITE", "REGISTER").replace("<sip:1001@10.0.0.1>", "{}")
    check_request(request(register.format("*")))
    assert status(register.format("*, <sip:a@b>")) == 400


def answer(text: str = INVITE) -> Response:
    parsed = message(text.replace("INVITE sip:1002@example.com SIP/2.0", "SIP/2.0 200 OK"))
    assert isinstance(parsed, Response)
    return parsed


def test_a_good_response_passes() -> None:
    assert check_response(answer())
    assert check_response(answer(INVITE.replace("Via:", "v:")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("branch=z9hG4bKa", "branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.2"),
        ("Via:", "Via: SIP/2.0/UDP 10.0.0.2\n    Via:"),
        ("Via:", "X-Via:"),
        ("CSeq: 1", "CSeq: x"),
        ("Call-ID: c1", "Call-ID: c1\n    Call-ID: c2"),
        ("<sip:1001@10.0.0.1>", "<sip:1001@10.0.0.1;;>"),
        ("To: <sip:1002@example.com>", 'To: "<sip:1002@example.com>'),
    ],
)
def test_a_bad_response_is_dropped(old: str, new: str) -> None:
    assert not check_response(answer(INVITE.replace(old, new)))
