"""Scanners that read SIP's small grammar (RFC 3261, section 25) in linear time.

No pattern here nests one repetition in another, and neighbouring repetitions never share a
character, so the worst input costs what the best of the same length costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from appliance.errors import RemoteError

NO_PARAMS: Mapping[str, str | None] = MappingProxyType({})
"""Shared by every value without parameters."""

LONGEST_NUMBER = 20
"""Digits read before a number is called too large: 2**64 has 20, no header needs more."""

_is_token = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+").fullmatch
_is_plain_value = re.compile(r"[!#-+\--:=?-\[\]-~]+").fullmatch
_is_quoted = re.compile(r'"[^"\\]*"').fullmatch
_quotes_and_brackets = re.compile(r'[",;<>\\]').finditer
_quote_or_backslash = re.compile(r'["\\]').search
_is_hexadecimal = re.compile(r"[0-9A-Fa-f]+").fullmatch
_is_host = re.compile(r"[A-Za-z0-9._\-]+").fullmatch
_is_ipv6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]").fullmatch
_has_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_controls = re.compile(r"[\x00-\x1f\x7f]+").sub


def malformed(what: str) -> NoReturn:
    """Raise the 400 that names what could not be read."""
    raise RemoteError(400, what)


def is_token(text: str) -> bool:
    """Tell whether the text is one token, such as a method or a header's name."""
    return _is_token(text) is not None


def is_plain_value(text: str) -> bool:
    """Tell whether the text may stand as a parameter's value without quotes."""
    return _is_plain_value(text) is not None


def is_hexadecimal(text: str) -> bool:
    """Tell whether the text is hexadecimal digits and nothing else."""
    return _is_hexadecimal(text) is not None


def number(text: str, what: str, limit: int) -> int:
    """Read an unsigned decimal of at most `limit`; `what` names it in the 400."""
    if not (text.isascii() and text.isdigit()):
        malformed(f"{what} is not a number")
    digits = text if len(text) <= LONGEST_NUMBER else text.lstrip("0")
    if len(digits) > LONGEST_NUMBER or (value := int(digits or "0")) > limit:
        malformed(f"{what} is too large")
    return value


def host_and_port(text: str) -> tuple[str, int | None]:
    """Read `host[:port]`; the host keeps the brackets of an IPv6 reference."""
    if text.startswith("["):
        end = text.find("]") + 1
        host, rest = text[:end], text[end:].lstrip()
        if not _is_ipv6(host) or (rest and rest[0] != ":"):
            malformed("Bad IPv6 reference")
        port = rest[1:].lstrip()
        colon = rest[:1]
    else:
        host, colon, port = text.partition(":")
        host, port = host.rstrip(), port.lstrip()
        if not _is_host(host):
            malformed("Bad host")
    if not colon:
        return host, None
    return host, number(port, "Port", 65535)


def split_top(text: str, separator: str) -> list[str]:
    """Split at a comma or semicolon that stands outside quotes and angle brackets; strip each.

    Raises RemoteError(400) for a quote or bracket that is never closed.
    """
    if '"' not in text and "<" not in text:
        return [piece.strip() for piece in text.split(separator)]
    return [piece.strip() for piece in _split_outside(text, separator)]


def _split_outside(text: str, separator: str) -> Iterator[str]:
    start = escaped = 0
    quoted = bracketed = False
    for found in _quotes_and_brackets(text):
        at = found.start()
        mark = text[at]
        if quoted:
            if at < escaped:
                continue
            if mark == "\\":
                escaped = at + 2
            elif mark == '"':
                quoted = False
        elif mark == '"':
            quoted = True
        elif mark == "<":
            bracketed = True
        elif mark == ">":
            bracketed = False
        elif mark == separator and not bracketed:
            yield text[start:at]
            start = at + 1
    if quoted or bracketed:
        malformed("A quote or bracket is never closed")
    yield text[start:]


def parameters(text: str) -> Mapping[str, str | None]:
    """Read `;name=value;name` into a dict: names in lower case, values raw (quotes kept).

    An empty text has no parameters. Of two with one name the first counts.
    """
    text = text.strip()
    if not text:
        return NO_PARAMS
    if text[0] != ";":
        malformed("Parameters begin with a semicolon")
    params: dict[str, str | None] = {}
    for piece in split_top(text[1:], ";"):
        name, equals, value = piece.partition("=")
        name = name.rstrip().lower()
        if not _is_token(name):
            malformed("Bad parameter")
        params.setdefault(name, _parameter_value(value.lstrip()) if equals else None)
    return params


def _parameter_value(value: str) -> str:
    if not _is_plain_value(value) and not is_quoted(value):
        malformed("Bad parameter")
    return value


def write_parameters(params: Mapping[str, str | None]) -> str:
    """Write parameters as `;name=value;name`: the inverse of `parameters`."""
    if not params:
        return ""
    return "".join(
        [f";{name}" if value is None else f";{name}={value}" for name, value in params.items()]
    )


def quoted_end(text: str) -> int:
    """Return the index after the closing quote of a text that begins with one."""
    at = 1
    while found := _quote_or_backslash(text, at):
        if found.group() == '"':
            return found.end()
        at = found.end() + 1
    malformed("A quoted string is never closed")


def is_quoted(text: str) -> bool:
    """Tell whether the whole text is one quoted string."""
    if _is_quoted(text):
        return True
    return text.startswith('"') and "\\" in text and quoted_end(text) == len(text)


def unquote(text: str) -> str:
    """Take the quotes and backslashes off a quoted string; return any other text as it is."""
    if not text.startswith('"') or len(text) < 2:
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    pieces = inner.split("\\\\")
    return "\\".join([piece.replace("\\", "") for piece in pieces])


def quote(text: str) -> str:
    """Write a text as a quoted string; line breaks and other controls become a blank."""
    if _has_control(text):
        text = _controls(" ", text)
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def unescape(text: str) -> str:
    """Decode %HH once, as UTF-8; raise RemoteError(400) for a stray % or octets that are not."""
    if "%" not in text:
        return text
    if _has_bad_escape(text):
        malformed("Bad %-escape")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        malformed("Escaped octets are not UTF-8")
