"""Which codecs a phone takes, after both sides have spoken."""

from __future__ import annotations

from functools import lru_cache

from appliance.call.actions import Codec
from appliance.sdp.offer_answer import encodings
from appliance.sdp.session import Media, read_rtpmaps

PLAYABLE = frozenset({"PCMU", "PCMA"})
"""Codecs for which sounds are prepared; nothing is encoded while it plays."""

_Words = tuple[str, ...]


def codecs_of(heard: Media, told: Media) -> tuple[Codec, ...]:
    """Return what the phone takes: what it said, as far as it was told the same (RFC 3264, 6.1).

    Payload types are the phone's own. The order is the phone's as well.
    """
    maps, told_maps = tuple(heard.all("rtpmap")), tuple(told.all("rtpmap"))
    if len(maps) + len(told_maps) > 32:
        return _taken(heard.formats, maps, told.formats, told_maps)
    return _remembered(heard.formats, maps, told.formats, told_maps)


def playable(media: Media) -> bool:
    """Tell whether a sound of ours could be heard in this stream."""
    names = {name.partition("/")[0].upper() for name in encodings(media.formats, media.rtpmaps)}
    return media.kind == "audio" and not names.isdisjoint(PLAYABLE)


def _taken(formats: _Words, maps: _Words, told: _Words, told_maps: _Words) -> tuple[Codec, ...]:
    common = set(encodings(told, read_rtpmaps(told_maps)))
    pairs = zip(formats, encodings(formats, read_rtpmaps(maps)), strict=True)
    codecs = [_codec(number, name) for number, name in pairs if name in common]
    return tuple([codec for codec in codecs if codec is not None])


_remembered = lru_cache(maxsize=256)(_taken)
"""A site's phones say the same few things in every call: 0.5 us instead of 15."""


def _codec(payload_type: str, encoding: str) -> Codec | None:
    """Return None for what cannot be in an RTP packet."""
    name, _, rest = encoding.partition("/")
    clock, _, channels = rest.partition("/")
    numbers = [_number(text) for text in (payload_type, clock, channels or "1")]
    if numbers[0] > 127 or min(numbers) < 0 or not numbers[1]:
        return None
    return Codec(numbers[0], name.upper(), numbers[1], numbers[2])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else -1
