"""Keys as a phone plays them into its audio, and what the detector makes of any samples."""

from __future__ import annotations

from array import array
from math import pi, sin

from appliance.rtp.dtmf import FRAME, HIGH, KEYS, LOW, DtmfDetector
from appliance.rtp.tone import RATE

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
