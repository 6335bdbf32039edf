"""The headers of a message: raw text until asked for, parsed once and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from appliance.errors import LocalError
from appliance.sip import scan
from appliance.sip.headers import (
    Credentials,
    CSeq,
    NameAddr,
    Via,
    check_call_id,
    delta_seconds,
    parse_contacts,
)
from appliance.sip.names import LISTS, NAMES, canonical
from appliance.sip.plain import AT, Groups, read_contacts, read_cseq, read_party, read_via

T = TypeVar("T")
Header = tuple[str, str]
"""Canonical name and raw value (unfolded, stripped)."""

_VIA, _FROM, _TO, _EXPIRES = AT["Via"], AT["From"], AT["To"], AT["Expires"]
_CALL_ID = AT["Call-ID"]


class remembered(Generic[T]):
    """Make a method an attribute that is computed at first use and forgotten with the headers."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    def __get__(self, head: Head, owner: type) -> T:
        rest = head.rest
        if self._name not in rest:
            rest[self._name] = self._read(head)
        value: T = rest[self._name]
        return value


class Head:
    """Hold the headers of a message; names given to its methods are canonical.

    Change headers only through `set`, `add`, `prepend`, `replace_via` and `remove`: they forget
    what was parsed before. An attribute that is parsed raises RemoteError(400) where its header is
    malformed, or missing though it must be there.
    """

    __slots__ = (
        *("_authorization", "_call_id", "_contacts", "_cseq", "_expires", "_from", "_headers"),
        *("_head", "_hops", "_index", "_plain", "_ready", "_rest", "_to", "_via"),
    )

    def _hold(self, headers: list[Header] | None) -> None:
        """Hold these headers and forget what was parsed of others.

        All of it are slots, not a dict: that alone saves 3 µs a message.
        """
        self._headers = headers
        self._index: dict[str, str] | None = None
        self._plain: Groups | None = None
        self._ready: str | None = None
        self._rest: dict[str, Any] | None = None
        self._via: Via | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._call_id: str | None = None
        self._cseq: CSeq | None = None
        self._contacts: tuple[NameAddr, ...] | None = None
        self._hops: int | None = None
        self._expires: int | None = None
        self._authorization: Credentials | None = None

    def take_plain(self, plain: Groups, head: str) -> None:
        """Take what the plain pattern matched, and all the text it matched in."""
        self._headers = None
        self._plain = plain
        self._head: str = head

    def take_index(self, index: dict[str, str]) -> None:
        """Take headers none of which comes twice, in their order."""
        self._headers = None
        self._index = index

    @property
    def plain(self) -> Groups | None:
        """Return the match that showed the message to be plain; None: ask each attribute."""
        return self._plain

    @property
    def text(self) -> str:
        """Return start line and headers as they came, where the message is `plain`; else ''."""
        return self._head if self._plain is not None else ""

    @property
    def headers(self) -> list[Header]:
        """Return canonical name and raw value (unfolded, stripped), in the order of the wire."""
        if self._headers is None:
            if self._index is None:
                self._headers = self._split()
            else:
                self._headers = list(self._index.items())
        return self._headers

    def _split(self) -> list[Header]:
        text = self._ready if self._ready is not None else self._head.partition("\r\n")[2]
        pairs = [line.split(": ", 1) for line in text.split("\r\n") if line]
        headers = [(canonical(name), value.strip(" \t")) for name, value in pairs]
        if self._plain is None:
            return headers
        via = self._plain[_VIA]
        return [(name, via if name == "Via" else value) for name, value in headers]

    @property
    def index(self) -> dict[str, str]:
        """Return the raw value of the first line of each header."""
        index = self._index
        if index is None:
            headers = self.headers
            index = dict(headers)
            if len(index) != len(headers):
                index = dict(reversed(headers))
            self._index = index
        return index

    @property
    def repeats(self) -> bool:
        """Tell whether any header has more than one line."""
        index = self.index
        return self._headers is not None and len(self._headers) != len(index)

    @property
    def rest(self) -> dict[str, Any]:
        """Return what `remembered` attributes hold."""
        if self._rest is None:
            self._rest = {}
        return self._rest

    @property
    def via(self) -> Via:
        """Return the top Via."""
        if self._via is None:
            if self._plain is not None:
                self._via = read_via(self._plain)
            else:
                text = self._required("Via")
                self._via = Via.parse(scan.split_top(text, ",")[0] if "," in text else text)
        return self._via

    @property
    def from_(self) -> NameAddr:
        """Return who asks."""
        if self._from is None:
            plain = self._plain
            if plain is not None:
                self._from = read_party(plain, _FROM)
            else:
                self._from = NameAddr.parse(self._required("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """Return who is asked for."""
        if self._to is None:
            plain = self._plain
            if plain is not None:
                self._to = read_party(plain, _TO)
            else:
                self._to = NameAddr.parse(self._required("To"))
        return self._to

    @property
    def call_id(self) -> str:
        """Return the Call-ID."""
        if self._call_id is None:
            if self._plain is not None:
                self._call_id = self._plain[_CALL_ID]
            else:
                self._call_id = check_call_id(self._required("Call-ID"))
        return self._call_id

    @property
    def cseq(self) -> CSeq:
        """Return the request's number and method."""
        if self._cseq is None:
            if self._plain is not None:
                self._cseq = read_cseq(self._plain)
            else:
                self._cseq = CSeq.parse(self._required("CSeq"))
        return self._cseq

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Return all contacts; `(STAR,)` for `Contact: *`."""
        if self._contacts is None:
            if self._plain is not None:
                self._contacts = read_contacts(self._plain)
            elif "Contact" in self.index:
                self._contacts = parse_contacts(self.values("Contact"))
            else:
                self._contacts = ()
        return self._contacts

    @property
    def max_forwards(self) -> int | None:
        """Return the hops left, None where the sender set no limit."""
        if self._hops is None and (text := self.first("Max-Forwards")) is not None:
            self._hops = scan.number(text, "Max-Forwards", 255)
        return self._hops

    @property
    def expires(self) -> int | None:
        """Return the Expires header in seconds; None where there is none that can be read."""
        if self._expires is None:
            plain = self._plain
            text = self.first("Expires") if plain is None else plain[_EXPIRES]
            if text is not None:
                self._expires = delta_seconds(text) if plain is None else int(text)
        return self._expires

    @property
    def authorization(self) -> Credentials | None:
        """Return the credentials for us as a server of users; None where there are none."""
        if self._authorization is None and (text := self.first("Authorization")) is not None:
            self._authorization = Credentials.parse(text)
        return self._authorization

    @remembered
    def vias(self) -> tuple[Via, ...]:
        """Return the whole Via path, the latest hop first."""
        return tuple([Via.parse(value) for value in self.values("Via")])

    @remembered
    def content_type(self) -> str:
        """Return the body's type and subtype in lower case without parameters; '' if none."""
        text = self.first("Content-Type") or ""
        return "".join(text.partition(";")[0].split()).lower()

    @remembered
    def require(self) -> frozenset[str]:
        """Return the extensions the sender insists on."""
        return self._tokens("Require")

    @remembered
    def supported(self) -> frozenset[str]:
        """Return the extensions the sender offers."""
        return self._tokens("Supported")

    @remembered
    def allow(self) -> frozenset[str]:
        """Return the methods the sender takes."""
        return self._tokens("Allow")

    @remembered
    def routes(self) -> tuple[NameAddr, ...]:
        """Return the Route headers in order."""
        return tuple([NameAddr.parse(value) for value in self.values("Route")])

    @remembered
    def record_routes(self) -> tuple[NameAddr, ...]:
        """Return the Record-Route headers in order."""
        return tuple([NameAddr.parse(value) for value in self.values("Record-Route")])

    def _required(self, name: str) -> str:
        value = self.first(name)
        if not value:
            scan.malformed(f"{name} is missing")
        return value

    def _tokens(self, name: str) -> frozenset[str]:
        return frozenset([token for token in self.values(name) if token])

    def first(self, name: str) -> str | None:
        """Return the raw value of the first header of that name."""
        plain = self._plain
        if plain is None or self._index is not None:
            return self.index.get(name)
        if (place := AT.get(name)) is not None:
            text: str | None = plain[place]
            return text if text is None else text.strip(" \t")
        if f"\n{name}: " in self._head or name not in NAMES:
            return self.index.get(name)
        return None

    def all(self, name: str) -> list[str]:
        """Return the raw value of each header line of that name."""
        first = self.first(name)
        if first is None:
            return []
        if self._plain is not None and name in AT:
            return [first]
        return [value for key, value in self.headers if key == name]

    def values(self, name: str) -> list[str]:
        """Return the values of a header, its lists taken apart."""
        lines = self.all(name)
        if name not in LISTS:
            return lines
        return [value for line in lines for value in scan.split_top(line, ",")]

    def set(self, name: str, value: str) -> None:
        """Give a header one value, in place of the first line there is of it."""
        name = _settable(name, value)
        headers = list(self.headers)
        for at, (key, _) in enumerate(headers):
            if key == name:
                rest = [header for header in headers[at + 1 :] if header[0] != name]
                headers[at:] = [(name, value), *rest]
                break
        else:
            headers.append((name, value))
        self._hold(headers)

    def add(self, name: str, value: str) -> None:
        """Append one more line of a header."""
        name = _settable(name, value)
        self._hold([*self.headers, (name, value)])

    def prepend(self, name: str, value: str) -> None:
        """Put a line before all others: a request's own Via."""
        name = _settable(name, value)
        self._hold([(name, value), *self.headers])

    def begin_path(self, via: str) -> None:
        """Put our own Via, and no other, before all lines."""
        headers = [header for header in self.headers if header[0] != "Via"]
        self._hold([("Via", via), *headers])

    def replace_via(self, text: str, via: Via | None = None) -> None:
        """Write `text` in place of the top Via line; `via` is what is read there from now on.

        Without it that stays what the sender wrote. All else that was parsed stays remembered:
        every request over UDP passes here.
        """
        if self._plain is not None:
            self._plain[_VIA] = text
        if self._headers is not None:
            at = next(at for at, (name, _) in enumerate(self._headers) if name == "Via")
            self._headers[at] = ("Via", text)
        if self._index is not None:
            self._index["Via"] = text
        if self._rest is not None:
            self._rest.pop("vias", None)
        if via is not None:
            self._via = via

    def remove(self, name: str) -> None:
        """Drop every line of a header; harmless where there is none."""
        self._hold([header for header in self.headers if header[0] != name])


def _settable(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or not scan.is_token(name):
        raise LocalError(f"Not a header that may be sent: {name!r}: {value!r}")
    return canonical(name)
