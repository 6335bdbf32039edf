"""Bodies of several parts (RFC 2046, section 5.1; RFC 5621): SDP with a location beside it."""

from __future__ import annotations

from typing import NamedTuple

from appliance.errors import RemoteError

PARTS_LIMIT = 8
"""SDP, a location, a picture of the caller: more is nobody's phone."""


class Part(NamedTuple):
    """One part of a body."""

    content_type: str
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Besides Content-Type, e.g. Content-ID."""

    @property
    def kind(self) -> str:
        """Return type and subtype in lower case."""
        return self.content_type.partition(";")[0].strip().lower()


def join(parts: list[Part], boundary: str) -> tuple[str, bytes]:
    """Return Content-Type and body; `boundary` must be a name that no part contains."""
    pieces = []
    for part in parts:
        lines = [f"--{boundary}", f"Content-Type: {part.content_type}"]
        lines += [f"{name}: {value}" for name, value in part.headers]
        pieces.append("\r\n".join([*lines, "", ""]).encode() + part.content + b"\r\n")
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return f'multipart/mixed;boundary="{boundary}"', body


def split(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a multipart body; raises RemoteError 400 where it is none."""
    boundary = _boundary(content_type)
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter, PARTS_LIMIT + 2)
    if len(pieces) < 3 or len(pieces) > PARTS_LIMIT + 2:
        raise RemoteError(400, f"the body has not 1 to {PARTS_LIMIT} whole parts")
    if not pieces[-1].startswith(b"--"):
        raise RemoteError(400, "the last part of the body has no end")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    """Read one part: what follows its delimiter line."""
    _, _, rest = piece.partition(b"\r\n")
    head, gap, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not gap:
        raise RemoteError(400, "a part of the body has no content")
    headers = []
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers.append((name.strip(), value.strip()))
    kind = next((value for name, value in headers if name.lower() == "content-type"), "text/plain")
    rest_of = tuple([row for row in headers if row[0].lower() != "content-type"])
    return Part(kind, content, rest_of)


def _boundary(content_type: str) -> bytes:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary":
            text = value.strip().strip('"')
            if 0 < len(text) <= 70 and text.isascii():
                return text.encode()
    raise RemoteError(400, "a body of several parts without a boundary")
