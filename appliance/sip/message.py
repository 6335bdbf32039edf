"""SIP messages: header text stays raw until asked for, is parsed once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

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
from appliance.sip.status import reason_of
from appliance.sip.uri import SipUri, parse_uri

Header = tuple[str, str]


class Message:
    """Hold what requests and responses share; names given to its methods are canonical.

    Change headers only through `set`, `add`, `prepend`, `replace_via` and `remove`: they forget
    what was parsed before. An attribute that is parsed raises RemoteError(400) where its header is
    malformed, or missing though it must be there.
    """

    __slots__ = (
        *("allow", "authorization", "body", "call_id", "contacts", "content_type", "cseq"),
        *("expires", "from_", "headers", "index", "max_forwards", "record_routes", "repeats"),
        *("require", "routes", "supported", "to", "via", "vias"),
    )

    body: bytes
    headers: list[Header]
    """Canonical name and raw value (unfolded, stripped), in the order of the wire."""
    index: dict[str, str]
    """The raw value of the first line of each header."""
    repeats: bool
    """Whether any header has more than one line."""
    via: Via
    """The top one."""
    vias: tuple[Via, ...]
    """The whole path, the latest hop first."""
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: CSeq
    contacts: tuple[NameAddr, ...]
    """`(STAR,)` for `Contact: *`."""
    max_forwards: int | None
    """Hops left; None where the sender set no limit."""
    expires: int | None
    """Seconds; None where there is no such header that can be read."""
    content_type: str
    """Type and subtype in lower case, without parameters; '' if there is none."""
    authorization: Credentials | None
    require: frozenset[str]
    supported: frozenset[str]
    allow: frozenset[str]
    routes: tuple[NameAddr, ...]
    record_routes: tuple[NameAddr, ...]

    if not TYPE_CHECKING:  # else mypy would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            """Parse an attribute at first use: a slot is empty until then."""
            read = _READ.get(name)
            if read is None:
                raise AttributeError(name)
            value = read(self)
            setattr(self, name, value)
            return value

    def first(self, name: str) -> str | None:
        """Return the raw value of the first header of that name."""
        return self.index.get(name)

    def all(self, name: str) -> list[str]:
        """Return the raw value of each header line of that name."""
        if not self.repeats:
            return [self.index[name]] if name in self.index else []
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
        self._forget(name)

    def add(self, name: str, value: str) -> None:
        """Append one more line of a header."""
        name = _settable(name, value)
        self.headers.append((name, value))
        self._forget(name)

    def prepend(self, name: str, value: str) -> None:
        """Put a line before all others: a request's own Via."""
        name = _settable(name, value)
        self.headers.insert(0, (name, value))
        self._forget(name)

    def replace_via(self, text: str, via: Via) -> None:
        """Write `text`, which begins with `via`, in place of the top Via line.

        All else that was parsed stays remembered: every request over UDP passes here.
        """
        index = self.index
        if self.repeats:
            at = next(at for at, (name, _) in enumerate(self.headers) if name == "Via")
            self.headers[at] = ("Via", text)
            index["Via"] = text
        else:
            index["Via"] = text
            self.headers = list(index.items())
        self.via, self.vias = via, ()
        del self.vias

    def remove(self, name: str) -> None:
        """Drop every line of a header; harmless where there is none."""
        self.headers = [header for header in self.headers if header[0] != name]
        self._forget(name)

    def _forget(self, name: str) -> None:
        for attribute in ("index", "repeats", *_PARSED_FROM.get(name, ())):
            setattr(self, attribute, None)
            delattr(self, attribute)

    def _encode(self, start: str) -> bytes:
        lines = [start]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}")
        text = "".join(lines)
        if "\n" in text or "\r" in text:
            raise LocalError("A line break inside a header was about to be sent")
        lines.append("\r\n")
        return "\r\n".join(lines).encode() + self.body


class Request(Message):
    """Ask for something."""

    __slots__ = ("method", "request_uri", "target", "uri")

    request_uri: SipUri
    """The Request-URI in parts; RemoteError(416) if it is no sip or sips URI."""
    target: SipUri | str
    """The Request-URI in parts, or its text for another scheme (tel:, urn:)."""

    def __init__(self, method: str, uri: str, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.method = method
        self.uri = uri
        """The raw Request-URI."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"

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
        if self.method == "INVITE" and 100 < status < 300:
            copied = [header for header in self.headers if header[0] in _COPIED_TO_ROUTE]
        elif self.repeats:
            copied = [header for header in self.headers if header[0] in _COPIED]
        else:
            index = self.index
            copied = [(name, index[name]) for name in _COPIED if name in index]
        if to_tag is not None and not self._is_tagged():
            copied = [_tagged(header, to_tag) for header in copied]
        copied += headers
        return Response(status, reason_of(status) if reason is None else reason, copied, body)

    def _is_tagged(self) -> bool:
        try:
            return "tag" in self.to.params
        except RemoteError:
            return True  # an answer complains of this To; nobody would find a tag in it


class Response(Message):
    """Answer a request."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.status = status
        self.reason = reason

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"

    def encode(self) -> bytes:
        """Return the octets to send, with a Content-Length of its own."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")


_COPIED = ("Via", "From", "To", "Call-ID", "CSeq")
_COPIED_TO_ROUTE = (*_COPIED, "Record-Route")


def _tagged(header: Header, tag: str) -> Header:
    return ("To", f"{header[1]};tag={tag}") if header[0] == "To" else header


def _settable(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or not scan.is_token(name):
        raise LocalError(f"Not a header that may be sent: {name!r}: {value!r}")
    return canonical(name)


def _index(message: Message) -> dict[str, str]:
    index = dict(message.headers)
    return index if len(index) == len(message.headers) else dict(reversed(message.headers))


def _required(message: Message, name: str) -> str:
    value = message.index.get(name)
    if not value:
        scan.malformed(f"{name} is missing")
    return value


def _via(message: Message) -> Via:
    text = _required(message, "Via")
    return Via.parse(scan.split_top(text, ",")[0] if "," in text else text)


def _contacts(message: Message) -> tuple[NameAddr, ...]:
    text = message.index.get("Contact")
    if text is None:
        return ()
    if "," not in text and not message.repeats:
        return parse_contacts([text])
    return parse_contacts(message.values("Contact"))


def _max_forwards(message: Message) -> int | None:
    text = message.index.get("Max-Forwards")
    return None if text is None else scan.number(text, "Max-Forwards", 255)


def _content_type(message: Message) -> str:
    text = message.index.get("Content-Type", "")
    return "".join(text.partition(";")[0].split()).lower()


def _authorization(message: Message) -> Credentials | None:
    text = message.index.get("Authorization")
    return None if text is None else Credentials.parse(text)


def _name_addrs(name: str) -> Callable[[Message], tuple[NameAddr, ...]]:
    return lambda message: tuple([NameAddr.parse(value) for value in message.values(name)])


def _tokens(name: str) -> Callable[[Message], frozenset[str]]:
    return lambda message: frozenset(token for token in message.values(name) if token)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "headers": lambda message: list(message.index.items()),
    "index": _index,
    "repeats": lambda message: len(message.headers) != len(message.index),
    "via": _via,
    "vias": lambda message: tuple([Via.parse(value) for value in message.values("Via")]),
    "from_": lambda message: NameAddr.parse(_required(message, "From")),
    "to": lambda message: NameAddr.parse(_required(message, "To")),
    "call_id": lambda message: check_call_id(_required(message, "Call-ID")),
    "cseq": lambda message: CSeq.parse(_required(message, "CSeq")),
    "contacts": _contacts,
    "max_forwards": _max_forwards,
    "expires": lambda message: delta_seconds(message.index.get("Expires")),
    "content_type": _content_type,
    "authorization": _authorization,
    "require": _tokens("Require"),
    "supported": _tokens("Supported"),
    "allow": _tokens("Allow"),
    "routes": _name_addrs("Route"),
    "record_routes": _name_addrs("Record-Route"),
    "request_uri": lambda request: SipUri.parse(request.uri),
    "target": lambda request: parse_uri(request.uri),
}
"""How each attribute is read at first use."""

_PARSED_FROM: Mapping[str, tuple[str, ...]] = {
    "Via": ("via", "vias"),
    "From": ("from_",),
    "To": ("to",),
    "Call-ID": ("call_id",),
    "CSeq": ("cseq",),
    "Contact": ("contacts",),
    "Max-Forwards": ("max_forwards",),
    "Expires": ("expires",),
    "Content-Type": ("content_type",),
    "Authorization": ("authorization",),
    "Require": ("require",),
    "Supported": ("supported",),
    "Allow": ("allow",),
    "Route": ("routes",),
    "Record-Route": ("record_routes",),
}
"""What a change of a header makes forgotten besides the index."""
