"""Ways out of the site, and how a leg on one is dressed: nothing of the inside shows (E2).

A leg with a `Line` leads to an SBC or to another site. What it is told passes through `shown`,
which lets through only what is known to be harmless; so topology is hidden by construction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import msgspec
from msgspec.structs import replace

from appliance.bundle import SrtpPolicy
from appliance.errors import RemoteError
from appliance.sdp.offer_answer import encodings
from appliance.sdp.session import DIRECTIONS, Media, Session

_SHOWN = DIRECTIONS | {"rtpmap", "fmtp", "ptime", "maxptime", "crypto", "silenceSupp"}
"""Attributes that say nothing of who is behind us; `ssrc`, for one, carries a phone's address."""
_FAX_WORDS = """
version fillbitremoval transcodingmmr transcodingjbig ratemanagement maxbuffer maxdatagram
maxifp udpec udpecdepth udpfecmaxspan
"""
_FAX = frozenset(f"t38fax{word}" for word in _FAX_WORDS.split()) | {"t38maxbitrate"}
"""Attributes of T.38 (its annex D), lower case; `T38VendorInfo` tells whose device is behind us."""
_BESIDE = frozenset({"telephone-event", "cn"})
"""Formats that go along with whatever codec is chosen."""


class Line(msgspec.Struct, frozen=True):
    """A way out of the site."""

    name: str
    """In records and counts, e.g. `main/sbc1.example.net:5061`."""
    srtp: SrtpPolicy = "preferred"
    codecs: tuple[str, ...] = ()
    """Names of the codecs that may be used, lower case, the preferred first; empty: any."""
    payer: str = ""
    """Id of the user by whose right the call leaves the site; empty: nobody's."""


class OnLine(Protocol):
    """A leg as its line sees it; `leg.Leg` fulfils it."""

    line: Line | None

    def cut_off(self, now: float) -> None:
        """Take that whoever is at the line's other end is gone."""
        ...


class Lines:
    """Know which legs are on which line: for limits, and to make room."""

    def __init__(self) -> None:
        self._legs: dict[str, dict[OnLine, None]] = {}
        self._payers: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._legs.values()))

    def join(self, leg: OnLine) -> None:
        """Count a leg on its line; one without a line is none of ours."""
        if leg.line is not None:
            self._legs.setdefault(leg.line.name, {})[leg] = None
            self._payers[leg.line.payer] += 1

    def leave(self, leg: OnLine) -> None:
        """Forget a leg; harmless twice."""
        legs = self._legs.get(leg.line.name) if leg.line is not None else None
        if leg.line is None or legs is None or leg not in legs:
            return
        del legs[leg]
        if not legs:
            del self._legs[leg.line.name]
        self._payers[leg.line.payer] -= 1
        if not self._payers[leg.line.payer]:
            del self._payers[leg.line.payer]

    def count(self, name: str) -> int:
        """Return how many legs are on a line."""
        return len(self._legs.get(name, ()))

    def paid_by(self, payer: str) -> int:
        """Return how many legs are outside by the right of a user."""
        return self._payers[payer]

    def on(self, name: str) -> Iterator[OnLine]:
        """Return the legs on a line, the oldest first."""
        return iter(tuple(self._legs.get(name, ())))


def shown(session: Session, line: Line | None) -> Session:
    """Return a description as it may be told on a line; one to a phone is told as it is."""
    if line is None:
        return session
    media = tuple([_bare(one) for one in session.media])
    kept = tuple([one for one in session.attributes if one.name in DIRECTIONS])
    return replace(session, name="-", lines=(), attributes=kept, media=media)


def passable(media: Media, offering: Line | None, to: Line | None) -> Media:
    """Return an offered line with the codecs that both lines allow, in their order.

    Raises RemoteError 488 with what each side has where nothing is left.
    """
    for line in (offering, to):
        if line is not None and line.codecs and media.kind == "audio":
            media = _chosen(media, line)
    return media


def _chosen(media: Media, line: Line) -> Media:
    names = [name.partition("/")[0] for name in encodings(media.formats, media.rtpmaps)]
    pairs = list(zip(media.formats, names, strict=True))
    formats = [number for codec in line.codecs for number, name in pairs if name == codec]
    if not formats:
        offered = ", ".join(dict.fromkeys(name for name in names if name not in _BESIDE))
        text = f"no codec in common: offered {offered[:80]}; allowed {', '.join(line.codecs)}"
        raise RemoteError(488, text)
    formats += [number for number, name in pairs if name in _BESIDE]
    kept = tuple(
        [
            one
            for one in media.attributes
            if one.name not in ("rtpmap", "fmtp") or (one.value or "").partition(" ")[0] in formats
        ]
    )
    return replace(media, formats=tuple(formats), attributes=kept)


def _bare(media: Media) -> Media:
    lines = tuple([line for line in media.lines if line.letter == "b"])
    known = _FAX if media.is_fax else _SHOWN
    names = [one.name.lower() if media.is_fax else one.name for one in media.attributes]
    pairs = zip(names, media.attributes, strict=True)
    kept = tuple([one for name, one in pairs if name in known or name in DIRECTIONS])
    return replace(media, lines=lines, attributes=kept)
