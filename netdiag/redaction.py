# SPDX-License-Identifier: GPL-2.0-only
"""Hide what is secret in SIP on its way to a capture file; no length changes.

A line that may hold a secret is hidden but for what is known to be harmless. So the part of a line
that has come already can be judged before the rest has.
"""

from __future__ import annotations

import re

MOST_FLOWS = 4096
"""Directions of TCP connections that are followed."""
LONGEST_LINE = 16_384
"""Octets; what is longer is no SIP, and hidden."""

_secret = re.compile(
    rb"((?:proxy-)?authorization|(?:www|proxy)-authenticate|(?:proxy-)?authentication-info)[ \t]*:"
    rb"|(a=[ \t]*crypto[ \t]*:)|(a=[ \t]*key-mgmt[ \t]*:|k=|signal[ \t]*=)",
    re.I,
).match
_FIRST = frozenset(b"aAkKpPsSwW")
_start = re.compile(rb"SIP/2\.0 [1-6]\d\d |[A-Z]{3,16} (?:sips?|tel|urn):[^\s]+ SIP/2\.0\r\n").match
_scheme = re.compile(rb"[ \t]*[A-Za-z]+(?=[ \t])").match
_fields = re.compile(
    rb'(?<![A-Za-z-])([A-Za-z-]++)[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|[^\s,"]*+)'
).finditer
_SHOWN = frozenset((b"username", b"realm", b"uri", b"algorithm", b"qop", b"nc", b"stale"))
_word = re.compile(rb"[^ \t\r\n]+").sub
_parameters = re.compile(rb"(inline:)|([^|;]+)|(.)", re.S).sub
_harmless = re.compile(rb"[0-9^:]{1,8}").fullmatch  # lifetime, length of the MKI
_hide = bytes.maketrans(
    bytes(range(256)), bytes(byte if byte in b" \t\r\n" else ord("x") for byte in range(256))
)


def redacted(data: bytes) -> bytes:
    """Return a whole message without its secrets."""
    return _lines(data, False)[0]


class Streams:
    """TCP connections, octet by octet: what is hidden may lie across packets."""

    def __init__(self, most: int = MOST_FLOWS) -> None:
        self._most = most
        self._flows: dict[bytes, _Direction] = {}

    def take(self, flow: bytes, sequence: int, begins: bool, data: bytes) -> bytes:
        """Return a segment's data without secrets; `flow` names the direction, `begins` is SYN."""
        direction = self._flows.pop(flow, None)
        if direction is None:
            direction = _Direction()
            if len(self._flows) >= self._most:
                del self._flows[next(iter(self._flows))]
        self._flows[flow] = direction
        if begins:
            direction.begin(sequence + 1)
            return data.translate(_hide)  # TCP Fast Open; nobody speaks SIP so
        return direction.take(sequence, data) if data else data


class _Direction:
    """One direction of a connection."""

    def __init__(self) -> None:
        self._next: int | None = None
        """Sequence number that follows; None: we have come into the middle."""
        self._line = b""
        """What has come of the line that is not complete."""
        self._hides = False
        """Whether a line that goes on is secret."""

    def begin(self, sequence: int) -> None:
        self._next, self._line, self._hides = sequence % (1 << 32), b"", False

    def take(self, sequence: int, data: bytes) -> bytes:
        if self._next is not None and (sequence - self._next) % (1 << 32) >= 1 << 31:
            return data.translate(_hide)  # seen already, or it comes late
        if sequence != self._next:
            return self._join(sequence, data)
        self._next = (sequence + len(data)) % (1 << 32)
        return self._follow(data)

    def _join(self, sequence: int, data: bytes) -> bytes:
        """Come into the middle: what goes on from before is hidden, unless a message begins."""
        self._next, self._line = (sequence + len(data)) % (1 << 32), b""
        end = 0 if _start(data) is not None else data.find(b"\n") + 1
        if end == 0 and _start(data) is None:
            self._next = None
            return data.translate(_hide)
        self._hides = True
        return data[:end].translate(_hide) + self._follow(data[end:])

    def _follow(self, data: bytes) -> bytes:
        before = len(self._line)
        if before > LONGEST_LINE:
            self._next = None
            return data.translate(_hide)
        whole = self._line + data
        shown, _ = _lines(whole, self._hides)
        rest = whole.rfind(b"\n") + 1
        if rest:
            # The last line is judged anew when it goes on, with what it began with.
            self._hides = _lines(whole[:rest], self._hides)[1]
        self._line = whole[rest:]
        return shown[before:]


def _lines(data: bytes, hides: bool) -> tuple[bytes, bool]:
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line[0] in b" \t":
            lines[number] = line.translate(_hide) if hides else line
            continue
        hides = False
        if line[0] in _FIRST and (found := _secret(line)) is not None:
            rest = line[found.end() :]
            hides = found[1] is not None
            shown = _credentials if hides else _keys if found[2] else _hidden
            lines[number] = found[0] + shown(rest)
    return b"".join(lines), hides


def _hidden(value: bytes) -> bytes:
    return value.translate(_hide)


def _credentials(value: bytes) -> bytes:
    shown = bytearray(value.translate(_hide))
    if (scheme := _scheme(value)) is not None:
        shown[: scheme.end()] = scheme[0]
    for field in _fields(value):
        name = field[1].lower()
        if name in _SHOWN:
            shown[field.start() : field.end()] = field[0]
        elif name in (b"nonce", b"cnonce", b"response", b"opaque", b"nextnonce", b"rspauth"):
            begin, place, end = field.start(), field.start(2), field.end()
            shown[begin:place] = value[begin:place]
            if field[2].startswith(b'"'):
                shown[place] = shown[end - 1] = ord('"')
        if value[field.end() : field.end() + 1] == b",":
            shown[field.end()] = ord(",")
    return bytes(shown)


def _keys(value: bytes) -> bytes:
    """Hide all behind tag and suite but `inline:` and what separates (RFC 4568, section 9.1)."""
    place = 0

    def shown(word: re.Match[bytes]) -> bytes:
        nonlocal place
        place += 1
        if place <= 2 and b":" not in word[0] and b"=" not in word[0]:
            return word[0]
        return _parameters(_parameter, word[0])

    return _word(shown, value)


def _parameter(part: re.Match[bytes]) -> bytes:
    if part[2] is None:
        return part[0]
    return part[0] if _harmless(part[0]) is not None else part[0].translate(_hide)
