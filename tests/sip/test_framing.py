"""From octets to messages: datagrams, streams, limits and lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.sip.framing import (
    MAX_BODY,
    MAX_HEAD,
    MAX_VIAS,
    BadMessage,
    StreamFramer,
    parse,
)
from appliance.sip.message import Request, Response
from appliance.sip.plain import MAX_HEADERS

VIA = "Via: SIP/2.0/TCP a;branch=z9hG4bKa"


def options(*lines: str, body: bytes = b"", start: str = "OPTIONS sip:a@b SIP/2.0") -> bytes:
    return "\r\n".join([start, VIA, *lines, "", ""]).encode() + body


def refused(data: bytes) -> BadMessage:
    with pytest.raises(BadMessage) as caught:
        parse(data)
    return caught.value


def test_the_body_is_as_long_as_content_length_says() -> None:
    assert parse(options("Content-Length: 3", body=b"abcdef")).body == b"abc"
    assert parse(options("l : 3", body=b"abc")).body == b"abc"


def test_without_content_length_the_body_is_the_rest() -> None:
    assert parse(options(body=b"abc\r\n\r\nd")).body == b"abc\r\n\r\nd"


def test_a_datagram_may_end_with_its_headers() -> None:
    assert parse(b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n").all("Via") == ["x"]
    assert parse(b"OPTIONS sip:a@b SIP/2.0\r\nVia: x").all("Via") == ["x"]


def test_line_breaks_before_a_message_are_ignored() -> None:
    assert isinstance(parse(b"\r\n\r\n" + options()), Request)


def test_headers_in_any_spelling_have_one_name() -> None:
    message = parse(options("MAX-FORWARDS : 5", "cAlL-iD:\tx ", "w-w: y", "X-Y-z: 1"))
    assert message.headers[1:] == [
        *(("Max-Forwards", "5"), ("Call-ID", "x"), ("W-W", "y"), ("X-Y-Z", "1")),
    ]


def test_a_folded_header_is_one() -> None:
    message = parse(options("Subject: a", "  b", "\tc:d", "To:", " <sip:a@b>"))
    assert message.first("Subject") == "a b c:d"
    assert message.first("To") == "<sip:a@b>"


def test_latin_1_is_read_where_utf_8_is_not() -> None:
    message = parse(options("Subject: Müller").decode().encode("latin-1"))
    assert message.first("Subject") == "Müller"


@pytest.mark.parametrize(
    "start",
    [
        *("", "OPTIONS", "OPTIONS sip:a@b", "OPTIONS  sip:a@b SIP/2.0", "OPTIONS sip:a@b SIP/2.0 "),
        *("OPTIONS sip:a b SIP/2.0", "OPTIONS <sip:a@b> SIP/2.0", "OP(IONS sip:a@b SIP/2.0"),
        *("GET / HTTP/1.1", " OPTIONS sip:a@b SIP/2.0", "OPTIONS sip:a@b SIP/", "a b SIP/²"),
    ],
)
def test_a_bad_request_line_is_refused(start: str) -> None:
    assert refused(options(start=start)).status == 400


@pytest.mark.parametrize(
    "start",
    ["SIP/2.0 99 Low", "SIP/2.0 700 High", "SIP/2.0 2x0 No", "SIP/2.0 1²3 No", "SIP/3.0 200 OK"],
)
def test_a_bad_status_line_gets_no_answer(start: str) -> None:
    assert refused(options(start=start)).request is None


@pytest.mark.parametrize("start", ["SIP/2.0 200 ", "SIP/2.0 200", "sip/2.0 200 ", "SIP/2.0 0200 "])
def test_a_status_line_without_reason(start: str) -> None:
    response = parse(options(start=start))
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (200, "")


def test_a_version_in_small_letters_is_the_same() -> None:
    assert isinstance(parse(options(start="OPTIONS sip:a@b sip/2.0")), Request)


def test_another_version() -> None:
    assert refused(options(start="OPTIONS sip:a@b SIP/3.0")).status == 505


@pytest.mark.parametrize(
    "line",
    ["nonsense", "a b: c", ": x", "é: x", "a\x00: b", "Subject: a\nVia: b", "Subject: a\rb"],
)
def test_a_bad_header_line_is_refused(line: str) -> None:
    assert refused(options(line)).status == 400


@pytest.mark.parametrize(
    "line", ["Content-Length: -1", "l: +1", "Content-Length: 1 2", "Content-Length:", "l: ²"]
)
def test_a_content_length_that_is_no_number_is_refused(line: str) -> None:
    assert refused(options(line, body=b"x")).status == 400


def test_two_lengths_are_a_lie_even_if_they_agree() -> None:
    assert refused(options("Content-Length: 1", "l: 1", body=b"x")).status == 400


def test_a_length_beyond_the_datagram_is_a_lie() -> None:
    assert refused(options("Content-Length: 2", body=b"x")).status == 400


def test_what_is_refused_can_be_answered() -> None:
    lines = ("F: <sip:a@b>", "t: x", "Call-ID: c", "CSeq: 1 A", "Foo: x", "Content-Length: -1")
    salvaged = refused(options(*lines)).request
    assert salvaged is not None
    assert [name for name, _ in salvaged.headers] == ["Via", "From", "To", "Call-ID", "CSeq"]
    assert (
        salvaged.response(400, to_tag="t").encode().startswith(b"SIP/2.0 400 Bad Request\r\nVia:")
    )


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"\x00" * 4, b"\r\n\r\n", b"x", b"A b SIP/2.0\r\nTo x\r\n\r\n"]
)
def test_what_has_no_via_gets_no_answer(data: bytes) -> None:
    assert refused(data).request is None


def test_limits_of_a_head() -> None:
    assert parse(options(*["Subject: x"] * (MAX_HEADERS - 1)))
    assert refused(options(*["Subject: x"] * MAX_HEADERS)).status == 400
    assert refused(options("Subject: " + "x" * MAX_HEAD)).status == 513
    assert parse(options(*[VIA] * (MAX_VIAS - 1)))
    assert refused(options(*[VIA] * MAX_VIAS)).status == 400


def test_limit_of_a_body() -> None:
    assert len(parse(options(body=b"x" * MAX_BODY)).body) == MAX_BODY
    assert refused(options(body=b"x" * (MAX_BODY + 1))).status == 413
    assert refused(options(f"Content-Length: {MAX_BODY + 1}")).status == 413


MESSAGES = [
    options("Content-Length: 4", body=b"\r\n\r\n"),
    options("l:0"),
    options("CONTENT-LENGTH\t: 005", body=b"hello"),
    options("Content-Length:", "  3", body=b"abc"),
    options("Subject: Content-Length: 9"),
]


@given(st.lists(st.integers(1, 40), min_size=1))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream, framer, found = b"\r\n".join(MESSAGES), StreamFramer(), []
    for cut in cuts * (len(stream) // sum(cuts) + 1):
        found += framer.feed(stream[:cut])
        stream = stream[cut:]
    assert found + framer.feed(stream) == MESSAGES
    assert not framer.pending and not framer.broken and framer.take_pings() == 0


def test_a_whole_message_is_not_pending_and_half_a_one_is() -> None:
    framer = StreamFramer()
    assert framer.feed(MESSAGES[0][:-1]) == [] and framer.pending
    assert framer.feed(MESSAGES[0][-1:]) == [MESSAGES[0]] and not framer.pending


def test_double_line_breaks_between_messages_are_pings() -> None:
    framer = StreamFramer()
    for data in (b"\r\n", b"\r", b"\n\r\n\r", b"\n"):
        assert framer.feed(data) == []
    assert (framer.take_pings(), framer.take_pings(), framer.pending) == (2, 0, False)
    framer.feed(MESSAGES[1] + b"\r\n\r\n" + MESSAGES[1] + b"\r\n")
    assert framer.take_pings() == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -1",),
        ("Content-Length: 1", "Content-Length: 1"),
        ("l: 0", "Content-Length: 5"),
        ("Content-Length: 99999999999999999999999",),
        (f"Content-Length: {MAX_BODY + 1}",),
        ("Content-Length: x",),
        ("Content-Length:",),
        ("Subject: " + "x" * MAX_HEAD,),
    ],
)
def test_a_stream_that_lies_is_broken_and_can_be_answered(lines: tuple[str, ...]) -> None:
    framer = StreamFramer()
    messages = framer.feed(MESSAGES[0] + options(*lines) + MESSAGES[1])
    assert len(messages) == 2 and framer.broken and not framer.pending
    error = refused(messages[1])
    assert error.status in (400, 413, 513) and error.request is not None
    assert framer.feed(MESSAGES[0]) == [] and not framer.pending


@pytest.mark.parametrize(
    "lines",
    [
        ("l: 5",),
        ("L : 0",),
        ("CONTENT-length: 0",),
        ("Subject: folded", " l: 5", "content-length : 7"),
    ],
)
def test_a_second_length_before_the_last_line_is_a_lie_in_one_read_too(
    lines: tuple[str, ...],
) -> None:
    framer = StreamFramer()
    assert len(framer.feed(options(*lines, "Content-Length: 0"))) == 1
    assert framer.broken


def test_a_folded_line_before_the_length_is_no_lie() -> None:
    framer = StreamFramer()
    whole = options("Subject: folded", " Content-Length: 5", "Content-Length: 0")
    assert framer.feed(whole) == [whole] and not framer.broken


def test_a_head_without_end_breaks_the_stream() -> None:
    framer, messages = StreamFramer(), []
    for _ in range(MAX_HEAD // 1000 + 1):
        messages += framer.feed(options()[:-4] + b"x" * 996)
    assert framer.broken and len(messages) == 1
    assert refused(messages[0]).request is not None


def test_garbage_gets_no_answer() -> None:
    framer = StreamFramer()
    [message] = framer.feed(b"\x16\x03\x01" * 10_000)
    assert framer.broken and refused(message).request is None
