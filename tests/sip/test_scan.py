"""The scanners: quotes, brackets, numbers, hosts and escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RemoteError
from appliance.sip import scan


def test_a_separator_inside_quotes_or_brackets_separates_nothing() -> None:
    assert scan.split_top('"a, b" <sip:c,d@e>;x="1,2", <sip:f>', ",") == [
        '"a, b" <sip:c,d@e>;x="1,2"',
        "<sip:f>",
    ]


def test_an_escaped_quote_ends_no_quoted_string() -> None:
    assert scan.split_top(r'"a\", b\\", c', ",") == [r'"a\", b\\"', "c"]


@pytest.mark.parametrize("text", ['"a', "<a", '"a\\"', '"<"<'])
def test_what_is_never_closed_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        scan.split_top(text, ",")


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "0x1", "²", "١", "1 2"])
def test_a_number_is_digits_alone(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        scan.number(text, "It", 100)


def test_a_number_has_a_limit_and_zeros_do_not_count() -> None:
    assert scan.number("0" * 5000 + "99", "It", 100) == 99
    with pytest.raises(RemoteError, match="It is too large"):
        scan.number("101", "It", 100)
    with pytest.raises(RemoteError, match="It is too large"):
        scan.number("9" * 15000, "It", 100)


def test_hosts_with_and_without_ports() -> None:
    assert scan.host_and_port("a.example.com") == ("a.example.com", None)
    assert scan.host_and_port("10.0.0.1:5060") == ("10.0.0.1", 5060)
    assert scan.host_and_port("[2001:db8::1]:5061") == ("[2001:db8::1]", 5061)
    assert scan.host_and_port("[::1] : 5061") == ("[::1]", 5061)


@pytest.mark.parametrize(
    "text", ["", ":5060", "a:", "a:65536", "a b", "[::1", "[x]", "[::1]5", "é"]
)
def test_bad_hosts_are_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        scan.host_and_port(text)


def test_parameters_keep_their_quotes_and_lose_their_blanks() -> None:
    assert scan.parameters(' ; A = 1;b;c="x;y"; d=[::1]') == {
        "a": "1",
        "b": None,
        "c": '"x;y"',
        "d": "[::1]",
    }


def test_of_two_parameters_with_one_name_the_first_counts() -> None:
    assert scan.parameters(";tag=1;TAG=2") == {"tag": "1"}


@pytest.mark.parametrize(
    "text", ["a", ";", ";;a", ";a=", ";=a", ';a="', ";a b", ";a=b c", ";a=<b>"]
)
def test_bad_parameters_are_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        scan.parameters(text)


def test_escapes_are_decoded_once() -> None:
    assert scan.unescape("a%2541%C3%A9") == "a%41é"


@pytest.mark.parametrize("text", ["%", "%4", "%zz", "%ff", "%c3("])
def test_bad_escapes_are_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="400"):
        scan.unescape(text)


def test_a_quoted_text_never_carries_a_line_break() -> None:
    assert scan.quote("a\r\nVia: b\x00") == '"a Via: b "'


@given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f")))
def test_unquote_undoes_quote(text: str) -> None:
    assert scan.unquote(scan.quote(text)) == text
    assert scan.is_quoted(scan.quote(text))


@given(st.text(alphabet='",;<>\\ab ', max_size=40))
def test_splitting_loses_nothing(text: str) -> None:
    try:
        pieces = scan.split_top(text, ",")
    except RemoteError:
        return
    assert ",".join(pieces).replace(" ", "") == text.replace(" ", "")
