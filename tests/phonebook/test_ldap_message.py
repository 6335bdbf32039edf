"""What the door understands of LDAP: the messages of phones, octet for octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.phonebook.ber import MESSAGE_LIMIT, element, elements
from appliance.phonebook.ldap_message import (
    BIND,
    EXTENDED,
    SEARCH,
    SORT,
    START_TLS,
    Malformed,
    answer,
    bind_result,
    parse,
    whole,
)


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    long = [0x81, size] if size < 256 else [0x82, size >> 8, size & 255]
    return bytes([tag, *([size] if size < 128 else long)]) + content


def search(*controls: bytes) -> bytes:
    more = tlv(0xA0, *controls) if controls else b""
    return tlv(0x30, b"\x02\x01\x05", tlv(SEARCH, b"\x04\x00" + b"x" * 200), more)


def sort(*keys: bytes, critical: bool = False) -> bytes:
    value = tlv(0x04, tlv(0x30, *keys))
    return tlv(0x30, tlv(0x04, SORT), b"\x01\x01\xff" if critical else b"", value)


CN = tlv(0x04, b"cn")
RULE = tlv(0x80, b"2.5.13.3")
REVERSE = b"\x81\x01\xff"


def test_a_search_is_passed_on_as_it_is() -> None:
    request = parse(search())
    assert (request.id, request.kind, request.data) == (5, SEARCH, search())
    other = tlv(0x30, tlv(0x04, b"1.2.3"), tlv(0x04, b"x"))
    assert parse(search(other)).data == search(other)


@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize("rest", [b"", REVERSE])
def test_a_sort_key_without_a_rule_gets_one(critical: bool, rest: bytes) -> None:
    sn = tlv(0x30, tlv(0x04, b"sn"), RULE)
    other = tlv(0x30, tlv(0x04, b"1.2.3"))
    asked = search(other, sort(tlv(0x30, CN, rest), sn, critical=critical))
    expected = search(other, sort(tlv(0x30, CN, RULE, rest), sn, critical=critical))
    assert parse(asked).data == expected


def test_a_simple_bind_is_told_from_others() -> None:
    def bind(choice: bytes) -> bytes:
        return tlv(0x30, b"\x02\x01\x01", tlv(BIND, b"\x02\x01\x03", tlv(0x04, b"cn=x"), choice))

    assert parse(bind(tlv(0x80, b"secret"))).simple
    assert parse(bind(tlv(0x80, b"secret"))).name == b"cn=x"
    assert parse(bind(tlv(0x80))).simple
    assert not parse(bind(tlv(0xA3, tlv(0x04, b"EXTERNAL")))).simple
    assert not parse(tlv(0x30, b"\x02\x01\x01", tlv(BIND))).simple


def test_the_result_of_a_bind_is_read() -> None:
    assert bind_result(answer(3, 0x61, 49, "wrong")) == 49
    assert bind_result(answer(3, 0x65, 0, "")) is None


def test_start_tls_is_known_by_its_name() -> None:
    request = parse(tlv(0x30, b"\x02\x01\x02", tlv(EXTENDED, tlv(0x80, START_TLS))))
    assert (request.kind, request.name) == (EXTENDED, START_TLS)


def test_an_answer_is_a_message_of_its_own() -> None:
    assert answer(1, 0x78, 0, "", START_TLS) == tlv(
        0x30, b"\x02\x01\x01", tlv(0x78, b"\x0a\x01\x00\x04\x00\x04\x00", tlv(0x8A, START_TLS))
    )
    assert answer(200, 0x61, 7, "no")[2:6] == b"\x02\x02\x00\xc8"
    assert whole(answer(0, 0x78, 52, "x" * 300)) == len(answer(0, 0x78, 52, "x" * 300))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x30\x80",
        b"\x30\x85\x00\x00\x00\x00\x01",
        b"\x30\x84\x7f\xff\xff\xff",
        tlv(0x30)[:1] + b"\x83" + (MESSAGE_LIMIT + 1).to_bytes(3, "big"),
    ],
)
def test_what_is_no_ldap_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Malformed):
        whole(data)


def test_a_message_is_waited_for() -> None:
    message = search()
    assert [whole(message[:size]) for size in range(len(message))] == [None] * len(message)
    assert whole(message + b"\x30") == len(message)


@pytest.mark.parametrize(
    "data",
    [
        tlv(0x30),
        tlv(0x30, b"\x02\x01\x05"),
        tlv(0x30, b"\x04\x01\x05", tlv(SEARCH)),
        tlv(0x30, b"\x02\x01\x00", tlv(SEARCH)),
        tlv(0x30, b"\x02\x01\xff", tlv(SEARCH)),
        tlv(0x30, b"\x02\x05\x01\x00\x00\x00\x00", tlv(SEARCH)),
        tlv(0x30, b"\x02\x01\x05", b"\x63\x05ab"),
        search(tlv(0x30, tlv(0x04, SORT), tlv(0x04, b"\x30\x50"))),
        search(b"\x30\x00"),
    ],
)
def test_a_broken_message_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


@given(st.binary(max_size=200))
def test_no_octets_break_it(data: bytes) -> None:
    for made in (data, tlv(0x30, data), tlv(0x30, b"\x02\x01\x05", tlv(SEARCH), tlv(0xA0, data))):
        try:
            size = whole(made)
            if size is not None:
                parse(made[:size])
        except Malformed:
            pass


@given(st.binary(max_size=60), st.integers(0, 59), st.integers(0, 255))
def test_a_changed_sort_control_stays_one_message(data: bytes, at: int, octet: int) -> None:
    made = bytearray(search(sort(tlv(0x30, CN)) + data))
    made[-1 - at % len(made)] = octet
    try:
        passed = parse(bytes(made)).data
    except Malformed:
        return
    outer = element(passed, 0, len(passed))
    assert outer.end == len(passed)
    assert len(list(elements(passed, outer.content, outer.end))) >= 2
