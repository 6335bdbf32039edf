"""SIP and SIPS addresses (RFC 3261, section 19.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote as escape

import msgspec

from appliance.errors import RemoteError
from appliance.sip import scan

_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_plain = re.compile(
    r"(sips?):(?:([A-Za-z0-9\-_.!~*'()&=+$,]+)@)?([A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?"
    r"((?:;[A-Za-z0-9\-_.!~*'+:/\[\]&$=]+)?)"
).fullmatch
_is_user = re.compile(r"[A-Za-z0-9\-_.!~*'()%&=+$,;?/#]+").fullmatch
"""And `#`, which phones send unescaped in feature codes; it leaves us escaped."""
_is_password = re.compile(r"[A-Za-z0-9\-_.!~*'()%&=+$,]*").fullmatch
_is_parameter = re.compile(r"[A-Za-z0-9\-_.!~*'()%\[\]/:&+$@=]+").fullmatch
_is_headers = re.compile(r"[A-Za-z0-9\-_.!~*'()%\[\]/?:+$&=]+").fullmatch
_is_opaque = re.compile(r"[!#-;=?-\[\]_a-z~]+").fullmatch

USER_SAFE = "-_.!~*'()&=+$,;?/"
"""Characters a user part may show without escaping."""
PASSWORD_SAFE = "-_.!~*'()&=+$,"
PARAMETER_SAFE = "-_.!~*'()[]/:&+$"
HEADER_SAFE = "-_.!~*'()[]/?:+$"

_MUST_AGREE = ("user", "ttl", "method", "maddr", "transport")
"""Parameters that make two URIs differ even when only one has them (section 19.1.4)."""


class SipUri(msgspec.Struct, frozen=True, eq=False):
    """Name a SIP resource; every part is decoded, `str` escapes again."""

    scheme: str
    """`sip` or `sips`."""
    user: str | None
    host: str
    """Lower case; an IPv6 address keeps its brackets."""
    port: int | None = None
    password: str | None = None
    params: Mapping[str, str | None] = scan.NO_PARAMS
    """URI parameters; names and values decoded, names in lower case."""
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields to be put into a request made from this URI, decoded, in order."""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a sip: or sips: URI; raise RemoteError(416) for another scheme, else 400."""
        if match := _plain(text):
            scheme, user, host, port, params = match.groups()
            if not params:
                return cls(scheme, user, host.lower(), _port(port))
            return cls(scheme, user, host.lower(), _port(port), None, uri_parameters(params[1:]))
        return _parse_strictly(text)

    def __str__(self) -> str:
        pieces = [self.scheme, ":"]
        if self.user is not None:
            pieces.append(_escape(self.user, USER_SAFE))
            if self.password is not None:
                pieces += (":", _escape(self.password, PASSWORD_SAFE))
            pieces.append("@")
        pieces.append(self.host)
        if self.port is not None:
            pieces.append(f":{self.port}")
        for name, value in self.params.items():
            pieces += (";", _escape(name, PARAMETER_SAFE))
            if value is not None:
                pieces += ("=", _escape(value, PARAMETER_SAFE))
        if self.headers:
            fields = [f"{_header(name)}={_header(value)}" for name, value in self.headers]
            pieces += ("?", "&".join(fields))
        return "".join(pieces)

    def __eq__(self, other: object) -> bool:
        """Compare by RFC 3261, section 19.1.4."""
        if not isinstance(other, SipUri):
            return NotImplemented
        return (
            self.host == other.host
            and self.user == other.user
            and self.port == other.port
            and self.scheme == other.scheme
            and self.password == other.password
            and _params_agree(self.params, other.params)
            and _headers_agree(self.headers, other.headers)
        )

    def __hash__(self) -> int:
        return hash((self.scheme, self.user, self.host, self.port))

    @property
    def address(self) -> str:
        """Return host and port as written, e.g. `[2001:db8::1]:5060`."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def aor(self) -> str:
        """Return the bare address of record: scheme, user and host (section 10.3, step 5)."""
        return str(SipUri(self.scheme, self.user, self.host, self.port))


def scheme_of(text: str) -> str:
    """Return a URI's scheme in lower case; raise RemoteError(400) where there is none."""
    match = _scheme(text)
    if match is None:
        scan.malformed("A URI begins with its scheme")
    return match.group(1).lower()


def parse_uri(text: str) -> SipUri | str:
    """Read any absolute URI: sip and sips in full, others (tel:, urn:) kept as text."""
    if text.startswith("sip") and (match := _plain(text)):
        scheme, user, host, port, params = match.groups()
        if not params:
            return SipUri(scheme, user, host.lower(), _port(port))
        return SipUri(scheme, user, host.lower(), _port(port), None, uri_parameters(params[1:]))
    if scheme_of(text) in ("sip", "sips"):
        return _parse_strictly(text)
    if not _is_opaque(text) or text.endswith(":"):
        scan.malformed("Bad URI")
    return text


def _port(text: str | None) -> int | None:
    return None if text is None else scan.number(text, "Port", 65535)


def _parse_strictly(text: str) -> SipUri:
    scheme = scheme_of(text)
    if scheme not in ("sip", "sips"):
        raise RemoteError(416, "Only sip and sips addresses are known here")
    if text.split() != [text]:
        scan.malformed("A blank inside a URI")
    rest = text[len(scheme) + 1 :]
    userinfo, at, hostpart = rest.rpartition("@")
    user, password = _userinfo(userinfo) if at else (None, None)
    hostpart, question, headers = hostpart.partition("?")
    hostpart, semicolon, params = hostpart.partition(";")
    host, port = scan.host_and_port(hostpart)
    return SipUri(
        scheme,
        user,
        host.lower(),
        port,
        password,
        uri_parameters(params) if semicolon else scan.NO_PARAMS,
        _headers(headers) if question else (),
    )


def _userinfo(text: str) -> tuple[str, str | None]:
    user, colon, password = text.partition(":")
    if not _is_user(user) or not _is_password(password):
        scan.malformed("Bad user part in a URI")
    return scan.unescape(user), scan.unescape(password) if colon else None


def uri_parameters(text: str) -> Mapping[str, str | None]:
    """Read `name=value;name` without the semicolon before it, decoded once."""
    params: dict[str, str | None] = {}
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        if not _is_parameter(name) or (equals and not _is_parameter(value)):
            scan.malformed("Bad URI parameter")
        params.setdefault(scan.unescape(name).lower(), scan.unescape(value) if equals else None)
    return params


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    if not _is_headers(text):
        scan.malformed("Bad header in a URI")
    fields = []
    for piece in text.split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals:
            scan.malformed("Bad header in a URI")
        fields.append((scan.unescape(name), scan.unescape(value)))
    return tuple(fields)


def _header(text: str) -> str:
    return _escape(text, HEADER_SAFE)


def _escape(text: str, safe: str) -> str:
    return text if text.isalnum() and text.isascii() else escape(text, safe=safe)


def _params_agree(one: Mapping[str, str | None], two: Mapping[str, str | None]) -> bool:
    if not one and not two:
        return True
    for name in _MUST_AGREE:
        if (name in one) != (name in two):
            return False
    return all(
        (one[name] or "").lower() == (two[name] or "").lower() for name in one if name in two
    )


def _headers_agree(one: tuple[tuple[str, str], ...], two: tuple[tuple[str, str], ...]) -> bool:
    if not one and not two:
        return True
    return _sorted(one) == _sorted(two)


def _sorted(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in headers)
