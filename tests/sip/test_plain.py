"""The fast way takes only what the strict way reads the same."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip.framing import parse
from appliance.sip.headers import NameAddr
from appliance.sip.message import Message, Request, Response
from appliance.sip.validate import check_request, check_response

ATTRIBUTES = (
    *("headers", "index", "repeats", "via", "vias", "from_", "to", "call_id", "cseq", "contacts"),
    *("max_forwards", "expires", "content_type", "authorization", "supported", "body"),
)
LINES = [
    'From: "Bob" <sip:bob@Example.com;user=phone>;tag=f',
    "To: <sips:1002@10.0.0.1:5061>",
    "Call-ID: c1@10.0.0.1",
    "CSeq: 7 REGISTER",
    "Via: SIP/2.0/UDP 10.0.0.1:64999;rport;branch=z9hG4bKa",
    'Contact: "B" <sip:bob@10.0.0.1;ob>;reg-id=1;+sip.instance="<urn:uuid:0-1>";q=0.5',
    "Max-Forwards: 70",
    "Expires: 60",
    "User-Agent: Phone: 1, <a> \u00e9",
    "Content-Type: application/sdp",
    "Supported: path, outbound",
    "Supported: gruu",
    "X-RTP-Stat: 1",
    "Mac: 00:15:65:00:00:01",
    "Record-Route: <sip:p;lr>",
    "Require: path",
    "Content-Length: 3",
    'Authorization: Digest username="a", realm="b", nonce="c", uri="sip:d", response="e", nc=01',
    "Session-Expires: 1800",
]
FORMS = [
    "Via: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKa;received=2001:db8::2;rport=1;alias",
    "From: Bob <sip:[2001:db8::1]:5061>;tag=f",
    "To: <sip:a>",
    "Contact: B <sips:bob@10.0.0.1>",
    "User-Agent:  ",
    "Authorization:  Digest ",
]
"""Other forms some of these lines come in."""
STARTS = ("REGISTER sip:example.com;lr SIP/2.0", "SIP/2.0 200 Good: \u00e9")


def write(start: str, lines: list[str]) -> bytes:
    return "\r\n".join([start, *lines, "", ""]).encode() + b"abc"


def strictly(data: bytes) -> Request | Response:
    """Read a message with one name in its compact form: that alone makes it unusual."""
    return parse(data.replace(b"\r\nCall-ID: ", b"\r\ni: ", 1))


def seen(message: Message, attribute: str) -> object:
    try:
        return getattr(message, attribute)
    except RemoteError as error:
        return str(error)


def listed(message: Message, name: str) -> object:
    try:
        return message.values(name)
    except RemoteError as error:
        return str(error)


def verdict(message: Request | Response) -> str:
    if isinstance(message, Response):
        return str(check_response(message))
    try:
        check_request(message)
    except RemoteError as error:
        return str(error)
    return "good"


def same(data: bytes) -> bool:
    """Compare both ways; False where the message is not plain."""
    try:
        quick = parse(data)
    except RemoteError:
        return False
    if quick.plain is None:
        return False
    strict = strictly(data)
    assert strict.plain is None
    assert verdict(quick) == verdict(strict)
    for attribute in ATTRIBUTES:
        assert seen(parse(data), attribute) == seen(strict, attribute), attribute
    for name in (
        "User-Agent",
        "Session-Expires",
        "X-Rtp-Stat",
        "Mac",
        "Subject",
        "Require",
        "Via",
        "Supported",
    ):
        assert parse(data).first(name) == strict.first(name)
        assert listed(parse(data), name) == listed(strict, name)
    if isinstance(quick, Request) and isinstance(strict, Request):
        assert seen(quick, "target") == seen(strict, "target")
        answers = [parse(each.response(200, to_tag="t").encode()) for each in (quick, strict)]
        assert sorted(answers[0].headers) == sorted(answers[1].headers)
    return True


@pytest.mark.parametrize("start", STARTS)
def test_plain_messages_are_plain(start: str) -> None:
    assert same(write(start, LINES))
    assert same(write(start, LINES[:5]))


@pytest.mark.parametrize("form", FORMS)
def test_other_forms_are_plain(form: str) -> None:
    name = form.partition(":")[0] + ":"
    assert same(write(STARTS[0], [form if line.startswith(name) else line for line in LINES]))


@pytest.mark.parametrize(
    "line",
    [
        *("From: <sip:a@b>", "to: <sip:a@b>", "Via: SIP/2.0/UDP b", "k: x", "Expires: 1"),
        *(
            "Subject : a",
            "Subject: a\r\n b",
            "record-route: <sip:a>",
            "Subject: a\x7f",
            "SUBJECT: a",
        ),
    ],
)
def test_one_unusual_line_makes_a_message_unusual(line: str) -> None:
    assert not same(write(STARTS[0], [*LINES, line]))


@given(st.permutations(LINES), st.integers(5, len(LINES)), st.sampled_from(STARTS))
def test_any_order_is_plain(lines: list[str], keep: int, start: str) -> None:
    needed = sorted(lines, key=lambda line: line not in LINES[:5])[:keep]
    assert same(write(start, [line for line in lines if line in needed]))


MARKS = ' ;:,<>"\\@=%?[]()/.+-*#a0Z\t\u00e9\u2028'


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_agree_on_whatever_is_taken_for_plain(seed: int) -> None:
    dice, plain = random.Random(seed), 0
    for _ in range(500):
        forms = {form.partition(":")[0]: form for form in FORMS if dice.random() < 0.3}
        lines = [forms.get(line.partition(":")[0], line) for line in LINES]
        text = list("\r\n".join([dice.choice(STARTS), *lines, "", ""]))
        for _ in range(dice.choice((1, 1, 2, 3))):
            at = dice.randrange(len(text))
            text[at : at + dice.randrange(2)] = dice.choice(MARKS)
        plain += same("".join(text).encode() + b"abc")
    assert plain > 20


def test_a_new_top_via_is_in_the_answer_of_a_plain_request() -> None:
    register = parse(write(STARTS[0], LINES))
    assert isinstance(register, Request)
    register.replace_via(f"{register.first('Via')};received=10.0.0.7", register.via)
    assert register.plain is not None
    assert register.response(200).via.received == "10.0.0.7"
    assert register.headers[4][1].endswith(";received=10.0.0.7")


def test_what_a_plain_message_says_of_itself_can_be_changed() -> None:
    register = parse(write(STARTS[0], LINES))
    register.set("To", "<sip:x@y>")
    assert register.plain is None
    assert register.to == NameAddr.parse("<sip:x@y>")
