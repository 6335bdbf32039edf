"""Offers and answers as a B2BUA with a media relay passes them on (RFC 3264, RFC 3605).

An offer is checked with `check_offer`, rewritten for the other leg with `relayed`; the answer is
checked against what was sent with `check_answer`, and rewritten for the first leg in the same way.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec.structs import replace

from appliance.bundle import SrtpPolicy
from appliance.errors import RemoteError
from appliance.sdp.crypto import CryptoAttribute, has_known_suite, read_crypto
from appliance.sdp.session import DIRECTIONS, Attribute, Direction, Media, Origin, Session

Address = tuple[str, int]

_PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"})
"""What the relay carries. DTLS-SRTP is not among them: its handshake binds to ICE's addresses."""

_PATHS = """
candidate remote-candidates end-of-candidates ice-ufrag ice-pwd ice-options ice-lite ice-mismatch
ice-pacing ice2 fingerprint setup tls-id connection dtls-message rtcp rtcp-mux rtcp-mux-only
bundle-only group msid msid-semantic
"""
"""ICE, DTLS and multiplexing: they describe paths that do not lead through us."""
_WAYS_ROUND = "source-filter alt nortpproxy tool csup creq acap tcap pcfg acfg rmcap omcap"
"""Addresses, and other profiles offered inside the offer (RFC 5939): a way round the policy."""
_HIDDEN: Final = frozenset((_PATHS + _WAYS_ROUND).split())

_REPLIES: Final[dict[tuple[Direction, Direction], Direction]] = {
    ("sendonly", "sendrecv"): "recvonly",
    ("sendonly", "sendonly"): "inactive",
    ("recvonly", "sendrecv"): "sendonly",
    ("recvonly", "recvonly"): "inactive",
    ("inactive", "sendrecv"): "inactive",
    ("inactive", "sendonly"): "inactive",
    ("inactive", "recvonly"): "inactive",
}
"""(offered, answered) to what the answerer may do at most (RFC 3264, 6.1); missing: as answered."""

_PAUSED: Final[dict[Direction, Direction]] = {"sendrecv": "sendonly", "recvonly": "inactive"}
"""What a direction means beside the address 0.0.0.0, the old way to hold (RFC 3264, 8.4)."""

_STATIC: Final = {"0": "PCMU/8000", "3": "GSM/8000", "4": "G723/8000", "8": "PCMA/8000"} | {
    "9": "G722/8000",
    "15": "G728/8000",
    "18": "G729/8000",
}
"""Payload types that need no rtpmap (RFC 3551, table 4)."""


UNPROTECTED_FAX: Final = "a fax over T.38 cannot be protected; G.711 over SRTP carries it"
"""Why T.38 is refused where SRTP is required: whoever faxes goes on in the audio."""


class RemoteMedia(NamedTuple):
    """Where one m-line wants its packets."""

    rtp: Address | None
    """None while it takes none: refused, ended, or on hold by 0.0.0.0."""
    rtcp: Address | None
    """Its a=rtcp address, else the next port."""
    direction: Direction


def parse_offer(body: bytes) -> Session | None:
    """Parse the SDP of an INVITE, None for a late offer.

    Raises RemoteError 400 or 488 with the reason.
    """
    if not body:
        return None
    session = Session.parse(body)
    if not session.media:
        raise RemoteError(488, "the offer has no media")
    return session


def check_offer(
    session: Session, policy: SrtpPolicy, before: Session | None = None
) -> tuple[int, ...]:
    """Return the indices of the m-lines to relay; raises RemoteError(488) where none can be.

    Lines of other transports, or of the wrong side of `policy`, are for `relayed` to refuse. A
    malformed key refuses the whole offer, and so does a stream that was secure in `before` (the
    last description from the same phone) and now is not.
    """
    if before is not None:
        _check_downgrade(before, session)
    reasons = {
        index: _refusal(session, media, policy)
        for index, media in enumerate(session.media)
        if media.port
    }
    lines = tuple([index for index, reason in reasons.items() if not reason])
    # With every stream ended, or none begun, an offer is legal and there is nothing to relay.
    if reasons and not lines:
        raise RemoteError(488, next(iter(reasons.values())))
    return lines


def check_answer(offer: Session, answer: Session) -> Session:
    """Return the answer as it may be passed on; raises RemoteError(488) if it is none to `offer`.

    Formats that were not offered are taken out, and a direction beyond what was offered is cut
    down to it: phones do both, and neither is worth a call.
    """
    if len(answer.media) != len(offer.media):
        raise RemoteError(488, "the answer has another number of m-lines than the offer")
    pairs = zip(offer.media, answer.media, strict=True)
    media = tuple([_checked(offer, offered, answer, answered) for offered, answered in pairs])
    if any(line.port for line in offer.media) and not any(line.port for line in media):
        raise RemoteError(488, "the answer refuses every stream")
    return replace(answer, media=media)


def relayed(
    session: Session,
    local: Mapping[int, Address],
    origin: Origin,
    policy: SrtpPolicy = "preferred",
) -> Session:
    """Return the description for the other leg: our addresses, nothing of the phone's.

    `local` maps m-line indices to our address and RTP port there (RTCP is the next port); lines
    it leaves out are refused with port 0. All addresses of one call leg may differ.
    """
    first = next(iter(local.values()), ("0.0.0.0", 0))[0]
    media = tuple(
        [
            _relayed_media(session, line, local.get(index), first, policy)
            for index, line in enumerate(session.media)
        ]
    )
    return Session(
        origin=replace(origin, address=first),
        connection=first,
        lines=tuple([line for line in session.lines if line.letter == "b"]),
        attributes=_shown(session.attributes, keys=False),
        media=media,
    )


def remote_media(session: Session) -> list[RemoteMedia]:
    """Return for each m-line where the phone receives; raises RemoteError(488) for no address."""
    return [_remote(session, media) for media in session.media]


def direction_of(session: Session, media: Media) -> Direction:
    """Return a stream's direction, with the old hold by 0.0.0.0 said in today's words."""
    direction = session.direction_of(media)
    if session.connection_of(media) in ("0.0.0.0", "::"):
        return _PAUSED.get(direction, direction)
    return direction


def reply_to(offered: Direction, answered: Direction) -> Direction:
    """Return what an answerer may do at most of what it says (RFC 3264, 6.1)."""
    return _REPLIES.get((offered, answered), answered)


def turned(media: Media, direction: Direction) -> Media:
    """Return the media with this direction attribute instead of its own."""
    kept = [attribute for attribute in media.attributes if attribute.name not in DIRECTIONS]
    return replace(media, attributes=(*kept, Attribute(direction)))


def is_hold(session: Session) -> bool:
    """Tell whether every stream that lives is one its sender does not want to hear."""
    living = [media for media in session.media if media.port]
    return bool(living) and all(direction_of(session, media) in HELD for media in living)


def versioned(session: Session, before: Session | None) -> Session:
    """Return `session` with the right version after `before`, the last one sent on this leg.

    The session id stays; the version grows by one only if anything else changed (RFC 3264, 8).
    """
    if before is None:
        return session
    same = replace(session, origin=before.origin)
    if same == before:
        return before
    return replace(session, origin=replace(before.origin, version=before.origin.version + 1))


HELD: Final = frozenset({"sendonly", "inactive"})
"""Directions of whoever does not want to hear the other."""


def _refusal(session: Session, media: Media, policy: SrtpPolicy) -> str:
    """Return why this line cannot be relayed, `` when it can."""
    crypto = read_crypto(media.crypto)
    if media.protocol.upper() not in _PROFILES and not media.is_fax:
        return f"{media.kind} over {media.protocol[:32]} is not relayed"
    if media.secure and policy == "off":
        return "SRTP is switched off at this site"
    if not media.secure and policy == "required":
        return UNPROTECTED_FAX if media.is_fax else "this site requires SRTP"
    if media.secure and not crypto:
        return "SRTP without a key"
    _remote(session, media)
    return ""


def _check_downgrade(before: Session, session: Session) -> None:
    for old, new in zip(before.media, session.media, strict=False):
        if old.port and old.secure and new.port and not new.secure:
            raise RemoteError(488, "a stream that was secure may not become clear")


def _checked(offer: Session, offered: Media, answer: Session, answered: Media) -> Media:
    if answered.kind != offered.kind:
        raise RemoteError(488, f"the answer turns {offered.kind} into {answered.kind[:32]}")
    if not answered.port or not offered.port:
        return replace(answered, port=0)
    if answered.protocol.upper() != offered.protocol.upper():
        raise RemoteError(488, f"the answer turns {offered.protocol} into another profile")
    _check_key(offered, answered)
    _remote(answer, answered)
    formats = _common_formats(offered, answered)
    narrowed = replace(answered, formats=formats)
    given = answer.direction_of(answered)
    allowed = reply_to(offer.direction_of(offered), given)
    return narrowed if allowed == given else turned(narrowed, allowed)


def _check_key(offered: Media, answered: Media) -> None:
    """Check that the answer takes one key line out of those offered (RFC 4568, 5.1.3)."""
    chosen = read_crypto(answered.crypto)
    if not chosen:
        if answered.secure:
            raise RemoteError(488, "the answer takes SRTP without a key")
        return
    tags: dict[int, CryptoAttribute] = {line.tag: line for line in read_crypto(offered.crypto)}
    match = tags.get(chosen[0].tag)
    if len(chosen) > 1 or match is None or match.suite != chosen[0].suite:
        raise RemoteError(488, "the answer takes a key line that was not offered")


def _common_formats(offered: Media, answered: Media) -> tuple[str, ...]:
    codecs = set(_codecs(offered))
    pairs = zip(answered.formats, _codecs(answered), strict=True)
    formats = tuple(name for name, codec in pairs if codec in codecs)
    if not formats:
        raise RemoteError(488, "the answer has no codec of the offer")
    return formats


def _codecs(media: Media) -> list[str]:
    """Return each format's `encoding/clock/channels` in one spelling, its bare name if none."""
    return encodings(media.formats, media.rtpmaps)


def encodings(formats: Sequence[str], rtpmaps: Mapping[str, str]) -> list[str]:
    """Return `encoding/clock[/channels]` of each format in one spelling, its bare name if none."""
    names = [rtpmaps.get(name) or _STATIC.get(name, name) for name in formats]
    return [name.lower().removesuffix("/1") for name in names]


def _relayed_media(
    session: Session, media: Media, local: Address | None, first: str, policy: SrtpPolicy
) -> Media:
    if local is None or not media.port:
        return replace(media, port=0, connection=None, lines=(), attributes=())
    address, port = local
    line = replace(
        media,
        port=port,
        connection=None if address == first else address,
        lines=tuple([line for line in media.lines if line.letter in "ib"]),
        attributes=_shown(media.attributes, keys=policy != "off"),
    )
    direction = direction_of(session, media)
    # Our address stands where 0.0.0.0 stood, so the hold has to be said in today's words.
    return line if direction == session.direction_of(media) else turned(line, direction)


def _shown(attributes: tuple[Attribute, ...], keys: bool) -> tuple[Attribute, ...]:
    # A tuple of a list: half the time of a tuple of a generator, here and wherever it is done.
    return tuple(
        [
            attribute
            for attribute in attributes
            if attribute.name not in _HIDDEN
            and (attribute.name != "crypto" or (keys and has_known_suite(attribute.value or "")))
        ]
    )


def _remote(session: Session, media: Media) -> RemoteMedia:
    direction = direction_of(session, media)
    if not media.port:
        return RemoteMedia(None, None, direction)
    address = _literal(session.connection_of(media))
    if address is None:
        return RemoteMedia(None, None, direction)
    return RemoteMedia((address, media.port), _rtcp(media, address), direction)


def _rtcp(media: Media, address: str) -> Address | None:
    """Return where RTCP goes (RFC 3605, 2.1); what cannot be read counts as not there."""
    port, _, network = (media.attribute("rtcp") or "").strip().partition(" ")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return (address, media.port + 1) if media.port < 65535 else None
    words = network.split()
    return (_literal(words[2]) or address if len(words) == 3 else address, int(port))


def _literal(text: str | None) -> str | None:
    """Return an address in its one spelling, None for 0.0.0.0; RemoteError(488) for no unicast."""
    if text is None:
        raise RemoteError(488, "SDP: a stream without c= line")
    return _spelled(text)


@lru_cache(maxsize=4096)
def _spelled(text: str) -> str | None:
    """Do the work of `_literal`; remembered, as one call asks five times for two addresses.

    What is no address raises and is not remembered, so an entry is short.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise RemoteError(488, f"SDP: {text[:64]!r} is not an address") from error
    if address.is_multicast or text == "255.255.255.255" or "%" in text:
        raise RemoteError(488, f"SDP: media cannot be sent to {text[:64]}")
    return None if address.is_unspecified else str(address)
