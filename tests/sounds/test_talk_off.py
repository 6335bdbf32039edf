"""What people and machines say into a phone presses no key."""

from __future__ import annotations

from array import array
from math import cos, exp, pi
from pathlib import Path
from random import Random

import pytest

from appliance.bundle.wav import read_wav
from appliance.rtp.dtmf import FRAME
from appliance.rtp.g711 import decode_ulaw
from appliance.rtp.progress_tone import COUNTRIES, SUPPORTED, progress_tone
from appliance.rtp.tone import RATE
from appliance.sounds.defaults import FOLDER
from tests.rtp.pressed import heard


def test_noise_presses_nothing() -> None:
    dice = Random(3)
    assert heard([round(dice.gauss(0, 6000)) % 32768 for _ in range(60 * RATE)]) == ""


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.wav")), ids=lambda file: file.stem)
def test_our_prompts_and_music_press_nothing(file: Path) -> None:
    assert heard(decode_ulaw(read_wav(file.read_bytes()).data)) == ""


@pytest.mark.parametrize("country", COUNTRIES)
def test_progress_tones_press_nothing(country: str) -> None:
    for name in SUPPORTED:
        assert heard(progress_tone(name, country) or []) == ""


def test_voices_press_next_to_nothing() -> None:
    """Two minutes of vowels without a consonant or a pause; twenty such minutes press 7 keys."""
    dice = Random(11)
    assert len("".join(heard(vowels(dice, 20.0)) for _ in range(6))) <= 1


def vowels(dice: Random, seconds: float) -> array[int]:
    """Return a voice: pulses of a gliding pitch through three resonances that wander."""
    pitch, places = dice.uniform(80, 350), [500.0, 1500.0, 2500.0]
    made = array("h")
    state = [[0.0, 0.0] for _ in places]
    due, last = 0.0, 0.0
    for _ in range(round(seconds * 50)):
        pitch = min(400.0, max(70.0, pitch * dice.uniform(0.97, 1.03)))
        for n, (least, most) in enumerate(((250, 1000), (850, 2400), (2000, 3300))):
            places[n] = min(most, max(least, places[n] * dice.uniform(0.94, 1.065)))
        filters = [
            resonance(place, width) for place, width in zip(places, (70, 100, 150), strict=True)
        ]
        for _ in range(FRAME):
            due -= 1
            pulse = 4000.0 if due <= 0 else 0.0
            due += RATE / pitch if due <= 0 else 0
            # The glottis falls by 12 dB an octave, the lips give 6 back.
            last = value = pulse + 0.9 * last
            for (gain, one, two), memory in zip(filters, state, strict=True):
                value = gain * value + one * memory[0] + two * memory[1]
                memory[:] = value, memory[0]
            made.append(max(-32768, min(32767, round(value))))
    return made


def resonance(place: float, width: float) -> tuple[float, float, float]:
    shrink = exp(-pi * width / RATE)
    one, two = 2 * shrink * cos(2 * pi * place / RATE), -shrink * shrink
    return 1 - one - two, one, two
