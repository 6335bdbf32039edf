"""SIP messages: header text stays raw until asked for, is parsed once and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from appliance.sip.status import reason_of
from appliance.sip.uri import SipUri, parse_uri

T = TypeVar("T")
Header = tuple[str, str]


class remembered(Generic[T]):
    """Make a method an attribute computed at first use; `Message.set` makes it forgotten."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    def __get__(self, message: Any, owner: type | None = None) -> T:
        value = self._read(message)
        message.__dict__[self._name] = value
        return value


class Message:
    """Hold what requests and responses share; names given to its methods are canonical.

    Change headers only through `set`, `add` and `remove`: they forget what was parsed before.
    Every parsed attribute raises RemoteError(400) for a malformed value.
    """

    __slots__ = ("__dict__", "body", "headers")

    def __init__(self, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        """Canonical name and raw value (unfolded, stripped), in the order of the wire."""
        self.body = body

    @remembered
    def index(self) -> dict[str, str]:
        """Return the raw value of the first header of each name."""
        index = dict(self.headers)
        if len(index) != len(self.headers):
            index = dict(reversed(self.headers))
        return index

    def first(self, name: str) -> str | None:
        """Return the raw value of the first header of that name."""
        return self.index.get(name)

    def all(self, name: str) -> list[str]:
        """Return the raw value of each header line of that name."""
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
        for at, (key, _) in enumerate(self.headers):
            if key == name:
                rest = [header for header in self.headers[at + 1 :] if header[0] != name]
                self.headers[at:] = [(name, value), *rest]
                break
        else:
            self.headers.append((name, value))
        self.__dict__.clear()

    def add(self, name: str, value: str) -> None:
        """Append one more line of a header."""
        self.headers.append((_settable(name, value), value))
        self.__dict__.clear()

    def prepend(self, name: str, value: str) -> None:
        """Put a line before all others: a request's own Via."""
        self.headers.insert(0, (_settable(name, value), value))
        self.__dict__.clear()

    def replace_via(self, text: str, via: Via) -> None:
        """Write `text`, which begins with `via`, in place of the top Via line.

        All else that was parsed stays remembered: every request over UDP passes here.
        """
        for at, (name, _) in enumerate(self.headers):
            if name == "Via":
                self.headers[at] = ("Via", text)
                break
        self.index["Via"] = text
        self.__dict__.pop("vias", None)
        self.__dict__["via"] = via

    def remove(self, name: str) -> None:
        """Drop every line of a header; harmless where there is none."""
        self.headers = [header for header in self.headers if header[0] != name]
        self.__dict__.clear()

    def _required(self, name: str) -> str:
        value = self.index.get(name)
        if not value:
            scan.malformed(f"{name} is missing")
        return value

    @remembered
    def vias(self) -> tuple[Via, ...]:
        """Return the whole Via path, the latest hop first."""
        return tuple([Via.parse(value) for value in self.values("Via")])

    @remembered
    def via(self) -> Via:
        """Return the top Via."""
        text = self._required("Via")
        if "," in text:
            text = scan.split_top(text, ",")[0]
        return Via.parse(text)

    @remembered
    def from_(self) -> NameAddr:
        """Return who asks."""
        return NameAddr.parse(self._required("From"))

    @remembered
    def to(self) -> NameAddr:
        """Return who is asked for."""
        return NameAddr.parse(self._required("To"))

    @remembered
    def cseq(self) -> CSeq:
        """Return the request's number and method."""
        return CSeq.parse(self._required("CSeq"))

    @remembered
    def call_id(self) -> str:
        """Return the Call-ID."""
        return check_call_id(self._required("Call-ID"))

    @remembered
    def contacts(self) -> tuple[NameAddr, ...]:
        """Return all contacts; `(STAR,)` for `Contact: *`."""
        text = self.index.get("Contact")
        if text is None:
            return ()
        return parse_contacts(self.values("Contact"))

    @remembered
    def routes(self) -> tuple[NameAddr, ...]:
        """Return the Route headers in order."""
        return tuple([NameAddr.parse(value) for value in self.values("Route")])

    @remembered
    def record_routes(self) -> tuple[NameAddr, ...]:
        """Return the Record-Route headers in order."""
        return tuple([NameAddr.parse(value) for value in self.values("Record-Route")])

    @remembered
    def max_forwards(self) -> int | None:
        """Return the hops left, None where the sender set no limit."""
        text = self.index.get("Max-Forwards")
        return None if text is None else scan.number(text, "Max-Forwards", 255)

    @remembered
    def expires(self) -> int | None:
        """Return the Expires header in seconds; None where there is none that can be read."""
        return delta_seconds(self.index.get("Expires"))

    @remembered
    def content_type(self) -> str:
        """Return the body's type and subtype in lower case without parameters; '' if none."""
        text = self.index.get("Content-Type", "")
        return "".join(text.partition(";")[0].split()).lower()

    @remembered
    def authorization(self) -> Credentials | None:
        """Return the credentials for us as a server of users; None where there are none."""
        text = self.index.get("Authorization")
        return None if text is None else Credentials.parse(text)

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

    def _tokens(self, name: str) -> frozenset[str]:
        if name not in self.index:
            return frozenset()
        return frozenset([token for token in self.values(name) if token])

    def _encode(self, start: str) -> bytes:
        lines = [start]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1:
            raise LocalError("A line break inside a header was about to be sent")
        return head.encode() + self.body


class Request(Message):
    """Ask for something."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.method = method
        self.uri = uri
        """The raw Request-URI."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"

    @remembered
    def request_uri(self) -> SipUri:
        """Return the Request-URI in parts; raise RemoteError(416) if it is no sip or sips URI."""
        return SipUri.parse(self.uri)

    @remembered
    def target(self) -> SipUri | str:
        """Return the Request-URI in parts, or its text for another scheme (tel:, urn:)."""
        return parse_uri(self.uri)

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
        """Answer: copy what RFC 3261, section 8.2.6.2 and 12.1.1 copy; all of it raw.

        `to_tag` is added where the request has none, as every answer but 100 needs it.
        """
        answer = self._copied(dialog=self.method == "INVITE" and 100 < status < 300)
        if to_tag is not None:
            _tag_to(answer, to_tag)
        answer += headers
        return Response(status, reason_of(status) if reason is None else reason, answer, body)

    def _copied(self, dialog: bool) -> list[Header]:
        wanted = _COPIED_DIALOG if dialog else _COPIED
        return [header for header in self.headers if header[0] in wanted]


_COPIED = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))
_COPIED_DIALOG = _COPIED | {"Record-Route"}


def _tag_to(headers: list[Header], tag: str) -> None:
    for at, (name, value) in enumerate(headers):
        if name == "To":
            headers[at] = ("To", _tagged(value, tag))
            return


def _tagged(value: str, tag: str) -> str:
    try:
        return value if "tag" in NameAddr.parse(value).params else f"{value};tag={tag}"
    except RemoteError:
        return value  # it is what the answer complains of; nobody could find a tag in it


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


def _settable(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or not scan.is_token(name):
        raise LocalError(f"Not a header that may be sent: {name!r}: {value!r}")
    return canonical(name)
