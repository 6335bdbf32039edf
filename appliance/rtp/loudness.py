"""How loud speech is, and making it even, without clicks (after ITU-T P.56, simplified)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import cos, log10, pi, tanh

TARGET = -19.0
"""dBov of our prompts: as loud as a telephone conversation is meant to arrive."""
FADE = 80
"""Samples (10 ms) over which a recording comes and goes."""
MARGIN = 400
"""Samples (50 ms) kept before the first and after the last sound."""

_BLOCK = 160
_ACTIVE = 10 ** (-20 / 10)
"""A block counts as speech within 20 dB of the loudest; pauses must not make speech louder."""
_QUIET = 40.0
"""Root mean square of a block (-58 dBov) that is silence."""
_KNEE = 0.7
"""Share of full scale above which peaks are bent instead of cut."""


def active_level(samples: Sequence[int]) -> float:
    """Return the level of the parts that sound, in dBov; -inf for silence."""
    powers = _powers(samples)
    loudest = max(powers, default=0.0)
    if not loudest:
        return float("-inf")
    heard = [power for power in powers if power >= loudest * _ACTIVE]
    return 10 * log10(sum(heard) / len(heard) / 32768**2)


def levelled(samples: Sequence[int], target: float = TARGET) -> array[int]:
    """Return the samples at this active level, peaks bent so that none is cut."""
    level = active_level(samples)
    gain = 10 ** ((target - level) / 20) / 32768 if level > float("-inf") else 0.0
    return array("h", [round(32767 * _bent(sample * gain)) for sample in samples])


def trimmed(samples: array[int]) -> array[int]:
    """Return what sounds, with a little silence around it, coming and going softly."""
    loud = [n for n, power in enumerate(_powers(samples)) if power > _QUIET**2]
    if not loud:
        return array("h")
    kept = samples[max(0, loud[0] * _BLOCK - MARGIN) : (loud[-1] + 1) * _BLOCK + MARGIN]
    return faded(kept)


def faded(samples: array[int]) -> array[int]:
    """Return the samples with both ends brought to silence softly."""
    made = samples[:]
    for n in range(min(FADE, len(made) // 2)):
        share = 0.5 - 0.5 * cos(pi * n / FADE)
        made[n] = round(made[n] * share)
        made[-1 - n] = round(made[-1 - n] * share)
    return made


def _powers(samples: Sequence[int]) -> list[float]:
    blocks = (samples[n : n + _BLOCK] for n in range(0, len(samples), _BLOCK))
    return [sum(sample * sample for sample in block) / len(block) for block in blocks]


def _bent(value: float) -> float:
    size = abs(value)
    if size <= _KNEE:
        return value
    rest = 1 - _KNEE
    bent = _KNEE + rest * tanh((size - _KNEE) / rest)
    return bent if value > 0 else -bent
