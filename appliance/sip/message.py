"""SIP messages: header text stays raw until asked for, is parsed once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Generic, TypeVar

from appliance.errors import LocalError, RemoteError
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
from appliance.sip.names import LISTS, canonical
from appliance.sip.plain import (
    AT,
    Groups,
    read_contacts,
    read_cseq,
    read_party,
    read_target,
    read_via,
)
from appliance.sip.status import reason_of
from appliance.sip.uri import SipUri, parse_uri

T = TypeVar("T")
_FROM, _TO, _AUTHORIZATION, _EXPIRES = (
    *(AT["From"], AT["To"], AT["Authorization"], AT["Expires"]),
)
_TO_TAG = _TO + 7
Header = tuple[str, str]


class remembered(Generic[T]):
    """Make a method an attribute that is computed at first use and forgotten with the headers."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    def __get__(self, message: Message, owner: type) -> T:
        rest = message.rest
        if self._name not in rest:
            rest[self._name] = self._read(message)
        value: T = rest[self._name]
        return value


class Message:
    """Hold what requests and responses share; names given to its methods are canonical.

    Change headers only through `set`, `add`, `prepend`, `replace_via` and `remove`: they forget
    what was parsed before. An attribute that is parsed raises RemoteError(400) where its header is
    malformed, or missing though it must be there.
    """

    body: bytes

    __slots__ = (
        *("_authorization", "_call_id", "_contacts", "_cseq", "_expires", "_from", "_headers"),
        *("_head", "_hops", "_index", "_plain", "_ready", "_rest", "_to", "_via", "body"),
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
    def headers(self) -> list[Header]:
        """Return canonical name and raw value (unfolded, stripped), in the order of the wire."""
        if self._headers is None:
            if self._index is None:
                self._headers = self._split()
            else:
                self._headers = list(self._index.items())
        return self._headers

    def _split(self) -> list[Header]:
        lines = (self._ready or self._head).split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:] if line]
        headers = [(canonical(name), value.strip()) for name, value in pairs]
        if self._plain is None:
            return headers
        via = self._plain[AT["Via"]]
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
            text = self._required("Call-ID")
            self._call_id = text if self._plain is not None else check_call_id(text)
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
        if self._authorization is None:
            plain = self._plain
            text = plain[_AUTHORIZATION] if plain else self.first("Authorization")
            if text is not None:
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
            return text
        return self.index.get(name) if f"\n{name}: " in self._head else None

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
        headers = self.headers
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

    def replace_via(self, text: str, via: Via) -> None:
        """Write `text`, which begins with `via`, in place of the top Via line.

        All else that was parsed stays remembered: every request over UDP passes here.
        """
        if self._plain is not None:
            self._plain[AT["Via"]] = text
        if self._headers is not None:
            at = next(at for at, (name, _) in enumerate(self._headers) if name == "Via")
            self._headers[at] = ("Via", text)
        if self._index is not None:
            self._index["Via"] = text
        if self._rest is not None:
            self._rest.pop("vias", None)
        self._via = via

    def remove(self, name: str) -> None:
        """Drop every line of a header; harmless where there is none."""
        self._hold([header for header in self.headers if header[0] != name])

    def _encode(self, start: str) -> bytes:
        """Write it all, with a Content-Length of its own; no line break inside a line."""
        text = self._ready
        if text is None:
            lines = [f"{name}: {value}" for name, value in self.headers if name != _LENGTH]
            check_lines(start, *lines)
            text = "\r\n".join([start, *lines, ""])
        return f"{text}{_LENGTH}: {len(self.body)}\r\n\r\n".encode() + self.body


def check_lines(*lines: str) -> None:
    """Raise LocalError if a line to be sent has a line break inside."""
    text = "".join(lines)
    if "\n" in text or "\r" in text:
        raise LocalError("A line break inside a header was about to be sent")


class Request(Message):
    """Ask for something."""

    __slots__ = ("_target", "method", "uri")

    def __init__(self, method: str, uri: str, headers: list[Header], body: bytes = b"") -> None:
        self._hold(headers)
        self.body = body
        self._target: SipUri | str | None = None
        self.method = method
        self.uri = uri
        """The raw Request-URI."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"

    @property
    def target(self) -> SipUri | str:
        """Return the Request-URI in parts, or its text for another scheme (tel:, urn:)."""
        if self._target is None:
            plain = self._plain
            self._target = parse_uri(self.uri) if plain is None else read_target(plain)
        return self._target

    @property
    def request_uri(self) -> SipUri:
        """Return the Request-URI in parts; raise RemoteError(416) if it is no sip or sips URI."""
        target = self.target
        if isinstance(target, str):
            raise RemoteError(416, "Only sip and sips addresses are known here")
        return target

    def encode(self) -> bytes:
        """Return the octets to send, with a Content-Length of its own."""
        return self._encode(f"{self.method} {self.uri} SIP/2.0")

    def response(
        self,
        status: int,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Iterable[Header] = (),
        body: bytes = b"",
    ) -> Response:
        """Answer: copy raw what RFC 3261, sections 8.2.6.2 and 12.1.1, copy.

        `to_tag` is added where the request has none, as every answer but 100 needs it.
        """
        if reason is None:
            reason = reason_of(status)
        plain = self._plain
        if plain is not None:
            tag = "" if to_tag is None or plain[_TO_TAG] is not None else f";tag={to_tag}"
            response = Response(status, reason, [], body)
            response.copy_plain(plain, tag, headers)
            return response
        if to_tag is not None and self._is_tagged():
            to_tag = None
        wanted = _COPIED_TO_ROUTE if self.method == "INVITE" and 100 < status < 300 else _COPIED
        copied = [header for header in self.headers if header[0] in wanted]
        if to_tag is not None:
            copied = [_tagged(header, to_tag) for header in copied]
        return Response(status, reason, [*copied, *headers], body)

    def _is_tagged(self) -> bool:
        try:
            return "tag" in self.to.params
        except RemoteError:
            return True  # an answer complains of this To; nobody would find a tag in it


class Response(Message):
    """Answer a request."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: list[Header], body: bytes = b"") -> None:
        self._hold(headers)
        self.body = body
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"

    def copy_plain(self, plain: Groups, tag: str, headers: Iterable[Header]) -> None:
        """Copy the lines of a plain request's match, `tag` behind To, and put headers behind."""
        via, from_, to, call_id, cseq = _copied_parts(plain)
        further = [f"{name}: {value}" for name, value in headers]
        check_lines(self.reason, tag, *further)
        self._headers = None
        self._ready = "\r\n".join(
            (
                f"SIP/2.0 {self.status} {self.reason}\r\nVia: {via}\r\nFrom: {from_}",
                f"To: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}",
                *further,
                "",
            )
        )

    def encode(self) -> bytes:
        """Return the octets to send, with a Content-Length of its own."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")


_LENGTH = "Content-Length"
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")
_COPIED_TO_ROUTE = (*_COPIED, "Record-Route")


_copied_parts = itemgetter(*[AT[name] for name in _COPIED])


def _tagged(header: Header, tag: str) -> Header:
    return ("To", f"{header[1]};tag={tag}") if header[0] == "To" else header


def _settable(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or not scan.is_token(name):
        raise LocalError(f"Not a header that may be sent: {name!r}: {value!r}")
    return canonical(name)
