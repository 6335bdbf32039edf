"""In-band DTMF: keys heard as pairs of tones in speech (ITU-T Q.23, judged as Q.24 asks).

Eight Goertzel filters pick the likely pair of a frame. What speech and music now and then do as
well is told apart by what only a keypad does: both frequencies true to 2.5 %, next to nothing
beside them, neither much louder than the other, for 32 ms without a change.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, pi, sin, sqrt
from operator import attrgetter, mul
from typing import Final

from appliance.rtp.tone import RATE

FRAME = 160
"""Samples of a frame, 20 ms."""
LOW: Final = (697.0, 770.0, 852.0, 941.0)
HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = "123A456B789C*0#D"
"""By rows of `LOW`, then columns of `HIGH` (Q.23)."""

LEAST_LEVEL = -31.0
"""dBm0 of the weaker tone; Q.24 lists -25 to -29 as the lowest that must be taken."""
TRUE_WITHIN = 0.025
"""Share a frequency may be off: 1.5 to 1.8 % must be taken, 3 to 3.5 % must not (Q.24)."""
HIGH_LOUDER = 6.0
"""dB the high tone may be louder by; 4 must be taken."""
LOW_LOUDER = 10.0
"""dB the low tone may be louder by, as long lines damp high tones; 8 must be taken."""
PURITY = 0.85
"""Least share of a frame's power in the two tones: noise 8 dB below them is borne."""
SHORTEST = 1.6
"""Frames (32 ms) a key must sound: 40 ms must be taken, 23 must not."""
RELEASED = 0.35
"""Share of the tones left in a frame in which the key was let go: a break of 10 ms leaves half,
a pause of 40 ms at least one frame with nothing."""

TOGETHER = 0.25
"""Most that the two tones' shares of a frame may differ by."""

_COEFFICIENTS = tuple(2 * cos(2 * pi * frequency / RATE) for frequency in LOW + HIGH)
_FULL_SCALE = 32767 * 10 ** (-3.14 / 20)
"""Amplitude of a sine of 0 dBm0."""
_LEAST = _FULL_SCALE * 10 ** (LEAST_LEVEL / 20)
_LEAST_POWER = _LEAST * _LEAST
"""Mean square of two tones at the least level: amplitude squared over two, twice."""
_ROUGH = 0.3
"""Share of the power that the eight filters must see: a frequency 1.8 % off reaches 0.35."""

_HALF = FRAME // 2
_WINDOW = tuple(0.5 - 0.5 * cos(2 * pi * (n + 0.5) / _HALF) for n in range(_HALF))
# For the frequency: cosine and sine under a Hann window, for each half of a frame.
_WAVES = tuple(
    (
        tuple(w * cos(2 * pi * f * n / RATE) for n, w in enumerate(_WINDOW)),
        tuple(w * sin(2 * pi * f * n / RATE) for n, w in enumerate(_WINDOW)),
    )
    for f in LOW + HIGH
)
_DRIFT = RATE / (2 * pi * _HALF)
"""Hz off for each radian that the phase moves in half a frame."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key whose tones a whole frame has."""

    key: str
    rows: tuple[int, int]
    """Its filters, in `LOW + HIGH`."""
    sizes: Sequence[float]
    """What all filters measured."""
    power: float
    """Mean square of the frame."""


class DtmfDetector:
    """Listens to one phone, frame after frame."""

    def __init__(self) -> None:
        self._before: tuple[Sequence[float], float] | None = None
        self._pair: _Pair | None = None
        self._length = 0.0
        self._told = False

    def hear(self, samples: array[int]) -> str:
        """Take the next 160 samples at 8 kHz; return the key that is now certain, else ``.

        Each key is told once, 20 to 40 ms after it went down, however long it is held. For a frame
        that was lost, give 160 zeros.
        """
        power = sum(map(mul, samples, samples)) / FRAME
        if power < _LEAST_POWER * RELEASED * RELEASED:
            self._pair, self._before = None, None
            return ""
        sizes = [_goertzel(samples, coefficient) for coefficient in _COEFFICIENTS]
        pair = _judge(samples, sizes, power)
        key = self._follow(pair, sizes, power)
        self._before = sizes, power
        return key

    def _follow(self, pair: _Pair | None, sizes: Sequence[float], power: float) -> str:
        """Add this frame to the key that sounds, or begin another one."""
        down = self._pair
        if pair is None:
            if down is not None:
                self._length += _part(down, sizes, power)
                if _left(down, sizes) < RELEASED:
                    self._pair = None
            return self._certain(down)
        if down is not None and pair.key == down.key:
            # The frame in which a key goes down may pass as a whole one; measure by the fullest.
            weak, self._pair = sorted((down, pair), key=attrgetter("power"))
            self._length += _part(self._pair, weak.sizes, weak.power)
        else:
            self._pair, self._told = pair, False
            self._length = 1.0 + (_part(pair, *self._before) if self._before else 0.0)
        return self._certain(self._pair)

    def _certain(self, pair: _Pair | None) -> str:
        if pair is None or self._told or self._length < SHORTEST:
            return ""
        self._told = True
        return pair.key


def _judge(samples: array[int], sizes: Sequence[float], power: float) -> _Pair | None:
    """Return the key whose tones fill this frame, if one does."""
    low = max(range(4), key=sizes.__getitem__)
    high = max(range(4, 8), key=sizes.__getitem__)
    # A sine of amplitude A measures A * FRAME / 2 and has the power A * A / 2.
    seen = 2 * (sizes[low] ** 2 + sizes[high] ** 2) / FRAME**2
    if seen < _ROUGH * power:
        return None
    exact = [_exact(samples, row) for row in (low, high)]
    if any(
        abs(found / (LOW + HIGH)[row] - 1) > TRUE_WITHIN
        for found, row in zip(exact, (low, high), strict=True)
    ):
        return None
    tones = [_goertzel(samples, 2 * cos(2 * pi * found / RATE)) for found in exact]
    if not _fits(tones[0], tones[1], power):
        return None
    return _Pair(KEYS[low * 4 + high - 4], (low, high), sizes, power)


def _fits(low: float, high: float, power: float) -> bool:
    """Judge level, twist and purity of two tones measured at their own frequencies."""
    if min(low, high) * 2 / FRAME < _LEAST:
        return False
    if high > low * 10 ** (HIGH_LOUDER / 20) or low > high * 10 ** (LOW_LOUDER / 20):
        return False
    return 2 * (low * low + high * high) / FRAME**2 >= PURITY * power


def _exact(samples: array[int], row: int) -> float:
    """Return the frequency near a filter's, from how its phase moves between half frames."""
    wave, turned = _WAVES[row]
    first, second = samples[:_HALF], samples[_HALF:]
    a, b = sum(map(mul, first, wave)), sum(map(mul, first, turned))
    c, d = sum(map(mul, second, wave)), sum(map(mul, second, turned))
    frequency = (LOW + HIGH)[row]
    # The second half's phase as if it began where the first did.
    return frequency + _phase(a, -b, c, -d, 2 * pi * frequency * _HALF / RATE) * _DRIFT


def _phase(a: float, b: float, c: float, d: float, turn: float) -> float:
    """Return the angle from a+ib, turned, to c+id, within half a turn."""
    x, y = a * cos(turn) - b * sin(turn), a * sin(turn) + b * cos(turn)
    return atan2(x * d - y * c, x * c + y * d)


def _left(pair: _Pair, sizes: Sequence[float]) -> float:
    """Return the share of a frame in which both tones of a pair sound."""
    return min(1.0, *(sizes[row] / pair.sizes[row] for row in pair.rows))


def _part(pair: _Pair, sizes: Sequence[float], power: float) -> float:
    """Return the share of a frame in which a key sounded, 0 if it was no key.

    A key's tones come and go together and leave silence; those of speech each for itself, and they
    leave more speech.
    """
    shares = [sizes[row] / pair.sizes[row] for row in pair.rows]
    left = min(1.0, *shares)
    is_alone = left * pair.power >= PURITY * power
    return left if is_alone and max(shares) - min(shares) <= TOGETHER else 0.0


def _goertzel(samples: Sequence[int], coefficient: float) -> float:
    """Return the size of one frequency in a frame: A * FRAME / 2 for a sine of amplitude A."""
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    return sqrt(max(0.0, last * last + before * before - coefficient * last * before))
