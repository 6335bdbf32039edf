"""Via, addresses, CSeq and the smaller header values: read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip.headers import (
    STAR,
    CSeq,
    NameAddr,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
    Via,
    check_call_id,
    delta_seconds,
    parse_contacts,
)
from appliance.sip.uri import SipUri
from appliance.sip.values import TargetDialog

TOKENS = st.text(alphabet="abcXYZ019-.!%*_+`'~", min_size=1, max_size=10)
PARAMS = st.dictionaries(TOKENS.map(str.lower), st.none() | TOKENS, max_size=4)
TEXTS = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"))


def test_a_plain_via() -> None:
    via = Via.parse("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;rport")
    assert via == Via("UDP", "10.0.0.1", 5070, {"branch": "z9hG4bKa", "rport": None})
    assert (via.sent_by, via.branch, via.rport, via.received) == (
        *("10.0.0.1:5070", "z9hG4bKa", None, None),
    )


def test_a_via_that_a_server_has_completed() -> None:
    via = Via.parse("SIP/2.0/TLS [2001:db8::9];rport=40001;received=2001:db8::1;branch=x")
    assert (via.host, via.rport, via.received) == ("[2001:db8::9]", 40001, "2001:db8::1")


def test_a_via_with_blanks_everywhere() -> None:
    via = Via.parse("SIP / 2.0 / udp  first.example.com : 4000 ; ttl = 16 ; branch = z9hG4bKa")
    assert via == Via("UDP", "first.example.com", 4000, {"ttl": "16", "branch": "z9hG4bKa"})


@pytest.mark.parametrize(
    "text",
    [
        *("", "SIP/2.0/UDP", "SIP/2.0 a", "HTTP/1.1/TCP a", "SIP/2.0/UDP a;;b", "SIP/2.0/UDP a;"),
        *("SIP/2.0/UDP a:0x1", "SIP/2.0/UDP a:70000", "SIP/2.0/UDP a b", "SIP/2.0/UDP a;branch="),
        *("SIP/2.0/UDP ;branch=a", 'SIP/2.0/UDP a;b="'),
    ],
)
def test_a_bad_via_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        Via.parse(text)


@given(
    st.builds(
        Via,
        transport=st.sampled_from(["UDP", "TCP", "TLS", "SCTP"]),
        host=st.sampled_from(["a.example.com", "10.0.0.1", "[::1]"]),
        port=st.none() | st.integers(0, 65535),
        params=PARAMS,
    )
)
def test_reading_a_via_undoes_writing_it(via: Via) -> None:
    assert Via.parse(str(via)) == via


def test_addresses_in_all_their_forms() -> None:
    alice = SipUri("sip", "alice", "example.com")
    for text, display in [
        ("sip:alice@example.com;tag=1", ""),
        ("<sip:alice@example.com>;tag=1", ""),
        ("Alice<sip:alice@example.com>;tag=1", "Alice"),
        ("Alice  Doe\t<sip:alice@example.com> ; tag = 1", "Alice Doe"),
        ('"Alice \\"A\\" Doe" <sip:alice@example.com>;tag=1', 'Alice "A" Doe'),
        ('"<Alice>"<sip:alice@example.com>;tag=1', "<Alice>"),
        ("Alice (Sales) <sip:alice@example.com>;tag=1", "Alice (Sales)"),
        ("Ålice <sip:alice@example.com>;tag=1", "Ålice"),
    ]:
        assert NameAddr.parse(text) == NameAddr(display, alice, {"tag": "1"})


def test_parameters_without_brackets_belong_to_the_header() -> None:
    address = NameAddr.parse("sip:alice@example.com;transport=tcp")
    assert address.params == {"transport": "tcp"}
    assert NameAddr.parse("<sip:alice@example.com;transport=tcp>").params == {}


def test_addresses_of_other_schemes_stay_text() -> None:
    assert NameAddr.parse("<tel:+15551234;phone-context=x>").uri == "tel:+15551234;phone-context=x"
    assert NameAddr.parse("<urn:service:sos>;tag=1").tag == "1"


def test_what_a_phone_says_of_itself_in_its_contact() -> None:
    contact = NameAddr.parse('<sip:a@b>;+sip.instance="<urn:uuid:1-2>";reg-id=1;q=0.7;expires=3600')
    assert contact.param("+sip.instance") == "<urn:uuid:1-2>"
    assert (contact.q, contact.expires, contact.tag) == (0.7, 3600, None)


@pytest.mark.parametrize("text", ["", "2", "x", "0.1234", "-1", "1.1"])
def test_a_preference_nobody_can_read_is_the_highest(text: str) -> None:
    assert NameAddr("", "sip:a", {"q": text}).q == 1.0


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "<>",
            "<sip:a@b",
            "sip:a@b>",
            '"Alice <sip:a@b>',
            '"Alice" sip:a@b',
            "Bell, A <sip:a@b>",
        ),
        *("sip:a@b?c=d", "sip:a,b@c", "< sip:a@b >", "<sip:a@b>x", "<sip:a@b>;;", "<sip:a@b>;tag="),
        *("A:b <sip:a@b>", "*", "alice", "<sip:a@b><sip:c@d>"),
    ],
)
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        NameAddr.parse(text)


@given(TEXTS, PARAMS)
def test_reading_an_address_undoes_writing_it(display: str, params: dict[str, str | None]) -> None:
    address = NameAddr(display, SipUri("sip", "é,\r\n>", "example.com", 5070), params)
    assert NameAddr.parse(str(address)) == address


def test_a_star_stands_alone() -> None:
    assert parse_contacts(["*"]) == (STAR,)
    assert str(STAR) == "*"
    with pytest.raises(RemoteError, match="400"):
        parse_contacts(["*", "<sip:a@b>"])


def test_cseq() -> None:
    assert CSeq.parse("0009   INVITE") == CSeq(9, "INVITE")
    assert str(CSeq.parse("2147483647 x-y")) == "2147483647 x-y"


@pytest.mark.parametrize("text", ["", "1", "INVITE", "1 a b", "-1 A", "2147483648 A", "1 A,B", "1"])
def test_a_bad_cseq_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        CSeq.parse(text)


def test_call_ids() -> None:
    assert check_call_id("a84b4c76e66710@[::1]") == "a84b4c76e66710@[::1]"
    for text in ("a b", "a,b", "a;b", "é", ""):
        with pytest.raises(RemoteError, match="400"):
            check_call_id(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("0", 0), ("4294967296", 2**32 - 1), ("9" * 500, 2**32 - 1), ("0" * 500, 0)],
)
def test_expiries_end_somewhere(text: str, seconds: int) -> None:
    assert delta_seconds(text) == seconds


@pytest.mark.parametrize("text", [None, "", "x", "-1", "1.5", "²"])
def test_expiries_nobody_can_read_count_as_absent(text: str | None) -> None:
    assert delta_seconds(text) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RAck, "776656 1 INVITE"),
        (SessionExpires, "1800;refresher=uac"),
        (SessionExpires, "90"),
        (Replaces, "98732@example.com;to-tag=r33th4x0r;from-tag=ff87ff;early-only"),
        (TargetDialog, "98732@example.com;local-tag=kkaz;remote-tag=6544"),
        (Reason, 'SIP;cause=200;text="Call completed elsewhere"'),
        (Reason, "Q.850;cause=16"),
        (RetryAfter, "3600;duration=60"),
        (RetryAfter, "5"),
    ],
)
def test_smaller_values_are_written_as_they_were_read(kind: type[RAck], text: str) -> None:
    assert str(kind.parse(text)) == text


def test_a_comment_is_not_kept() -> None:
    assert RetryAfter.parse("18 (in a meeting; really)") == RetryAfter(18)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RAck, "1 2"),
        (RAck, "1 2147483648 INVITE"),
        (SessionExpires, "soon"),
        (SessionExpires, "90;refresher=me"),
        (Replaces, "a;to-tag=b"),
        (Replaces, ";to-tag=b;from-tag=c"),
        (TargetDialog, "a;local-tag=b"),
        (Reason, ""),
        (Reason, "SIP;cause=x"),
        (RetryAfter, "tomorrow"),
    ],
)
def test_smaller_values_that_are_bad_are_refused(kind: type[RAck], text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        kind.parse(text)
