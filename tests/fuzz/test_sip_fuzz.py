"""Hostile octets into the SIP readers: they refuse or take it, quickly, and never stumble."""

from __future__ import annotations

import time

from appliance.errors import RemoteError
from appliance.sip.framing import MAX_HEAD, BadMessage, StreamFramer, parse
from appliance.sip.message import Message, Request, Response
from appliance.sip.validate import check_request, check_response
from tests.fuzz.mutation import hostile
from tests.torture.verdicts import MESSAGES

REGISTER = (
    b"REGISTER sip:example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Bob" <sip:bob@example.com>;tag=f\r\n'
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: c1@10.0.0.1\r\n"
    b"CSeq: 7 REGISTER\r\n"
    b'Contact: <sip:bob@10.0.0.1;ob>;+sip.instance="<urn:uuid:1>";expires=60\r\n'
    b'Authorization: Digest username="bob", realm="example.com", nonce="n", qop=auth,'
    b' uri="sip:example.com", response="r", algorithm=MD5, nc=00000001, cnonce="c"\r\n'
    b"Content-Length: 0\r\n\r\n"
)
REFER = (
    b"REFER sip:a@[2001:db8::1]:5060 SIP/2.0\r\n"
    b"v: SIP/2.0/TLS [2001:db8::2];branch=z9hG4bKb;received=2001:db8::3;rport=1\r\n"
    b"f: Bob (Sales) <sip:bob@example.com>;tag=f\r\nt: <sip:a@b>;tag=t\r\ni: c\r\n"
    b"CSeq: 8 REFER\r\nm: <sip:bob@10.0.0.1>\r\nRecord-Route: <sip:p;lr>, <sip:q;lr>\r\n"
    b"r: <sip:c@d?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nRequire: timer\r\n\r\n"
)
CORPUS = [REGISTER, REFER, *(message.data for message in MESSAGES)]
ATTRIBUTES = (
    *("headers", "via", "vias", "from_", "to", "call_id", "cseq", "contacts", "max_forwards"),
    *("expires", "content_type", "authorization", "require", "supported", "allow", "routes"),
    *("record_routes", "target", "request_uri"),
)


def read(message: Message, attribute: str) -> None:
    try:
        str(getattr(message, attribute, None))
    except RemoteError as error:
        assert 400 <= error.status < 700


def answer(request: Request) -> None:
    """Build an answer whatever was asked, and read it back."""
    data = request.response(400, to_tag="t", headers=[("Server", "x")]).encode()
    assert len(data) > MAX_HEAD or isinstance(parse(data), Response)


def work(data: bytes) -> None:
    try:
        message = parse(data)
    except BadMessage as error:
        assert 400 <= error.status < 700
        if error.request is not None:
            answer(error.request)
        return
    for attribute in ATTRIBUTES:
        read(message, attribute)
    if isinstance(message, Response):
        assert check_response(message) in (True, False)
        return
    answer(message)
    message.encode()
    try:
        check_request(message)
    except RemoteError as error:
        assert 400 <= error.status < 700


def test_hostile_datagrams() -> None:
    for number, data in hostile(4475, CORPUS):
        start = time.thread_time()
        try:
            work(data)
        except Exception as error:
            raise AssertionError(f"message {number}: {data!r}") from error
        assert time.thread_time() - start < 0.02, f"message {number} took too long: {data!r}"


def test_hostile_streams() -> None:
    for number, data in hostile(3261, [b"".join(CORPUS[:2]), *CORPUS]):
        framer = StreamFramer()
        for at in range(0, len(data), 700):
            for message in framer.feed(data[at : at + 700]):
                work(message)
        assert not (framer.broken and framer.pending), f"stream {number}: {data!r}"
