"""Digest challenges and the credentials that answer them, as header values (RFC 7616)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.sip import scan

_FIELDS = (
    *("username", "realm", "nonce", "uri", "response", "algorithm"),
    *("qop", "nc", "cnonce", "opaque", "domain", "stale"),
)
_NAMES = {blank + name: name for name in _FIELDS for blank in ("", " ")}
"""Usual fields as they stand between two commas: one look-up instead of strip and lower."""
_QUOTED = frozenset(
    ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque", "domain", "username*")
)
"""Fields written in quotes by both sides (RFC 7616, sections 3.3 and 3.4)."""


class Credentials(msgspec.Struct, frozen=True):
    """Carry what a client proves itself with: Authorization and Proxy-Authorization."""

    scheme: str
    """Lower case; only `digest` is understood."""
    fields: Mapping[str, str]
    """Names in lower case, values without quotes."""

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Read a header's value; schemes other than Digest keep no fields."""
        scheme, fields = _parse(text)
        return cls(scheme, fields)

    def __str__(self) -> str:
        return _write(self.scheme, self.fields, quoted=_QUOTED)

    def get(self, name: str) -> str:
        """Return a field, '' where it is absent."""
        return self.fields.get(name, "")

    @property
    def username(self) -> str:
        """Return who claims to ask."""
        return self.fields.get("username", "")

    @property
    def realm(self) -> str:
        """Return the realm the password belongs to."""
        return self.fields.get("realm", "")

    @property
    def nonce(self) -> str:
        """Return the nonce of the challenge that is answered."""
        return self.fields.get("nonce", "")

    @property
    def algorithm(self) -> str:
        """Return the hash in upper case; MD5 where none is named."""
        return self.fields.get("algorithm", "MD5").upper()


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
        return _write(self.scheme, self.fields, quoted=_QUOTED | {"qop"})

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
    if scheme != "Digest":
        scheme = scheme.lower()
        if not scan.is_token(scheme):
            scan.malformed("Bad authentication scheme")
        if scheme != "digest":
            return scheme, {}
    return "digest", _plain_fields(rest) or _strict_fields(rest)


def _plain_fields(text: str) -> dict[str, str] | None:
    """Read fields as nearly all clients write them; None for any other way."""
    fields: dict[str, str] = {}
    pieces = text.split(",")
    for piece in pieces:
        key, _, value = piece.partition("=")
        name = _NAMES.get(key)
        if name is None:
            return None
        if value[:1] == '"' == value[-1:]:
            value = value[1:-1]
        elif not value or " " in value:
            return None
        fields[name] = value
    if len(fields) != len(pieces) or "\\" in text or text.count('"') % 2:
        return None
    return fields


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


def _write(scheme: str, fields: Mapping[str, str], quoted: frozenset[str]) -> str:
    written = [
        f"{name}={scan.quote(value) if name in quoted else value}" for name, value in fields.items()
    ]
    return f"{scheme.title()} {', '.join(written)}"
