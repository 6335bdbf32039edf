"""A tone to send and the proof that it is heard: Goertzel's filter at one frequency."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import cos, pi, sin

RATE = 8000
"""Samples in a second."""


def tone(frequency: float, count: int, start: int = 0, level: float = 0.25) -> array[int]:
    """Return `count` samples of a sine, from sample number `start` on; level 1 is full scale."""
    step = 2 * pi * frequency / RATE
    size = 32767 * level
    return array("h", [round(size * sin(step * n)) for n in range(start, start + count)])


def share(samples: Sequence[int], frequency: float) -> float:
    """Return how much of the samples' energy lies at `frequency`: 0 none, 1 all of it.

    Best over a whole number of periods; 160 samples (20 ms) tell tones 100 Hz apart.
    """
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    factor = 2 * cos(2 * pi * frequency / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    power = last * last + before * before - factor * last * before
    return 2 * power / (len(samples) * energy)


def is_heard(samples: Sequence[int], frequency: float) -> bool:
    """Tell whether the samples are this tone before all else, and not silence."""
    loud = sum(sample * sample for sample in samples) > 10_000 * len(samples)
    return loud and share(samples, frequency) > 0.5
