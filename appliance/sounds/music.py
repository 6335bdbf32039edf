"""Music on hold, made by rule from a seed, so nobody else has a right in it.

A slow pattern of broken chords over a soft bass, kept within what a telephone carries. The last bar
rings on into the first, so that it can be looped without a seam.
"""

from __future__ import annotations

from array import array
from functools import cache
from math import exp, pi, sin
from random import Random

from appliance.rtp.loudness import levelled
from appliance.rtp.tone import RATE

BEAT = RATE * 3 // 8
"""Samples of one note; a bar has eight."""
LEVEL = -22.0
"""dBov: music is left running, so it is quieter than speech."""

_PROGRESSION = ((0, 4, 7, 11), (9, 12, 16, 19), (5, 9, 12, 16), (7, 11, 14, 17))
"""Four chords in semitones above the key note."""
_ROUNDS = 4
_KEY = 349.23
"""Hz: F above middle C; its bass an octave below is still heard on a phone."""
_RING = RATE * 2
"""Samples a note rings."""


def compose(seed: int = 1) -> array[int]:
    """Return the piece, 48 s in whole frames of 20 ms."""
    dice = Random(seed)
    bars = [chord for _ in range(_ROUNDS) for chord in _PROGRESSION]
    mix = [0.0] * (len(bars) * 8 * BEAT)
    note = cache(_note)  # a few notes come again and again
    for bar, chord in enumerate(bars):
        for beat, (pitch, loud) in enumerate(_figure(dice, chord)):
            _add(mix, note(pitch, loud), (bar * 8 + beat) * BEAT)
        _add(mix, note(chord[0] - 12, 0.5), bar * 8 * BEAT)
    return levelled([round(4000 * value) for value in mix], LEVEL)


def _figure(dice: Random, chord: tuple[int, ...]) -> list[tuple[int, float]]:
    """Return eight notes: up and down the chord, now and then an octave higher."""
    steps = (0, 1, 2, 3, 2, 3, 1, 2)
    return [(chord[step] + (12 if dice.random() < 0.15 else 0), 0.6) for step in steps]


def _note(pitch: int, loud: float) -> list[float]:
    """Return a plucked note: a few partials, the higher ones dying sooner."""
    frequency = _KEY * 2 ** (pitch / 12)
    partials = [(n, loud / n**1.6) for n in (1, 2, 3, 4) if n * frequency < 3300]
    steps = [(2 * pi * n * frequency / RATE, size, 1.8 + 0.9 * n) for n, size in partials]
    return [_sample(n, steps) for n in range(_RING)]


def _sample(n: int, steps: list[tuple[float, float, float]]) -> float:
    seconds = n / RATE
    attack = min(1.0, n / 160)
    end = min(1.0, (_RING - n) / 800)
    total = sum(size * exp(-fall * seconds) * sin(step * n) for step, size, fall in steps)
    return attack * end * total


def _add(mix: list[float], note: list[float], start: int) -> None:
    for n, value in enumerate(note, start):
        mix[n % len(mix)] += value
