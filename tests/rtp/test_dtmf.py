"""Keys heard as tones, judged by the limits that Q.24 lists; speech and music press none."""

from __future__ import annotations

from array import array
from itertools import pairwise
from math import cos, exp, pi, sin
from pathlib import Path
from random import Random

import pytest

from appliance.bundle.wav import read_wav
from appliance.rtp.dtmf import FRAME, HIGH, KEYS, LOW, DtmfDetector
from appliance.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from appliance.rtp.progress_tone import COUNTRIES, SUPPORTED, progress_tone
from appliance.rtp.tone import RATE
from appliance.sounds.defaults import FOLDER

ZERO_DBM0 = 32767 * 10 ** (-3.14 / 20)
"""Amplitude of a sine of 0 dBm0."""


def size(level: float) -> float:
    return ZERO_DBM0 * 10 ** (level / 20)


def press(
    key: str,
    milliseconds: float = 60,
    low: float = -10.0,
    high: float = -10.0,
    low_off: float = 0.0,
    high_off: float = 0.0,
) -> list[int]:
    """Return the samples of a key: levels in dBm0, errors of frequency in per cent."""
    row, column = divmod(KEYS.index(key), 4)
    f, g = LOW[row] * (1 + low_off / 100), HIGH[column] * (1 + high_off / 100)
    a, b = size(low), size(high)
    line = (
        a * sin(2 * pi * f * n / RATE) + b * sin(2 * pi * g * n / RATE + 1)
        for n in range(round(milliseconds * RATE / 1000))
    )
    # Two tones of 0 dBm0 are more than G.711 can carry; a codec cuts the peaks.
    return [max(-32768, min(32767, round(sample))) for sample in line]


def silence(milliseconds: float) -> list[int]:
    return [0] * round(milliseconds * RATE / 1000)


def heard(samples: list[int] | array[int], lead: int = 0) -> str:
    """Return the keys told of samples that begin so far into a frame; both laws must agree."""
    line = array("h", [0] * lead) + array("h", samples)
    line.extend([0] * (3 * FRAME - len(line) % FRAME))
    detector = DtmfDetector()
    told = ""
    for n in range(0, len(line), FRAME):
        told += detector.hear(line[n : n + FRAME])
    return told


OFFSETS = range(0, FRAME, 16)
"""Where in a frame a key begins."""


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_heard_once_through_both_laws(key: str) -> None:
    samples = press(key, 70)
    for lead in OFFSETS:
        assert heard(samples, lead) == key
    assert heard(decode_ulaw(encode_ulaw(samples))) == key
    assert heard(decode_alaw(encode_alaw(samples))) == key


@pytest.mark.parametrize("level", [0, -3, -10, -20, -25, -27])
@pytest.mark.parametrize("key", "15D")
def test_levels_that_must_be_taken(key: str, level: float) -> None:
    for lead in OFFSETS:
        assert heard(decode_ulaw(encode_ulaw(press(key, 50, level, level))), lead) == key


def test_levels_that_must_not_be_taken() -> None:
    assert heard(press("5", 100, -36, -36)) == ""
    assert heard(press("5", 100, -55, -55)) == ""


@pytest.mark.parametrize(("low", "high"), [(-8, -16), (-12, -8), (-20, -20), (-16, -24)])
@pytest.mark.parametrize("key", KEYS)
def test_twist_that_must_be_taken(key: str, low: float, high: float) -> None:
    assert heard(press(key, 60, low, high), 40) == key


@pytest.mark.parametrize(("low", "high"), [(-5, -18), (-16, -7), (-10, -60), (-60, -10)])
def test_twist_of_no_keypad(low: float, high: float) -> None:
    assert heard(press("5", 200, low, high)) == ""


@pytest.mark.parametrize("low_off", [-1.5, 0, 1.5])
@pytest.mark.parametrize("high_off", [-1.5, 0, 1.5])
@pytest.mark.parametrize("key", KEYS)
def test_frequencies_that_must_be_taken(key: str, low_off: float, high_off: float) -> None:
    for lead in (0, 50, 110):
        assert heard(press(key, 50, low_off=low_off, high_off=high_off), lead) == key


@pytest.mark.parametrize("low_off", [-1.5, 1.5])
@pytest.mark.parametrize("high_off", [-1.5, 1.5])
@pytest.mark.parametrize(("low", "high"), [(-8, -16), (-12, -8)])
def test_frequency_and_twist_at_their_limits_at_once(
    low: float, high: float, low_off: float, high_off: float
) -> None:
    for key in KEYS:
        assert heard(press(key, 60, low, high, low_off, high_off), 30) == key


@pytest.mark.parametrize("off", [-5, -3.5, 3.5, 5])
@pytest.mark.parametrize("key", KEYS)
def test_frequencies_that_must_not_be_taken(key: str, off: float) -> None:
    assert heard(press(key, 200, low_off=off)) == ""
    assert heard(press(key, 200, high_off=off)) == ""


def test_forty_milliseconds_are_enough_wherever_they_begin() -> None:
    for key in KEYS:
        for lead in range(0, FRAME, 8):
            assert heard(press(key, 40, -25, -25), lead) == key, (key, lead)


def test_twenty_three_milliseconds_are_not() -> None:
    for key in KEYS:
        for lead in range(0, FRAME, 8):
            assert heard(press(key, 23), lead) == "", (key, lead)


def test_a_pause_of_forty_milliseconds_makes_two_keys() -> None:
    for lead in range(0, FRAME, 8):
        assert heard(press("7", 50) + silence(40) + press("7", 50), lead) == "77", lead


def test_a_break_of_ten_milliseconds_does_not() -> None:
    held = press("7", 200)
    held[800:880] = [0] * 80
    for lead in range(0, FRAME, 8):
        assert heard(held, lead) == "7", lead


def test_a_whole_number_at_the_fastest_rate() -> None:
    dice = Random(7)
    dialled = "".join(dice.choice(KEYS) for _ in range(60))
    line = [n for key in dialled for n in press(key, 45, -12, -10) + silence(45)]
    assert heard(line, 33) == dialled


def test_a_key_held_for_ten_seconds_is_told_once() -> None:
    assert heard(press("9", 10_000)) == "9"


@pytest.mark.parametrize("decibels", [12, 15, 20])
def test_keys_are_heard_through_noise(decibels: float) -> None:
    dice = Random(decibels)
    missed = 0
    for n in range(100):
        key = KEYS[n % 16]
        # Two tones of -10 dBm0 are -7 together.
        sigma = size(-7 - decibels) / 2**0.5
        noisy = [round(s + dice.gauss(0, sigma)) for s in press(key, 60)]
        missed += heard(noisy, n) != key
    assert missed == 0


def test_lost_frames_are_silence_and_the_next_key_is_heard() -> None:
    detector = DtmfDetector()
    line = array("h", press("3", 100))
    frames = [line[n : n + FRAME] for n in range(0, len(line), FRAME)]
    nothing = array("h", silence(20))
    told = [detector.hear(frame) for frame in [*frames, nothing, nothing, *frames]]
    assert "".join(told) == "33"


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
    """Forty seconds of vowels without a consonant or a pause; twenty minutes press 7 keys."""
    dice = Random(11)
    assert len("".join(heard(vowels(dice, 20.0)) for _ in range(2))) <= 1


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


def test_all_pairs_of_neighbouring_frequencies_press_nothing() -> None:
    for f, g in [*pairwise(LOW), *pairwise(HIGH)]:
        both = [
            round(5000 * (sin(2 * pi * f * n / RATE) + sin(2 * pi * g * n / RATE)))
            for n in range(1600)
        ]
        assert heard(both) == ""
