"""G.711 against the values of the recommendation's tables."""

from __future__ import annotations

import pytest

from appliance.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

EVERY = bytes(range(256))


def test_known_octets_have_their_samples() -> None:
    assert list(decode_ulaw(bytes([0x00, 0x80, 0xFF, 0x7F, 0xEF]))) == [-32124, 32124, 0, 0, 132]
    assert list(decode_alaw(bytes([0xD5, 0x55, 0x2A, 0xAA]))) == [8, -8, -32256, 32256]


def test_every_octet_comes_back() -> None:
    # 0x7F is mu-law's negative zero, which no sample needs.
    assert encode_ulaw(decode_ulaw(EVERY)) == EVERY.replace(b"\x7f", b"\xff")
    assert encode_alaw(decode_alaw(EVERY)) == EVERY


@pytest.mark.parametrize("sample", range(-32768, 32768, 997))
def test_samples_come_back_within_a_step(sample: int) -> None:
    # Steps are at most 1/16 of the segment, and the ends are clipped.
    allowed = max(16, abs(sample) // 32 + 8)
    clipped = max(-32124, min(32124, sample))
    assert abs(decode_ulaw(encode_ulaw([sample]))[0] - clipped) <= allowed
    assert abs(decode_alaw(encode_alaw([sample]))[0] - sample) <= allowed
