"""From octets to whole messages: one datagram, or a stream cut at Content-Length.

The limits come from style rule 8. They bound the memory one sender can make us hold: a stream
keeps at most `MAX_HEAD + MAX_BODY` octets plus what one read delivers.
"""

from __future__ import annotations

import re

from appliance.errors import RemoteError
from appliance.sip import scan
from appliance.sip.message import Header, Message, Request, Response
from appliance.sip.names import KNOWN, canonical
from appliance.sip.plain import AT, MAX_HEADERS, METHOD, REASON, STATUS, URI, match_plain

MAX_HEAD = 16 * 1024
"""Start line and headers: the longest INVITE seen from any phone or SBC is below 8 KiB."""
MAX_BODY = 64 * 1024
"""A datagram cannot carry more, and no SDP, dialog state or text message needs more."""
MAX_VIAS = 70
"""One for every hop that Max-Forwards 70 allows (RFC 3261, section 8.1.1.6)."""

_LENGTH = AT["Content-Length"]
_VERSION = "SIP/2.0"
_folds_and_lengths = re.compile(
    rb"\n(?:([ \t])|(?:[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]|[Ll])"
    rb"[ \t]*:[ \t]*([^\r\n]*))"
).findall
_fold_or_length = re.compile(rb"\n(?:[ \t]|[Ll][ \t:]|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll])").search
_NO_BODY = b"\r\nContent-Length: 0\r\n\r\n"
_line_breaks = re.compile(rb"(?:\r\n)*").match
_SALVAGED = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))


class BadMessage(RemoteError):
    """Report octets that are no message; `request` is what an answer can be built from."""

    def __init__(self, status: int, reason: str, request: Request | None) -> None:
        super().__init__(status, reason)
        self.request = request
        """Start line and the headers a response copies; None: nothing to answer, drop it."""


def parse(data: bytes) -> Request | Response:
    """Read one whole message: a datagram, or what `StreamFramer` cut out.

    Line breaks before it and octets beyond Content-Length are ignored; without Content-Length the
    body is all the rest. Raises BadMessage.
    """
    end = len(data) if data[-4:] == b"\r\n\r\n" else data.find(b"\r\n\r\n") + 4
    if 4 <= end <= MAX_HEAD and (message := _parse_plain(data, end)) is not None:
        return message
    head, _, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    try:
        return _parse(head, body)
    except RemoteError as error:
        raise BadMessage(error.status, error.reason, _salvage(head)) from None


def _parse_plain(data: bytes, end: int) -> Request | Response | None:
    """Read a message with nothing unusual in it; None for any other, right or wrong."""
    try:
        text = data[:end].decode()
    except UnicodeDecodeError:
        return None
    plain = match_plain(text)
    if plain is None:
        return None
    length = plain[_LENGTH]
    body = data[end:] if length is None else data[end : end + int(length)]
    if len(body) > MAX_BODY or (length is not None and len(body) != int(length)):
        return None
    message: Request | Response
    if plain[METHOD]:
        message = Request(plain[METHOD], plain[URI], [], body)
    else:
        message = Response(int(plain[STATUS]), plain[REASON], [], body)
    message.take_plain(plain, text)
    return message


def _parse(head: bytes, body: bytes) -> Request | Response:
    if len(head) > MAX_HEAD:
        raise RemoteError(513, "The headers are too long")
    lines = _decode(head).split("\r\n")
    text = "".join(lines)
    if "\n" in text or "\r" in text:
        scan.malformed("A line ends in something else than CR LF")
    start = lines.pop(0)
    if lines and not lines[-1]:
        lines.pop()
    message = _start(start)
    _fill(message, lines)
    message.body = _body(message, body)
    return message


def _decode(head: bytes) -> str:
    """Read UTF-8, or Latin-1 as some phones send display names."""
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _fill(message: Message, lines: list[str]) -> None:
    """Store the headers: by name alone where none comes twice, as nearly always."""
    if len(lines) > MAX_HEADERS:
        scan.malformed("Too many headers")
    known = KNOWN
    try:
        index = {known[name]: text.strip(" \t") for name, text in [s.split(":", 1) for s in lines]}
    except (KeyError, ValueError):
        headers = _headers(lines)
    else:
        if len(index) == len(lines):
            message.take_index(index)
            return
        headers = [
            (known[name], text.strip(" \t")) for name, text in [s.split(":", 1) for s in lines]
        ]
    message.headers.extend(headers)
    if len(message.all("Via")) > MAX_VIAS:
        scan.malformed("Too many Via headers")


def _headers(lines: list[str]) -> list[Header]:
    """Read lines of any spelling, folded ones too."""
    headers: list[Header] = []
    for line in _unfolded(lines):
        name, colon, value = line.partition(":")
        if not colon:
            scan.malformed("A header line has no colon")
        headers.append((canonical(name), value.strip(" \t")))
    return headers


def _unfolded(lines: list[str]) -> list[str]:
    whole: list[list[str]] = []
    for line in lines:
        if line[:1] not in (" ", "\t"):
            whole.append([line])
        elif whole:
            whole[-1].append(line.strip(" \t"))
        else:
            scan.malformed("The first header line is a continuation")
    return [" ".join(pieces) for pieces in whole]


def _start(line: str) -> Request | Response:
    words = line.split(" ", 2)
    if len(words) == 2 and words[0].upper() == _VERSION:
        words.append("")  # the blank before an empty reason is often forgotten
    if len(words) != 3:
        scan.malformed("Bad start line")
    first, second, third = words
    if third == _VERSION:
        if not scan.is_token(first) or not second or "<" in second:
            scan.malformed("Bad request line")
        return Request(first, second, [])
    if first.upper() == _VERSION:
        status = scan.number(second, "Status", 699)
        if status < 100:
            scan.malformed("Bad status line")
        return Response(status, third, [])
    return _other_version(first, second, third)


def _other_version(first: str, second: str, third: str) -> Request:
    name, _, number = third.upper().partition("/")
    if name != "SIP" or not scan.is_token(number):
        scan.malformed("Bad request line")
    if number != "2.0":
        raise RemoteError(505, "Only SIP/2.0 is spoken here")
    return Request(first, second, [])


def _body(message: Message, body: bytes) -> bytes:
    text = message.index.get("Content-Length")
    if text is None:
        length = len(body)
    elif message.repeats and len(message.all("Content-Length")) > 1:
        scan.malformed("Content-Length is there twice")
    else:
        length = scan.number(text, "Content-Length", 2**32 - 1)
    if length > MAX_BODY:
        raise RemoteError(413, "The body is too long")
    if length > len(body):
        scan.malformed("Content-Length is larger than the message")
    return body[:length]


def _salvage(head: bytes) -> Request | None:
    """Return what an answer copies, each once but Via; None for a response or without Via."""
    lines = _decode(head[:MAX_HEAD]).split("\r\n")
    words = lines[0].split()
    if not words or words[0].upper().startswith("SIP/") or not scan.is_token(words[0]):
        return None
    headers: list[Header] = []
    found: set[str] = set()
    try:
        rows = _unfolded(lines[1 : MAX_HEADERS + 1])
    except RemoteError:
        return None
    for line in rows:
        name, _, value = line.partition(":")
        known = KNOWN.get(name.strip(" \t").lower())
        if known in _SALVAGED and (known == "Via" or known not in found):
            found.add(known)
            headers.append((known, " ".join(value.split())))
    if "Via" not in found or len(headers) - len(found) >= MAX_VIAS:
        return None
    return Request(words[0], words[1] if len(words) > 1 else "", headers)


class StreamFramer:
    """Cut one connection's octets into whole messages.

    Once `broken` is set nothing more is taken from the stream: `parse` refuses the last message
    returned; send that answer and close.
    """

    def __init__(self) -> None:
        self.broken = False
        """The stream's framing lied; where the next message begins is unknown."""
        self._buffer = bytearray()
        self._searched = 0
        """How much of the buffer has no end of a head in it: it is never searched again."""
        self._whole = 0
        """Length of the message that has begun, 0 while its head is not whole."""
        self._breaks = 0
        self._pings = 0

    @property
    def pending(self) -> bool:
        """Tell whether a message has begun and is not whole."""
        return bool(self._buffer)

    def take_pings(self) -> int:
        """Return how many double-CRLF pings came since the last call; each wants one CRLF."""
        pings, self._pings = self._pings, 0
        return pings

    def feed(self, data: bytes) -> list[bytes]:
        """Take what the connection read; return each message that is whole now, raw."""
        if not self._buffer and not self.broken and _is_whole(data):
            self._breaks = 0
            return [data]
        messages: list[bytes] = []
        self._buffer += data
        while not self.broken and (message := self._next()) is not None:
            messages.append(message)
        if self.broken:
            self._buffer.clear()
        return messages

    def _next(self) -> bytes | None:
        if not self._whole:
            self._swallow_breaks()
            self._find_head()
        if not self._whole or len(self._buffer) < self._whole:
            return None
        message = bytes(self._buffer[: self._whole])
        del self._buffer[: self._whole]
        self._searched = self._whole = self._breaks = 0
        return message

    def _swallow_breaks(self) -> None:
        """Drop line breaks before a message; two in a row are a ping (RFC 5626, 3.5.1)."""
        if self._searched or not self._buffer.startswith(b"\r\n"):
            return
        match = _line_breaks(self._buffer)
        length = match.end() if match else 0
        self._breaks += length // 2
        self._pings += self._breaks // 2
        self._breaks %= 2
        del self._buffer[:length]

    def _find_head(self) -> None:
        """Set the length of the message, or `broken` and the length of the head so far."""
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            self._searched = max(0, len(self._buffer) - 3)
            return
        length = _framed_length(bytes(self._buffer[:end])) if 0 <= end <= MAX_HEAD else None
        if length is not None and length <= MAX_BODY:
            self._whole = end + 4 + length
            return
        self.broken = True
        self._whole = len(self._buffer) if end < 0 else end + 4


def _is_whole(data: bytes) -> bool:
    """Tell whether one read brought exactly one message, as most do."""
    end = data.find(b"\r\n\r\n")
    if not 0 < end <= MAX_HEAD or data[:2] == b"\r\n":
        return False
    if end == len(data) - 4 and data.endswith(_NO_BODY):
        # Nearly every REGISTER: the only line that says how long the body is comes last.
        found = _fold_or_length(data)
        if found is not None and found.start() == len(data) - len(_NO_BODY) + 1:
            return True
    length = _framed_length(data[:end])
    return length == len(data) - end - 4 and length <= MAX_BODY


def _framed_length(head: bytes) -> int | None:
    """Return Content-Length, 0 without one (RFC 3261, 18.3, wants it there), None for a lie."""
    found = _folds_and_lengths(head)
    if any(fold for fold, _ in found):
        head = head.replace(b"\r\n ", b"  ").replace(b"\r\n\t", b"  ")
        found = _folds_and_lengths(head)
    if not found:
        return 0
    text = found[0][1].strip()
    if len(found) > 1 or not text.isdigit() or len(text) > scan.LONGEST_NUMBER:
        return None
    return int(text)
