"""Take what is secret out of a SIP message that is kept or shown, without changing its length.

Lines that may hold a secret are hidden but for what is known to be harmless; so a phone that writes
them in a way of its own shows less, never more.
"""

from __future__ import annotations

import re

_FIRST = frozenset(b"aAkKpPsSwW")
"""How lines begin that may hold a secret: nearly all others cost no more than this look."""
_HEADER = re.compile(
    rb"((?:proxy-)?authorization|(?:www|proxy)-authenticate|(?:proxy-)?authentication-info)[ \t]*:",
    re.I,
).match
_KEY_LINE = re.compile(rb"(a=[ \t]*crypto[ \t]*:|a=[ \t]*key-mgmt[ \t]*:|k=)", re.I).match
_SIGNAL = re.compile(rb"(signal[ \t]*=)", re.I).match
_SCHEME = re.compile(rb"[ \t]*[A-Za-z]+(?=[ \t])").match
_fields = re.compile(
    rb'(?<![A-Za-z-])([A-Za-z-]++)[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|[^\s,"]*+)'
).finditer
_SHOWN = frozenset(
    (b"username", b"realm", b"uri", b"algorithm", b"qop", b"nc", b"stale", b"domain", b"userhash")
)
_HIDDEN = frozenset((b"nonce", b"cnonce", b"response", b"opaque", b"nextnonce", b"rspauth"))
_keys = re.compile(rb"inline:[^|;\s]+(?:\|[0-9^:]+)*(?:;inline:[^|;\s]+(?:\|[0-9^:]+)*)*").fullmatch
_key = re.compile(rb"(?<=inline:)[^|;\s]+").sub
_HARMLESS = re.compile(rb"(?:KDR|WSH)=[0-9]+|UN[A-Z_]+").fullmatch
_word = re.compile(rb"[^ \t\r\n]+").sub
_passwords = re.compile(rb"([sS][iI][pP][sS]?:[^@:<>\s]{1,256}:)([^@<>\s\"]{1,128})@").sub
_hide = bytes.maketrans(
    bytes(range(256)), bytes(byte if byte in b" \t\r\n" else ord("x") for byte in range(256))
)


def redacted(data: bytes) -> bytes:
    """Return a message with `x` for keys, digest values, passwords and pressed keys.

    It has the same length. User names and realms stay, as they tell whose message it is.
    """
    lines = data.splitlines(keepends=True)
    hides = False
    for number, line in enumerate(lines):
        first = line[0]
        if first in b" \t":  # the header goes on
            if hides:
                lines[number] = line.translate(_hide)
            continue
        hides = False
        if first in _FIRST:
            lines[number], hides = _line(line)
    whole = b"".join(lines)
    return _passwords(_password, whole) if b"@" in whole else whole


def _line(line: bytes) -> tuple[bytes, bool]:
    """Return a line without its secret, and whether what goes on with it is one too."""
    if (header := _HEADER(line)) is not None:
        return header[0] + _credentials(line[header.end() :]), True
    if (key := _KEY_LINE(line)) is not None:
        return key[0] + _key_line(line[key.end() :], b"crypto" in key[0].lower()), False
    if (signal := _SIGNAL(line)) is not None:
        return signal[0] + line[signal.end() :].translate(_hide), False
    return line, False


def _credentials(value: bytes) -> bytes:
    shown = bytearray(value.translate(_hide))
    if (scheme := _SCHEME(value)) is not None:
        shown[: scheme.end()] = scheme[0]
    for field in _fields(value):
        name, begin, end = field[1].lower(), field.start(), field.end()
        if name in _SHOWN:
            shown[begin:end] = field[0]
        elif name in _HIDDEN:
            place = field.start(2)
            shown[begin:place] = value[begin:place]
            if field[2].startswith(b'"'):
                shown[place] = shown[end - 1] = ord('"')
        if value[end : end + 1] == b",":
            shown[end] = ord(",")
    return bytes(shown)


def _key_line(value: bytes, crypto: bool) -> bytes:
    """Hide keys (RFC 4568, section 9.1); of other kinds of keys, everything."""
    if not crypto:
        return value.translate(_hide)
    place = 0

    def shown(word: re.Match[bytes]) -> bytes:
        nonlocal place
        place += 1
        if place <= 2 and b":" not in word[0] and b"=" not in word[0]:  # tag and suite
            return word[0]
        if _keys(word[0]) is not None:
            return _key(lambda key: key[0].translate(_hide), word[0])
        return word[0] if _HARMLESS(word[0]) is not None else word[0].translate(_hide)

    return _word(shown, value)


def _password(found: re.Match[bytes]) -> bytes:
    return found[1] + found[2].translate(_hide) + b"@"
