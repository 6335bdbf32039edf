"""Header values that SIP itself reads: each is frozen, `parse` and `str` are inverse."""

from __future__ import annotations

import re

import msgspec

from appliance.sip import scan
from appliance.sip.credentials import Challenge, Credentials
from appliance.sip.uri import SipUri, parse_uri
from appliance.sip.values import (
    LARGEST_SECONDS,
    LARGEST_SEQUENCE,
    Params,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
)

__all__ = [
    "STAR",
    "CSeq",
    "Challenge",
    "Credentials",
    "NameAddr",
    "RAck",
    "Reason",
    "Replaces",
    "RetryAfter",
    "SessionExpires",
    "Via",
]

_plain_via = re.compile(
    r"SIP/2\.0/([A-Za-z0-9\-]+) ([A-Za-z0-9.\-]+)(?::([0-9]{1,5}))?((?:;[A-Za-z0-9\-.!%*_+~;=:]+)?)"
).fullmatch
_plain_name_addr = re.compile(
    r'(?:"([^"\\<>\x00-\x1f\x7f]*)" ?)?<([^<>"\s]+)>((?:;[A-Za-z0-9\-.!%*_+~;=:]+)?)'
).fullmatch
_is_display = re.compile(r"[ !#-+\--9=?-\[\]-~\x80-\U0010ffff]*").fullmatch
"""Unquoted words: more than the grammar's tokens, since gateways send `Bob (Sales) <sip:...>`."""
_is_q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch
_is_call_id = re.compile(r"[!-+\--:<-~]+").fullmatch


class Via(msgspec.Struct, frozen=True):
    """Say where a request has passed and how its response finds back (section 20.42)."""

    transport: str
    """Upper case: UDP, TCP, TLS or one we do not know."""
    host: str
    port: int | None = None
    params: Params = scan.NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value; the protocol's version is not judged here."""
        if match := _plain_via(text):
            transport, host, port, rest = match.groups()
            return cls(
                transport.upper(),
                host,
                None if port is None else scan.number(port, "Port", 65535),
                _plain_params(rest),
            )
        return _parse_via(text)

    def __str__(self) -> str:
        params = scan.write_parameters(self.params)
        return f"SIP/2.0/{self.transport} {self.sent_by}{params}"

    @property
    def sent_by(self) -> str:
        """Return host and port as the sender wrote them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def branch(self) -> str | None:
        """Return the transaction's name, None where a client of RFC 2543 gave none."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """Return the address the request really came from, where a server noted it."""
        return self.params.get("received")

    @property
    def rport(self) -> int | None:
        """Return the port the request came from (RFC 3581); None where none was noted yet."""
        value = self.params.get("rport")
        return scan.number(value, "rport", 65535) if value else None


def _parse_via(text: str) -> Via:
    protocol, _, rest = text.partition("/")
    _, _, rest = rest.partition("/")
    words = rest.split(None, 1)
    if protocol.strip().upper() != "SIP" or len(words) != 2 or not scan.is_token(words[0]):
        scan.malformed("Bad Via")
    sent_by, semicolon, params = words[1].partition(";")
    host, port = scan.host_and_port(sent_by.strip())
    return Via(words[0].upper(), host, port, scan.parameters(semicolon + params))


def _plain_params(text: str) -> Params:
    """Read parameters that have neither blanks nor quotes."""
    if not text:
        return scan.NO_PARAMS
    params: dict[str, str | None] = {}
    for piece in text[1:].split(";"):
        name, equals, value = piece.partition("=")
        if not name or ":" in name or (equals and not value):
            scan.malformed("Bad parameter")
        params.setdefault(name.lower(), value if equals else None)
    return params


class NameAddr(msgspec.Struct, frozen=True):
    """Name a party: From, To, Contact, Route, Refer-To and their like (section 20.10)."""

    display: str
    """The display name without quotes; empty where there is none."""
    uri: SipUri | str
    """A sip or sips URI in parts; any other (tel:, urn:) as its text; `*` in `STAR`."""
    params: Params = scan.NO_PARAMS
    """Header parameters; names in lower case, values raw."""

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read one name-addr or addr-spec with the header's parameters."""
        if match := _plain_name_addr(text):
            display, uri, rest = match.groups()
            return cls(display or "", parse_uri(uri), _plain_params(rest) if rest else _NONE)
        return _parse_name_addr(text)

    def __str__(self) -> str:
        if self is STAR:
            return "*"
        params = scan.write_parameters(self.params)
        if not self.display:
            return f"<{self.uri}>{params}"
        return f"{scan.quote(self.display)} <{self.uri}>{params}"

    @property
    def tag(self) -> str | None:
        """Return the tag that names one side of a dialog."""
        return self.params.get("tag")

    @property
    def expires(self) -> int | None:
        """Return how long a contact wants to be bound, in seconds (section 10.2.1.1)."""
        return delta_seconds(self.params.get("expires"))

    @property
    def q(self) -> float:
        """Return a contact's preference, 0 to 1; 1 where none can be read (section 20.10)."""
        text = self.params.get("q")
        return float(text) if text is not None and _is_q(text) else 1.0

    def param(self, name: str) -> str | None:
        """Return a parameter without its quotes; None where it is absent or has no value."""
        value = self.params.get(name)
        return None if value is None else scan.unquote(value)


_NONE = scan.NO_PARAMS
STAR = NameAddr("", "*")
"""What `Contact: *` reads as; compare with `is`."""


def _parse_name_addr(text: str) -> NameAddr:
    display, rest = "", text.strip()
    if rest.startswith('"'):
        end = scan.quoted_end(rest)
        display, rest = scan.unquote(rest[:end]), rest[end:].lstrip()
        if not rest.startswith("<"):
            scan.malformed("A display name is followed by an address in angle brackets")
    elif "<" in rest:
        words, _, _ = rest.partition("<")
        rest = rest[len(words) :]
        display = " ".join(words.split())
        if not _is_display(display):
            scan.malformed("A display name with such characters needs quotes")
    if rest.startswith("<"):
        uri, closed, params = rest[1:].partition(">")
        if not closed:
            scan.malformed("An angle bracket is never closed")
    else:
        uri, semicolon, params = rest.partition(";")
        uri, params = uri.rstrip(), semicolon + params
        if "?" in uri or "," in uri:
            scan.malformed("An address with a comma or question mark needs angle brackets")
    return NameAddr(display, parse_uri(uri), scan.parameters(params))


def parse_contacts(values: list[str]) -> tuple[NameAddr, ...]:
    """Read a Contact header's values; `*` may only stand alone."""
    if values == ["*"]:
        return (STAR,)
    return tuple([NameAddr.parse(value) for value in values])


class CSeq(msgspec.Struct, frozen=True):
    """Number a request within its dialog (section 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read a CSeq value."""
        words = text.split()
        if len(words) != 2 or not scan.is_token(words[1]):
            scan.malformed("Bad CSeq")
        return cls(scan.number(words[0], "CSeq", LARGEST_SEQUENCE), words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def delta_seconds(text: str | None) -> int | None:
    """Read an expiry: huge ones become the largest, malformed ones count as absent.

    Section 10.2.1.1 wants them treated as the default of an hour, which is the registrar's.
    """
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return min(int(digits), LARGEST_SECONDS) if len(digits) <= 10 else LARGEST_SECONDS


def check_call_id(text: str) -> str:
    """Return a Call-ID that is one word; raise RemoteError(400) else."""
    if not _is_call_id(text):
        scan.malformed("Bad Call-ID")
    return text
