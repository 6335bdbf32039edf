"""Digest challenges and the credentials that answer them, as header values (RFC 7616)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from appliance.sip import scan

_QUOTED = ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque")
_BARE = ("algorithm", "qop", "nc")
_FIELDS = (*_QUOTED, *_BARE)
_WRITTEN_QUOTED = frozenset((*_QUOTED, "domain"))
"""Fields written in quotes by both sides (RFC 7616, sections 3.3 and 3.4)."""


def _pattern() -> str:
    """Match each usual field once, in any order.

    As in `sip/plain`: possessive inside a field, each field with a literal of its own, so that
    what fails, fails at one place.
    """
    fields = []
    for place, name in enumerate(_FIELDS, 1):
        value = r'"([ !#-\[\]-~\x80-\uffff]*+)"' if name in _QUOTED else r'"?([A-Za-z0-9\-]++)"?'
        fields.append(f"{name}=(?({place})(?!)){value}")
    return rf"(?:(?:{'|'.join(fields)})(?:, ?(?=[a-z])|\Z)){{1,{len(fields)}}}"


_match = re.compile(_pattern()).fullmatch


class Credentials(msgspec.Struct, frozen=True):
    """Carry what a client proves itself with: Authorization and Proxy-Authorization."""

    scheme: str
    """Lower case; only `digest` is understood, others have no fields."""
    username: str = ""
    realm: str = ""
    nonce: str = ""
    uri: str = ""
    response: str = ""
    cnonce: str = ""
    opaque: str = ""
    algorithm: str = "MD5"
    """Upper case; MD5 where none is named."""
    qop: str = ""
    """Empty for a client of RFC 2069."""
    nc: str = ""

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Read a header's value; every field without its quotes, '' where it is absent."""
        scheme, _, rest = text.partition(" ")
        if scheme == "Digest" and (match := _match(rest)):
            user, realm, nonce, uri, response, cnonce, opaque, algorithm, qop, nc = match.groups("")
            algorithm = algorithm.upper() or "MD5"
            return cls(
                "digest", user, realm, nonce, uri, response, cnonce, opaque, algorithm, qop, nc
            )
        scheme, fields = _parse(text)
        algorithm = fields.get("algorithm", "MD5").upper()
        named = {name: fields[name] for name in _FIELDS if name in fields}
        return cls(scheme, **{**named, "algorithm": algorithm})

    def __str__(self) -> str:
        fields = {name: getattr(self, name) for name in _FIELDS}
        return _write(self.scheme, {name: value for name, value in fields.items() if value})


class Challenge(msgspec.Struct, frozen=True):
    """Carry what a server asks for: WWW-Authenticate and Proxy-Authenticate."""

    scheme: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Challenge:
        """Read a header's value; schemes other than Digest keep no fields."""
        scheme, fields = _parse(text)
        return cls(scheme, fields)

    def __str__(self) -> str:
        return _write(self.scheme, self.fields, quoted=_WRITTEN_QUOTED | {"qop"})

    @property
    def realm(self) -> str:
        """Return the realm to prove oneself in."""
        return self.fields.get("realm", "")

    @property
    def nonce(self) -> str:
        """Return the nonce to answer."""
        return self.fields.get("nonce", "")

    @property
    def algorithm(self) -> str:
        """Return the hash in upper case; MD5 where none is named."""
        return self.fields.get("algorithm", "MD5").upper()

    @property
    def qop(self) -> list[str]:
        """Return the qualities of protection offered, none for a server of RFC 2069."""
        return [word.strip().lower() for word in self.fields.get("qop", "").split(",") if word]

    @property
    def stale(self) -> bool:
        """Tell whether only the nonce was wrong: the same password may be tried again."""
        return self.fields.get("stale", "").lower() == "true"


def _parse(text: str) -> tuple[str, Mapping[str, str]]:
    scheme, _, rest = text.partition(" ")
    scheme = scheme.lower()
    if not scan.is_token(scheme):
        scan.malformed("Bad authentication scheme")
    return scheme, _strict_fields(rest) if scheme == "digest" else {}


def _strict_fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for piece in scan.split_top(text, ","):
        name, equals, value = piece.partition("=")
        name, value = name.rstrip().lower(), value.lstrip()
        if not equals or not scan.is_token(name) or name in fields:
            scan.malformed("Bad field in an authentication header")
        if not scan.is_quoted(value) and not scan.is_plain_value(value):
            scan.malformed("Bad value in an authentication header")
        fields[name] = scan.unquote(value)
    return fields


def _write(scheme: str, fields: Mapping[str, str], quoted: frozenset[str] = _WRITTEN_QUOTED) -> str:
    written = [
        f"{name}={scan.quote(value) if name in quoted else value}" for name, value in fields.items()
    ]
    return f"{scheme.title()} {', '.join(written)}"
