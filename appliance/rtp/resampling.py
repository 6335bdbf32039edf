"""Change the sampling rate of a whole recording: windowed sinc, one row of taps per phase."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from math import cos, gcd, pi, sin
from operator import mul

HALF_TAPS = 24
"""Zero crossings of the sinc on each side: -70 dB of what would alias, 3.6 kHz kept of 4."""
ROLL_OFF = 0.93
"""Share of the lower rate's half that passes."""


def resample(samples: Sequence[int], rate: int, wanted: int) -> array[int]:
    """Return samples taken `rate` times a second as if they were taken `wanted` times."""
    if rate == wanted:
        return array("h", samples)
    common = gcd(rate, wanted)
    step, phases = rate // common, wanted // common
    rows = _rows(step, phases)
    reach = len(rows[0]) // 2
    padded = [0] * reach + list(samples) + [0] * (reach + 1)
    made = array("h")
    for n in range(len(samples) * phases // step):
        whole, phase = divmod(n * step, phases)
        row = rows[phase]
        value = sum(map(mul, row, padded[whole : whole + len(row)]))
        made.append(max(-32768, min(32767, round(value))))
    return made


@cache
def _rows(step: int, phases: int) -> list[list[float]]:
    """Return the taps for each place between two samples."""
    cutoff = ROLL_OFF * min(1.0, phases / step)
    reach = round(HALF_TAPS / cutoff)
    rows = []
    for phase in range(phases):
        row = [_tap(n - reach - phase / phases, cutoff, reach + 1) for n in range(2 * reach + 1)]
        total = sum(row)
        rows.append([tap / total for tap in row])
    return rows


def _tap(place: float, cutoff: float, reach: int) -> float:
    x = pi * cutoff * place
    sinc = sin(x) / x if x else 1.0
    window = 0.42 + 0.5 * cos(pi * place / reach) + 0.08 * cos(2 * pi * place / reach)
    return cutoff * sinc * window
