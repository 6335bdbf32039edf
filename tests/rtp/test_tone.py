"""A tone is heard through both codecs, and nothing else is taken for it."""

from __future__ import annotations

from random import Random

import pytest

from appliance.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from appliance.rtp.tone import is_heard, share, tone


@pytest.mark.parametrize("frequency", [300, 440, 1000, 1700, 3300])
def test_a_tone_is_heard_through_g711(frequency: int) -> None:
    samples = tone(frequency, 160)
    assert is_heard(decode_ulaw(encode_ulaw(samples)), frequency)
    assert is_heard(decode_alaw(encode_alaw(samples)), frequency)


def test_packets_join_without_a_seam() -> None:
    assert tone(440, 160) + tone(440, 160, start=160) == tone(440, 320)


def test_its_share_is_all_of_it_and_another_tones_is_nothing() -> None:
    samples = tone(1000, 160)
    assert share(samples, 1000) == pytest.approx(1.0, abs=0.01)
    assert share(samples, 1100) < 0.01


def test_noise_silence_and_other_tones_are_not_heard() -> None:
    dice = Random(1)
    noise = [dice.randrange(-9000, 9000) for _ in range(800)]
    assert not is_heard(noise, 1000)
    assert not is_heard([0] * 160, 1000)
    assert not is_heard(tone(1000, 160, level=0.001), 1000)
    assert not is_heard(tone(1100, 160), 1000)


def test_the_louder_of_two_is_heard() -> None:
    both = [a + b for a, b in zip(tone(440, 800), tone(1000, 800, level=0.1), strict=True)]
    assert is_heard(both, 440) and not is_heard(both, 1000)
