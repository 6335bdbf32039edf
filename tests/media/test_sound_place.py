"""A sound in the place of a stream: to phones that take both for one, each is newer in turn."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest

from appliance.call.actions import Codec
from appliance.media.buffer import VIEW
from appliance.media.player import SynchronizationSource
from appliance.rtp.sampled import Format, Place, SampledStream

LAST = 4000
"""Number of the stream's last packet."""


def ahead(one: int, other: int) -> bool:
    """Tell whether a phone takes `one` for newer than `other` (RFC 1982)."""
    return 0 < (one - other & 0xFFFF) < 0x8000


def numbers(source: SynchronizationSource, count: int) -> list[int]:
    found = []
    for _ in range(count):
        source.put_header(0)
        found.append(struct.unpack_from(">2xH", VIEW)[0])
        source.step(0.0)
    return found


@pytest.mark.parametrize("unseen", [0, 63])
@pytest.mark.parametrize("packets", [100, 3000, 32_000, 33_000, 70_000])
def test_the_sound_looks_newer_and_then_the_stream_does(packets: int, unseen: int) -> None:
    source = SynchronizationSource(Place(LAST - unseen, 160_000))
    sound = numbers(source, packets)
    assert ahead(sound[0], LAST)
    assert all(ahead(after, before) for before, after in pairwise(sound))
    assert ahead(LAST + 1, sound[-1])


def test_timestamps_go_on() -> None:
    source = SynchronizationSource(Place(LAST, 160_000))
    source.begin(10.0)
    assert source.timestamp == 160_000


def test_a_sampled_stream_knows_its_place() -> None:
    stream = SampledStream()
    assert stream.place_at(1.0) is None
    stream.formats = {0: Format("PCMU", 8000)}
    stream.observe(struct.pack(">BBHII", 0x80, 0, 64, 0xFFFFFF00, 7), 1.0)
    assert stream.place_at(3.0) == Place(64, 16_000 - 256)


def test_codecs_of_another_clock_are_counted_in_theirs() -> None:
    stream = SampledStream()
    codec = Codec(96, "OPUS", 48_000, 2)
    stream.formats = {96: Format(codec.name, codec.clock)}
    stream.observe(struct.pack(">BBHII", 0x80, 96, 64, 0, 7), 1.0)
    assert stream.place_at(1.5) == Place(64, 24_000)
