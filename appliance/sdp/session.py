"""Session descriptions (RFC 8866): read within bounds in one pass, and written back.

`Session.parse` and `Session.encode` are inverse but for line ends and the order of lines within a
section, which is always the RFC's when written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, cast

import msgspec

from appliance.errors import RemoteError

BODY_LIMIT = 64 << 10
"""Bytes; the SIP body limit. The longest real description seen has 6 KB."""
LINE_LIMIT = 1000
"""Lines; a video offer with ICE candidates has some 150."""
MEDIA_LIMIT = 16
"""m-lines; each costs ports, and phones offer up to 4."""
FORMAT_LIMIT = 128
"""Formats of one m-line; RTP has no more payload types."""

_NO_LINE = "SDP: a line that is not <letter>=<value>"

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


class Attribute(NamedTuple):
    """One a= line: `name:value`, or `name` alone where value is None."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class Line(NamedTuple):
    """A line we only carry: its letter and the rest."""

    letter: str
    value: str


class Origin(msgspec.Struct, frozen=True):
    """The o= line: who wrote the description, and which revision it is."""

    session_id: int
    version: int
    """Grows by one with every description that differs from the one before (RFC 3264, 8)."""
    username: str = "holdfast"
    address: str = "0.0.0.0"

    @classmethod
    def parse(cls, value: str) -> Origin:
        """Read `<username> <id> <version> IN IP4|IP6 <address>`."""
        words = value.split()
        if len(words) != 6:
            raise RemoteError(400, "SDP: the o= line needs six words")
        username, session_id, version, _, _, address = words
        return cls(_number(session_id, "o="), _number(version, "o="), username, address)

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {network(self.address)}"


class Attributed:
    """What sessions and media share: looking up attributes by name."""

    __slots__ = ()
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> str | None:
        """Return the first value of an attribute, `` for a flag, None when it is missing."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value or ""
        return None

    def all(self, name: str) -> list[str]:
        """Return every value of an attribute in order."""
        return [value or "" for key, value in self.attributes if key == name]

    @property
    def own_direction(self) -> Direction | None:
        """The direction attribute of this section itself, None when it has none."""
        for name, _ in self.attributes:
            if name in DIRECTIONS:
                return cast(Direction, name)
        return None


class Media(Attributed, msgspec.Struct, frozen=True):
    """One m-line and what belongs to it."""

    kind: str
    """audio, video, text, image, application or message."""
    port: int
    """Transport port; 0: this stream is refused or ended."""
    protocol: str
    """e.g. RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVPF."""
    formats: tuple[str, ...]
    """RTP payload types in order of preference; never empty."""
    connection: str | None = None
    """Address of its own c= line; None: the session's counts."""
    lines: tuple[Line, ...] = ()
    """i= and b= lines."""
    attributes: tuple[Attribute, ...] = ()

    @property
    def rtpmaps(self) -> dict[str, str]:
        """Payload type to `encoding/clock[/channels]`, as far as the description says."""
        return read_rtpmaps(self.all("rtpmap"))

    @property
    def ptime(self) -> int | None:
        """Milliseconds of media in a packet, where a whole number was given."""
        value = self.attribute("ptime")
        return int(value) if value and value.isascii() and value.isdigit() else None

    @property
    def crypto(self) -> list[str]:
        """Raw values of the a=crypto lines, for `sdp.crypto`."""
        return self.all("crypto")

    @property
    def secure(self) -> bool:
        """Tell whether the profile is one of SRTP's (RTP/SAVP, RTP/SAVPF, over DTLS or not)."""
        return self.protocol.upper().endswith(("/SAVP", "/SAVPF"))

    @property
    def is_fax(self) -> bool:
        """Tell whether this is T.38 over UDPTL, which nothing protects (RFC 3362)."""
        return self.kind == "image" and self.protocol.lower() == "udptl"


class Session(Attributed, msgspec.Struct, frozen=True):
    """A whole description."""

    origin: Origin
    name: str = "-"
    connection: str | None = None
    """Address of the session's c= line, for every m-line that has none of its own."""
    lines: tuple[Line, ...] = ()
    """i=, u=, e=, p=, b=, r=, z= and k= lines."""
    times: tuple[str, ...] = ("0 0",)
    attributes: tuple[Attribute, ...] = ()
    media: tuple[Media, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> Session:
        """Read a description; raises RemoteError(400) naming what is wrong with it."""
        sections = _sections(body)
        head = _head(sections[0])
        return cls(*head, media=tuple([_media(section) for section in sections[1:]]))

    def encode(self) -> bytes:
        """Write it with CRLF line ends and sections in the RFC's order."""
        rows = ["v=0", f"o={self.origin}", f"s={self.name}", *_rows(self.lines, "iuep")]
        if self.connection is not None:
            rows.append(f"c={network(self.connection)}")
        rows += _rows(self.lines, "b")
        rows += [f"t={time}" for time in self.times]
        rows += _rows(self.lines, "rzk")
        rows += [f"a={attribute}" for attribute in self.attributes]
        for media in self.media:
            rows += _media_rows(media)
        rows.append("")
        return "\r\n".join(rows).encode("utf-8", "surrogateescape")

    def direction_of(self, media: Media) -> Direction:
        """Return a stream's direction: its own, else the session's, else sendrecv."""
        return media.own_direction or self.own_direction or "sendrecv"

    def connection_of(self, media: Media) -> str | None:
        """Return the address a stream is received at: its own, else the session's."""
        return self.connection if media.connection is None else media.connection


def read_rtpmaps(values: Iterable[str]) -> dict[str, str]:
    """Return payload type to `encoding/clock[/channels]` from the values of a=rtpmap lines."""
    maps: dict[str, str] = {}
    for value in values:
        payload_type, _, encoding = value.partition(" ")
        maps[payload_type] = encoding.strip()
    return maps


def network(address: str) -> str:
    """Write an address as o= and c= lines want it."""
    return f"IN IP6 {address}" if ":" in address else f"IN IP4 {address}"


def _rows(lines: tuple[Line, ...], letters: str) -> list[str]:
    return [f"{letter}={value}" for letter, value in lines if letter in letters]


def _media_rows(media: Media) -> list[str]:
    formats = " ".join(media.formats)
    rows = [f"m={media.kind} {media.port} {media.protocol} {formats}", *_rows(media.lines, "i")]
    if media.connection is not None:
        rows.append(f"c={network(media.connection)}")
    rows += _rows(media.lines, "bk")
    rows += [f"a={attribute}" for attribute in media.attributes]
    return rows


def _sections(body: bytes) -> list[list[str]]:
    """Split into the lines of the session's section and of one for each m-line."""
    if len(body) > BODY_LIMIT:
        raise RemoteError(400, f"SDP: longer than {BODY_LIMIT} bytes")
    whole = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    if "\r" in whole or "\0" in whole:
        raise RemoteError(400, _NO_LINE)
    texts = whole.split("\n")
    if len(texts) > LINE_LIMIT:
        raise RemoteError(400, f"SDP: more than {LINE_LIMIT} lines")
    section: list[str] = []
    sections = [section]
    for text in texts:
        if not text:
            continue
        if text[1:2] != "=":
            raise RemoteError(400, _NO_LINE)
        if text[0] == "m":
            section = []
            sections.append(section)
        section.append(text)
    if len(sections) > MEDIA_LIMIT + 1:
        raise RemoteError(400, f"SDP: more than {MEDIA_LIMIT} m-lines")
    return sections


_Head = tuple[Origin, str, str | None, tuple[Line, ...], tuple[str, ...], tuple[Attribute, ...]]


def _head(section: list[str]) -> _Head:
    if not section or section[0] != "v=0":
        raise RemoteError(400, "SDP: it must begin with v=0")
    kept: list[Line] = []
    times: list[str] = []
    attributes: list[Attribute] = []
    single: dict[str, str] = {}
    for text in section[1:]:
        letter = text[0]
        if letter == "a":
            attributes.append(_attribute(text))
        elif letter == "t":
            times.append(text[2:])
        elif letter in "iuepbrzk":
            kept.append(Line(letter, text[2:]))
        elif letter in "osc" and letter not in single:
            single[letter] = text[2:]
        else:
            raise RemoteError(400, f"SDP: unexpected {letter!r} line")
    if "o" not in single:
        raise RemoteError(400, "SDP: the o= line is missing")
    connection = _connection(single["c"]) if "c" in single else None
    name = single.get("s", "-")
    origin = Origin.parse(single["o"])
    return origin, name, connection, tuple(kept), tuple(times or ["0 0"]), tuple(attributes)


def _media(section: list[str]) -> Media:
    kind, port, protocol, formats = _m_line(section[0][2:])
    kept: list[Line] = []
    attributes: list[Attribute] = []
    connection: str | None = None
    for text in section[1:]:
        letter = text[0]
        if letter == "a":
            attributes.append(_attribute(text))
        elif letter in "ibk":
            kept.append(Line(letter, text[2:]))
        elif letter == "c":
            # Several c= lines are for layered multicast (RFC 8866, 5.7): only the first counts.
            connection = connection or _connection(text[2:])
        else:
            raise RemoteError(400, f"SDP: unexpected {letter!r} line after m=")
    return Media(kind, port, protocol, formats, connection, tuple(kept), tuple(attributes))


def _m_line(value: str) -> tuple[str, int, str, tuple[str, ...]]:
    words = value.split()
    if len(words) < 4:
        raise RemoteError(400, "SDP: the m= line needs kind, port, protocol and formats")
    if len(words) > 3 + FORMAT_LIMIT:
        raise RemoteError(400, f"SDP: more than {FORMAT_LIMIT} formats in an m-line")
    # `port/number` asks for consecutive ports; nobody but layered multicast does.
    port = _number(words[1].partition("/")[0], "m=")
    if port > 65535:
        raise RemoteError(400, f"SDP: port {port} does not exist")
    return words[0], port, words[2], tuple(words[3:])


def _attribute(text: str) -> Attribute:
    name, colon, value = text[2:].partition(":")
    return Attribute(name, value if colon else None)


def _connection(value: str) -> str:
    """Return the address of `IN IP4 address[/ttl[/number]]`."""
    words = value.split()
    if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
        raise RemoteError(400, "SDP: the c= line must be IN IP4|IP6 <address>")
    return words[2].partition("/")[0]


def _number(text: str, where: str) -> int:
    # 20 digits hold the 64 bits the RFC speaks of; int() of longer ones grows quadratic.
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise RemoteError(400, f"SDP: {text[:24]!r} in {where} is not a number")
    return int(text)
