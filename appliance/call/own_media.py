"""Descriptions of our own, for a caller that is connected with nobody else yet."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.call.codecs import PLAYABLE, playable
from appliance.call.leg import Leg
from appliance.call.security import answered
from appliance.errors import RemoteError
from appliance.sdp.offer_answer import check_answer, direction_of, encodings, reply_to, turned
from appliance.sdp.protection import clear, without_keys
from appliance.sdp.session import Attribute, Media, Origin, Session

EVENTS = "telephone-event/8000"
G711 = {"0": "PCMU/8000", "8": "PCMA/8000"}
_OURS = Media(
    "audio",
    9,
    "RTP/AVP",
    ("0", "8", "101"),
    attributes=(
        Attribute("rtpmap", "0 PCMU/8000"),
        Attribute("rtpmap", "8 PCMA/8000"),
        Attribute("rtpmap", f"101 {EVENTS}"),
        Attribute("fmtp", "101 0-15"),
        Attribute("ptime", "20"),
    ),
)


def own_answer(offer: Session, lines: tuple[int, ...]) -> tuple[Session, int]:
    """Return our answer to an offer, and the m-line it takes; ports and keys are still to come.

    It takes one codec and telephone events only, so that whoever is joined to the caller later can
    be offered just that. Raises RemoteError 488 where we can play nothing to the caller.
    """
    index = next((index for index in lines if playable(offer.media[index])), None)
    if index is None:
        raise RemoteError(488, "no codec in which a prompt could be played")
    asked = offer.media[index]
    taken = _narrowed(asked)
    direction = reply_to(direction_of(offer, asked), "sendrecv")
    shown = [attribute for attribute in taken.attributes if attribute.name in ("rtpmap", "fmtp")]
    line = replace(
        taken,
        connection=None,
        lines=(),
        attributes=(*shown, Attribute("ptime", "20"), Attribute(direction)),
    )
    media = [
        line if number == index else replace(other, port=0)
        for number, other in enumerate(offer.media)
    ]
    return Session(Origin(1, 1), media=tuple(media)), index


def own_offer() -> Session:
    """Return what we offer a caller that leaves the offer to us."""
    return Session(Origin(1, 1), media=(_OURS,))


def passed_on(heard: Session, told: Session) -> Session:
    """Return the offer with which others are rung for a caller that is connected with us.

    What it agreed on with us, without its keys: they are between it and us.
    """
    media = [
        without_keys(_narrowed(line)) if line.port and ours.port else replace(line, port=0)
        for line, ours in zip(heard.media, told.media, strict=True)
    ]
    return replace(heard, media=tuple(media))


def offered_anew(leg: Leg) -> tuple[Session | None, tuple[int, ...]]:
    """Return what a party that talks already can be asked for, and the m-lines of it that live.

    What it has said itself, and G.711, which every phone takes; without its keys, and not on hold.
    None for a party that has said nothing yet.
    """
    heard, told = leg.heard, leg.told
    if heard is None or told is None:
        return None, ()
    media = [
        _anew(line) if line.port and ours.port else replace(line, port=0)
        for line, ours in zip(heard.media, told.media, strict=False)
    ]
    lines = tuple([index for index, line in enumerate(media) if line.port])
    return Session(Origin(1, 1), media=tuple(media)), lines


def answer_between(offer: Session, other: Session, to: Leg) -> tuple[Session, tuple[int, ...]]:
    """Return what another party's offer is as an answer to `offer`, which `to` made; and its lines.

    So two that have both offered are joined. Raises RemoteError 488 where they have nothing in
    common.
    """
    asked = [clear(line) for line in offer.media]
    theirs = [_as_answer(other, index, line) for index, line in enumerate(offer.media)]
    bare = Session(Origin(1, 1), media=tuple(theirs))
    checked = check_answer(replace(offer, media=tuple(asked)), bare)
    lines = tuple([index for index, line in enumerate(checked.media) if line.port])
    media = [
        answered(replace(line, protocol=wanted.protocol), wanted, to, index)
        if line.port
        else replace(wanted, port=0)
        for index, (line, wanted) in enumerate(zip(checked.media, offer.media, strict=True))
    ]
    return replace(checked, media=tuple(media)), lines


def _as_answer(other: Session, index: int, asked: Media) -> Media:
    line = other.media[index] if index < len(other.media) else None
    if line is None or line.kind != asked.kind or not line.port or not asked.port:
        return replace(asked, port=0)
    # In the plain profile: who of the two has which keys is settled line by line afterwards.
    line = replace(clear(line), protocol=clear(asked).protocol)
    return replace(turned(line, direction_of(other, line)), connection=other.connection_of(line))


def _anew(line: Media) -> Media:
    line = replace(turned(without_keys(line), "sendrecv"), connection=None)
    if line.kind != "audio":
        return line
    names = {name.upper() for name in encodings(line.formats, line.rtpmaps)}
    missing = [one for one, name in G711.items() if name not in names and one not in line.formats]
    maps = tuple([Attribute("rtpmap", f"{one} {G711[one]}") for one in missing])
    return replace(line, formats=(*line.formats, *missing), attributes=(*line.attributes, *maps))


def _narrowed(line: Media) -> Media:
    """Return the line with its first playable codec, and telephone events if it has them."""
    names = encodings(line.formats, line.rtpmaps)
    pairs = list(zip(line.formats, names, strict=True))
    codec = next(
        (pair for pair in pairs if pair[1].partition("/")[0].upper() in PLAYABLE), pairs[0]
    )
    formats = [codec[0], *[number for number, name in pairs if name == EVENTS][:1]]
    about = tuple(
        [
            attribute
            for attribute in line.attributes
            if attribute.name not in ("rtpmap", "fmtp")
            or (attribute.value or "").partition(" ")[0] in formats
        ]
    )
    return replace(line, formats=tuple(formats), attributes=about)
