"""SIP and SIPS addresses: read, written, compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip.uri import SipUri, parse_uri, scheme_of


def test_all_parts_of_an_address() -> None:
    uri = SipUri.parse("sips:alice:secret@Example.COM:5061;transport=tcp;lr?Subject=hi%20there&a=b")
    assert uri == SipUri(
        "sips",
        "alice",
        "example.com",
        5061,
        "secret",
        {"transport": "tcp", "lr": None},
        (("Subject", "hi there"), ("a", "b")),
    )


def test_an_ipv6_address_keeps_its_brackets() -> None:
    uri = SipUri.parse("sip:1001@[2001:db8::1]:5060")
    assert (uri.host, uri.port, uri.address) == ("[2001:db8::1]", 5060, "[2001:db8::1]:5060")


def test_refer_to_carries_replaces_as_an_escaped_header() -> None:
    text = "sip:bob@example.com?Replaces=abc%40host%3Bto-tag%3D1%3Bfrom-tag%3D2"
    uri = SipUri.parse(text)
    assert uri.headers == (("Replaces", "abc@host;to-tag=1;from-tag=2"),)
    assert SipUri.parse(str(uri)) == uri


def test_a_scheme_in_capitals_is_the_same() -> None:
    assert SipUri.parse("SIP:a@b") == SipUri.parse("sip:a@b")
    assert scheme_of("TEL:+1") == "tel"


@pytest.mark.parametrize("text", ["tel:+15551234", "urn:service:sos", "http://a/b?c", "isbn:123"])
def test_other_schemes_stay_text(text: str) -> None:
    assert parse_uri(text) == text
    with pytest.raises(RemoteError, match="416"):
        SipUri.parse(text)


def test_feature_codes_as_phones_dial_them() -> None:
    uri = SipUri.parse("sip:*21#1002#@example.com")
    assert uri.user == "*21#1002#"
    assert str(uri) == "sip:*21%231002%23@example.com"


@pytest.mark.parametrize(
    "text",
    [
        *("", "sip:", "sip:@b", "sip:a@", "sip:a b@c", "sip:a@b c", "sip:<a@b>", "alice", ":a"),
        *("sip:a@b:99999", "sip:a@b:x", "sip:a@b;", "sip:a@b;;c", "sip:a@b;=c", "sip:a@b;c="),
        *("sip:a@b?", "sip:a@b?c", "sip:a@b?=d", "sip:a%@b", "sip:a%ff@b", "sip:a@@b", "sip:é@b"),
        *("tel:", 'tel:"', "tel:1 2", "sip:a@b\r\n", "sip:a@[::1", "sip:a@b;c=%zz"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        parse_uri(text)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_addresses_rfc_3261_calls_equal(one: str, two: str) -> None:
    assert SipUri.parse(one) == SipUri.parse(two)
    assert hash(SipUri.parse(one)) == hash(SipUri.parse(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("SIP:ALICE@AtLanTa.CoM", "sip:alice@AtLanTa.CoM"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com:6000;transport=tcp", "sip:bob@biloxi.com"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob:a@biloxi.com", "sip:bob:b@biloxi.com"),
        ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
    ],
)
def test_addresses_rfc_3261_calls_different(one: str, two: str) -> None:
    assert SipUri.parse(one) != SipUri.parse(two)


def test_an_address_is_no_text() -> None:
    assert SipUri.parse("sip:a@b") != "sip:a@b"


def test_the_address_of_record_is_bare() -> None:
    assert SipUri.parse("sip:a:b@c:5070;transport=tcp?d=e").aor == "sip:a@c:5070"


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
hosts = st.sampled_from(["example.com", "10.0.0.1", "[2001:db8::1]", "a-b.c_d"])
uris = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=st.none() | names,
    host=hosts,
    port=st.none() | st.integers(0, 65535),
    params=st.dictionaries(names.map(str.lower), st.none() | names, max_size=3),
    headers=st.lists(st.tuples(names, names), max_size=3).map(tuple),
)


def has_stable_case(uri: SipUri) -> bool:
    return all(name == name.lower() for name in uri.params)


@given(uris.filter(has_stable_case))
def test_reading_undoes_writing(uri: SipUri) -> None:
    read = SipUri.parse(str(uri))
    assert read == uri
    assert (read.params, read.headers, read.user) == (uri.params, uri.headers, uri.user)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for start in ("", "sip:", "sip:a@b;", "sip:a@b?", "tel:"):
        try:
            uri = parse_uri(start + text)
        except RemoteError as error:
            assert error.status == 400
        else:
            assert "\n" not in str(uri) and "\r" not in str(uri)
