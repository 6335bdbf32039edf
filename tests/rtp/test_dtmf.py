"""Keys heard as tones, judged by the limits that Q.24 lists."""

from __future__ import annotations

from array import array
from itertools import pairwise
from math import pi, sin
from random import Random

import pytest

from appliance.rtp.dtmf import FRAME, HIGH, KEYS, LOW, DtmfDetector
from appliance.rtp.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from appliance.rtp.tone import RATE
from tests.rtp.pressed import heard, press, silence, size

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


def test_all_pairs_of_neighbouring_frequencies_press_nothing() -> None:
    for f, g in [*pairwise(LOW), *pairwise(HIGH)]:
        both = [
            round(5000 * (sin(2 * pi * f * n / RATE) + sin(2 * pi * g * n / RATE)))
            for n in range(1600)
        ]
        assert heard(both) == ""
