"""SRTP line by line: profiles changed, key lines added, the keys agreed upon (RFC 4568)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from appliance.sdp.crypto import CryptoAttribute, read_crypto
from appliance.sdp.session import Attribute, Media


class Negotiated(NamedTuple):
    """The key lines that protect a stream between a phone and us."""

    heard: CryptoAttribute
    """The phone's: what it sends is protected with its key."""
    told: CryptoAttribute
    """Ours, or the other phone's: with its key the phone is sent."""


def has_keys(media: Media) -> bool:
    """Tell whether a line carries any a=crypto, whatever its profile."""
    return any(attribute.name == "crypto" for attribute in media.attributes)


def protected(media: Media, lines: Sequence[CryptoAttribute]) -> Media:
    """Return the line in an SRTP profile, with these key lines after its own."""
    profile = media.protocol if media.secure else f"RTP/S{_bare(media)}"
    added = [Attribute("crypto", str(line)) for line in lines]
    return replace(media, protocol=profile, attributes=(*media.attributes, *added))


def clear(media: Media) -> Media:
    """Return the line in the profile without SRTP, and without keys."""
    if media.is_fax:
        return media
    kept = tuple([attribute for attribute in media.attributes if attribute.name != "crypto"])
    return replace(media, protocol=f"RTP/{_bare(media)}", attributes=kept)


def without_keys(media: Media) -> Media:
    """Return the line in its profile, for other keys to be added."""
    return answering(media, media, None)


def answering(media: Media, offered: Media, line: CryptoAttribute | None) -> Media:
    """Return an answered line in the profile of `offered`, with this key line or with none."""
    kept = [attribute for attribute in media.attributes if attribute.name != "crypto"]
    if line is not None:
        kept.append(Attribute("crypto", str(line)))
    return replace(media, protocol=offered.protocol, attributes=tuple(kept))


def negotiated(told: Media, heard: Media) -> Negotiated | None:
    """Return the key lines in force between what we told a phone and what it said; None: clear.

    One of the two is the answer: it has one line, whose tag says which line of the offer it took.
    """
    if not has_keys(told) or not has_keys(heard):
        return None
    ours, theirs = read_crypto(told.crypto), read_crypto(heard.crypto)
    answer = ours if len(ours) == 1 else theirs
    tag = answer[0].tag
    our_line = next((line for line in ours if line.tag == tag), None)
    their_line = next((line for line in theirs if line.tag == tag), None)
    if our_line is None or their_line is None:
        return None
    return Negotiated(their_line, our_line)


def _bare(media: Media) -> str:
    """Return `AVP` or `AVPF`."""
    return "AVPF" if media.protocol.upper().endswith("F") else "AVP"
