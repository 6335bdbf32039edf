"""Messages: raw headers, what is read from them, changes, answers and what leaves us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import LocalError, RemoteError
from appliance.sip.framing import parse
from appliance.sip.headers import STAR, CSeq, NameAddr, Via
from appliance.sip.message import Message, Request, Response
from tests.sip.agent import message

PLAIN = """
    REGISTER sip:example.com SIP/2.0
    Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport
    Max-Forwards: 70
    From: "Bob" <sip:bob@example.com>;tag=f
    To: <sip:bob@example.com>
    Call-ID: c1@10.0.0.1
    CSeq: 7 REGISTER
    Contact: <sip:bob@10.0.0.1:5060;transport=udp>;expires=60
    Supported: path, outbound
    Supported: gruu
    User-Agent: Phone 1.0
    Expires: 3600
    Content-Length: 0
"""
UNUSUAL = """
    REGISTER sip:example.com SIP/2.0
    v: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport, SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKb
    MAX-FORWARDS: 70
    f: "Bob" <sip:bob@example.com>;tag=f
    t: <sip:bob@example.com>
    i: c1@10.0.0.1
    cseq: 7 REGISTER
    m: <sip:bob@10.0.0.1:5060;transport=udp>;expires=60
    k: path, outbound
    k: gruu
    user-agent: Phone 1.0
    expires: 3600
    l: 0
"""
BOTH = pytest.mark.parametrize("text", [PLAIN, UNUSUAL], ids=["plain", "unusual"])
INVITE = PLAIN.replace("REGISTER", "INVITE")


def request(text: str) -> Request:
    parsed = message(text)
    assert isinstance(parsed, Request)
    return parsed


def test_one_of_them_is_plain() -> None:
    assert request(PLAIN).plain is not None
    assert request(UNUSUAL).plain is None


@BOTH
def test_what_is_read(text: str) -> None:
    register = request(text)
    assert (register.method, register.uri) == ("REGISTER", "sip:example.com")
    assert register.via == Via("UDP", "10.0.0.1", 5060, {"branch": "z9hG4bKa", "rport": None})
    assert register.from_ == NameAddr.parse('"Bob" <sip:bob@example.com>;tag=f')
    assert register.to == NameAddr.parse("<sip:bob@example.com>")
    assert (register.call_id, register.cseq) == ("c1@10.0.0.1", CSeq(7, "REGISTER"))
    assert (register.max_forwards, register.expires) == (70, 3600)
    assert str(register.contacts[0].uri) == "sip:bob@10.0.0.1:5060;transport=udp"
    assert register.contacts[0].expires == 60
    assert register.supported == {"path", "outbound", "gruu"}
    assert (register.require, register.allow, register.routes) == (frozenset(), frozenset(), ())
    assert (register.content_type, register.authorization, register.body) == ("", None, b"")


@BOTH
def test_raw_text_by_name(text: str) -> None:
    register = request(text)
    assert register.first("User-Agent") == "Phone 1.0"
    assert register.first("Subject") is None
    assert register.all("Supported") == ["path, outbound", "gruu"]
    assert register.values("Supported") == ["path", "outbound", "gruu"]
    assert register.all("Subject") == register.values("Route") == []
    assert register.all("Call-ID") == ["c1@10.0.0.1"]
    assert register.repeats


@BOTH
def test_headers_keep_their_order(text: str) -> None:
    assert [name for name, _ in request(text).headers] == [
        *("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact"),
        *("Supported", "Supported", "User-Agent", "Expires", "Content-Length"),
    ]


@BOTH
def test_a_change_is_seen_wherever_the_header_is_read(text: str) -> None:
    register = request(text)
    assert register.expires == 3600 and register.supported
    register.set("Expires", "60")
    register.set("Supported", "timer")
    register.remove("User-Agent")
    register.add("Subject", "one")
    register.prepend("Subject", "zero")
    assert (register.expires, register.supported) == (60, frozenset(["timer"]))
    assert (register.first("User-Agent"), register.all("Subject")) == (None, ["zero", "one"])
    assert sorted(parse(register.encode()).headers) == sorted(register.headers)


@BOTH
def test_the_top_via_alone_is_replaced(text: str) -> None:
    register = request(text)
    _ = register.vias
    top, *rest = register.values("Via")
    line = ", ".join([f"{top};received=10.0.0.7", *rest])
    register.replace_via(line, register.via)
    assert register.vias[0].received == "10.0.0.7"
    assert len(register.vias) == 1 + len(rest)
    assert register.response(200).vias == register.vias
    assert parse(register.encode()).vias == register.vias


def test_a_new_message_is_read_like_one_from_the_wire() -> None:
    options = Request("OPTIONS", "sip:a@b", [("To", "<sip:a@b>;tag=1"), ("Expires", "5")])
    assert (options.to.tag, options.expires, options.repeats) == ("1", 5, False)
    assert repr(options) == "<Request OPTIONS sip:a@b>"


def test_of_repeated_lines_the_first_counts() -> None:
    options = Request("OPTIONS", "sip:a@b", [("To", "<sip:a@b>"), ("To", "<sip:c@d>")])
    assert str(options.to) == "<sip:a@b>"
    assert options.all("To") == ["<sip:a@b>", "<sip:c@d>"]


def test_setting_a_header_keeps_its_place_and_drops_its_double() -> None:
    options = Request("OPTIONS", "sip:a@b", [("To", "1"), ("From", "2"), ("To", "3")])
    options.set("To", "4")
    assert options.headers == [("To", "4"), ("From", "2")]


@pytest.mark.parametrize(
    ("attribute", "name"),
    [("via", "Via"), ("from_", "From"), ("to", "To"), ("cseq", "CSeq"), ("call_id", "Call-ID")],
)
def test_what_must_be_there_and_is_not(attribute: str, name: str) -> None:
    for headers in ([], [(name, "")]):
        with pytest.raises(RemoteError, match=f"400 {name} is missing"):
            getattr(Request("OPTIONS", "sip:a@b", headers), attribute)


def test_a_star_in_contact() -> None:
    assert Request("REGISTER", "sip:b", [("Contact", "*")]).contacts == (STAR,)


def test_contacts_of_several_lines_and_lists() -> None:
    headers = [("Contact", '"a, b" <sip:a@b>, sip:c@d;q=0.1'), ("Contact", "<sip:e@f>")]
    contacts = Request("REGISTER", "sip:b", headers).contacts
    assert [str(contact.uri) for contact in contacts] == ["sip:a@b", "sip:c@d", "sip:e@f"]


def test_routes() -> None:
    headers = [("Route", "<sip:a;lr>, <sip:b;lr>"), ("Record-Route", "<sip:c;lr>")]
    options = Request("OPTIONS", "sip:a@b", headers)
    assert [str(route) for route in options.routes] == ["<sip:a;lr>", "<sip:b;lr>"]
    assert [str(route) for route in options.record_routes] == ["<sip:c;lr>"]


def test_the_request_uri_of_other_schemes() -> None:
    assert Request("INVITE", "tel:911", []).target == "tel:911"
    with pytest.raises(RemoteError, match="416"):
        _ = Request("INVITE", "urn:service:sos", []).request_uri


@BOTH
def test_an_answer_copies_raw(text: str) -> None:
    register = request(text)
    answer = parse(register.response(404, headers=[("Server", "x")]).encode())
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason) == (404, "Not Found")
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        assert answer.all(name) == register.all(name)
    assert answer.first("Server") == "x"
    assert [name for name, _ in answer.headers if name in ("Supported", "Contact")] == []


@BOTH
def test_an_answer_is_written_with_its_body(text: str) -> None:
    answer = request(text).response(200, "Fine", body=b"\r\n\r\nv=0")
    assert answer.encode().startswith(b"SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;")
    assert answer.encode().endswith(b"Content-Length: 7\r\n\r\n\r\n\r\nv=0")
    assert repr(answer) == "<Response 200 Fine>"


@BOTH
def test_an_answer_can_be_changed_before_it_is_sent(text: str) -> None:
    answer = request(text).response(302, to_tag="t", headers=[("Contact", "<sip:a@b>")])
    assert (answer.to.tag, answer.contacts[0].uri) == ("t", NameAddr.parse("<sip:a@b>").uri)
    answer.set("Contact", "<sip:c@d>")
    answer.add("Retry-After", "5")
    answer.status, answer.reason = 301, "Moved"
    assert answer.encode().startswith(b"SIP/2.0 301 Moved\r\n")
    assert parse(answer.encode()).all("Contact") == ["<sip:c@d>"]


@BOTH
def test_to_gets_a_tag_once(text: str) -> None:
    register = request(text)
    assert register.response(200).to.tag is None
    assert register.response(200, to_tag="t").to.tag == "t"
    register.set("To", "<sip:bob@example.com>;tag=old")
    assert register.response(200, to_tag="t").first("To") == "<sip:bob@example.com>;tag=old"
    tagged = request(text.replace("<sip:bob@example.com>\n", "<sip:bob@example.com>;tag=old\n"))
    assert tagged.response(200, to_tag="t").to.tag == "old"


def test_a_malformed_to_is_copied_as_it_is() -> None:
    options = Request("OPTIONS", "sip:a@b", [("To", '"<sip:a@b>')])
    assert options.response(400, to_tag="t").first("To") == '"<sip:a@b>'


def test_only_what_makes_a_dialog_copies_the_route() -> None:
    invite = request(INVITE)
    invite.add("Record-Route", "<sip:p;lr>")
    assert invite.response(100).first("Record-Route") is None
    assert invite.response(180).first("Record-Route") == "<sip:p;lr>"
    assert invite.response(200).first("Record-Route") == "<sip:p;lr>"
    assert invite.response(486).first("Record-Route") is None
    record_route = "Record-Route: <sip:p;lr>\n    Record-Route: <sip:q;lr>\n    Call-ID"
    routed = request(INVITE.replace("Call-ID", record_route))
    assert routed.response(200).all("Record-Route") == ["<sip:p;lr>", "<sip:q;lr>"]


def test_content_length_is_ours_whatever_was_set() -> None:
    options = Request("OPTIONS", "sip:a@b", [("Content-Length", "99")], b"1234")
    assert options.encode() == b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\n1234"


INJECTIONS = pytest.mark.parametrize("text", ["a\r\nVia: b", "a\nb", "a\rb", "\r\n"])


@INJECTIONS
def test_a_line_break_is_never_set(text: str) -> None:
    options = Request("OPTIONS", "sip:a@b", [])
    for change in (options.set, options.add, options.prepend):
        for name, value in ((text, "x"), ("Subject", text)):
            with pytest.raises(LocalError):
                change(name, value)
    assert options.headers == []


@INJECTIONS
def test_a_line_break_never_leaves_us(text: str) -> None:
    unsafe: list[Message] = [
        Request("OPTIONS", "sip:a@b", [("Subject", text)]),
        Request("OPTIONS", "sip:a@b", [(text, "x")]),
        Request("OPTIONS", text, []),
        Request(text, "sip:a@b", []),
        Response(200, text, []),
        request(PLAIN).response(200, text),
        request(UNUSUAL).response(200, text),
        request(UNUSUAL).response(200, headers=[("Subject", text)]),
        request(UNUSUAL).response(200, to_tag=text),
    ]
    for each in unsafe:
        assert isinstance(each, Request | Response)
        with pytest.raises(LocalError):
            each.encode()


@INJECTIONS
def test_a_line_break_never_enters_a_plain_answer(text: str) -> None:
    register = request(PLAIN)
    with pytest.raises(LocalError):
        register.response(200, headers=[("Subject", text)])
    with pytest.raises(LocalError):
        register.response(200, headers=[(text, "x")])
    with pytest.raises(LocalError):
        register.response(200, to_tag=text)


@given(st.text(max_size=30))
def test_a_name_from_the_wire_injects_nothing(display: str) -> None:
    uri = NameAddr.parse("<sip:a@b>").uri
    options = Request("OPTIONS", "sip:a@b", [("To", str(NameAddr(display, uri)))])
    assert options.encode().count(b"\r\n") == 4
    assert len(parse(options.encode()).headers) == 2
