"""SIP messages: requests, responses, and how one is answered with the other."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from appliance.errors import LocalError, RemoteError
from appliance.sip.head import Head, Header
from appliance.sip.plain import AT, Groups, read_target
from appliance.sip.status import reason_of
from appliance.sip.uri import SipUri, parse_uri

__all__ = ["Header", "Message", "Request", "Response"]

_TO_TAG = AT["To"] + 8
_LENGTH = "Content-Length"
_COPIED: tuple[str, ...] = ("Via", "From", "To", "Call-ID", "CSeq")
_COPIED_TO_ROUTE = (*_COPIED, "Record-Route")
_copied_parts = itemgetter(*[AT[name] for name in _COPIED])


class Message(Head):
    """Hold what requests and responses share."""

    __slots__ = ("body",)

    body: bytes

    def _encode(self, start: str) -> bytes:
        """Write it all, with a Content-Length of its own; no line break inside a line."""
        text = self._ready
        if text is None:
            lines = [f"{name}: {value}" for name, value in self.headers if name != _LENGTH]
            _check_lines(start, *lines)
            text = "\r\n".join([*lines, ""])
        else:
            _check_lines(start)
        return f"{start}\r\n{text}{_LENGTH}: {len(self.body)}\r\n\r\n".encode() + self.body


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
        wanted = _COPIED
        plain = self._plain
        if self.method == "INVITE" and 100 < status < 300 and self.first("Record-Route"):
            wanted, plain = _COPIED_TO_ROUTE, None
        if plain is not None:
            tag = "" if to_tag is None or plain[_TO_TAG] is not None else f";tag={to_tag}"
            response = Response(status, reason, [], body)
            response.copy_plain(plain, tag, headers)
            return response
        if to_tag is not None and self._is_tagged():
            to_tag = None
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
        _check_lines(tag, *further)
        start = f"Via: {via}\r\nFrom: {from_}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}"
        self._headers = None
        self._ready = "\r\n".join((start, f"CSeq: {cseq}", *further, ""))

    def encode(self) -> bytes:
        """Return the octets to send, with a Content-Length of its own."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")


def _tagged(header: Header, tag: str) -> Header:
    return ("To", f"{header[1]};tag={tag}") if header[0] == "To" else header


def _check_lines(*lines: str) -> None:
    """Raise LocalError if a line to be sent has a line break inside."""
    text = "".join(lines)
    if "\n" in text or "\r" in text:
        raise LocalError("A line break inside a header was about to be sent")
