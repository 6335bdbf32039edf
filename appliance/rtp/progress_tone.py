"""Call-progress tones: what a caller hears while the network tries, by country (ITU-T E.180).

The cadences are those that national administrations reported for E.180; where a country has
several, the one its public exchanges use. All can be looped: they end where they begin.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cache
from math import cos, lcm, log10, pi, sin
from typing import NamedTuple

from appliance.rtp.tone import RATE

LEVEL = -15.0
"""dBm0 of a whole tone while it sounds: in the middle of what E.180, table 1 recommends."""
FULL_SCALE = 3.14
"""dBm0 of a sine that just fits into 16 bits of mu-law (G.711, table 2a)."""
EDGE = 40
"""Samples (5 ms) over which a tone comes and goes, so that it does not click."""
FRAME = 160
"""Samples of 20 ms; every tone is a whole number of these."""


class Burst(NamedTuple):
    """A piece of a cadence."""

    on: int
    """Milliseconds it sounds."""
    off: int
    """Milliseconds of silence after it; 0: it goes on for ever."""
    frequencies: tuple[int, ...]
    """Hz, added up at equal level."""
    quieter: int = 0
    """dB below the others."""


Tone = tuple[Burst, ...]

SUPPORTED = ("ringback", "busy", "congestion", "dial", "sit", "beep")
"""Names of tones; `congestion` is also called fast busy or reorder."""


def _steady(*frequencies: int) -> Tone:
    return (Burst(1000, 0, frequencies),)


def _pulse(on: int, off: int, *frequencies: int) -> Tone:
    return (Burst(on, off, frequencies),)


def _double_ring(*frequencies: int) -> Tone:
    return (Burst(400, 200, frequencies), Burst(400, 2000, frequencies))


_LOW, _HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYPAD = ("123A", "456B", "789C", "*0#D")
DTMF: dict[str, Tone] = {
    f"dtmf-{key}": _pulse(100, 60, low, high)
    for low, row in zip(_LOW, _KEYPAD, strict=True)
    for high, key in zip(_HIGH, row, strict=True)
}
"""Keys as Q.23 sounds them, with the times that Q.24 asks for and more."""

COMMON: dict[str, Tone] = DTMF | {
    "ringback": _pulse(1000, 4000, 425),
    "busy": _pulse(500, 500, 425),
    "congestion": _pulse(250, 250, 425),
    "dial": _steady(425),
    "sit": (Burst(330, 10, (950,)), Burst(330, 10, (1400,)), Burst(330, 990, (1800,))),
    "beep": _pulse(380, 20, 1000),
}
"""What E.180 recommends to all; a country's own table goes before it."""

_NORTH_AMERICA: dict[str, Tone] = {
    "ringback": _pulse(2000, 4000, 440, 480),
    "busy": _pulse(500, 500, 480, 620),
    "congestion": _pulse(250, 250, 480, 620),
    "dial": _steady(350, 440),
}

# A frequency modulated by another is written as its two sidebands: 400 Hz by 16 Hz as 384 and 416.
COUNTRIES: dict[str, dict[str, Tone]] = {
    "US": _NORTH_AMERICA,
    "CA": _NORTH_AMERICA,
    "PR": _NORTH_AMERICA,
    "AT": {
        "ringback": _pulse(1000, 5000, 420),
        "busy": _pulse(400, 400, 420),
        "congestion": _pulse(200, 200, 420),
        "dial": _steady(420),
    },
    "AU": {
        "ringback": _double_ring(400, 450),
        "busy": _pulse(375, 375, 425),
        "congestion": (Burst(375, 375, (425,)), Burst(375, 375, (425,), 10)),
        "dial": _steady(425, 450),
    },
    "BE": {"ringback": _pulse(1000, 3000, 425), "congestion": _pulse(167, 167, 425)},
    "BR": {
        "busy": _pulse(250, 250, 425),
        "congestion": (Burst(250, 250, (425,)), Burst(750, 250, (425,))),
    },
    "CH": {"congestion": _pulse(200, 200, 425)},
    "CN": {
        "ringback": _pulse(1000, 4000, 450),
        "busy": _pulse(350, 350, 450),
        "congestion": _pulse(700, 700, 450),
        "dial": _steady(450),
    },
    "DE": {"busy": _pulse(480, 480, 425), "congestion": _pulse(240, 240, 425)},
    "ES": {
        "ringback": _pulse(1500, 3000, 425),
        "busy": _pulse(200, 200, 425),
        "congestion": (*_pulse(200, 200, 425) * 2, Burst(200, 600, (425,))),
    },
    "FR": {
        "ringback": _pulse(1500, 3500, 440),
        "busy": _pulse(500, 500, 440),
        "congestion": _pulse(250, 250, 440),
        "dial": _steady(440),
    },
    "GB": {
        "ringback": _double_ring(400, 450),
        "busy": _pulse(375, 375, 400),
        "congestion": (Burst(400, 350, (400,)), Burst(225, 525, (400,))),
        "dial": _steady(350, 440),
    },
    "IE": {"ringback": _double_ring(400, 450)},
    "IN": {
        "ringback": _double_ring(375, 425),
        "busy": _pulse(750, 750, 400),
        "congestion": _pulse(250, 250, 400),
        "dial": _steady(375, 425),
    },
    "IT": {
        "congestion": _pulse(200, 200, 425),
        "dial": (Burst(200, 200, (425,)), Burst(600, 1000, (425,))),
    },
    "JP": {
        "ringback": _pulse(1000, 2000, 384, 416),
        "busy": _pulse(500, 500, 400),
        "congestion": _pulse(500, 500, 400),
        "dial": _steady(400),
    },
    "MX": {"busy": _pulse(250, 250, 425)},
    "NL": {},
    "NZ": {
        "ringback": _double_ring(400, 450),
        "busy": _pulse(500, 500, 400),
        "congestion": _pulse(250, 250, 400),
        "dial": _steady(400),
    },
    "SE": {
        "ringback": _pulse(1000, 5000, 425),
        "busy": _pulse(250, 250, 425),
        "congestion": _pulse(250, 750, 425),
    },
}
"""By ISO 3166 code; what a country does not name is as in `COMMON`."""


def bursts(name: str, country: str = "") -> Tone | None:
    """Return the cadence of a tone as a country sounds it; None for a name of no tone."""
    return COUNTRIES.get(country, {}).get(name) or COMMON.get(name)


@cache
def progress_tone(name: str, country: str = "") -> array[int] | None:
    """Return one round of a tone in whole frames of 20 ms; None for a name of no tone.

    Looped it sounds without a seam; `sit` and `beep` are meant to be heard once.
    """
    cadence = bursts(name, country)
    if cadence is None:
        return None
    once = array("h", [sample for burst in cadence for sample in _sound(burst)])
    return once * (lcm(len(once), FRAME) // len(once))


def level(samples: array[int]) -> float:
    """Return the mean power of samples in dBm0 (-inf: silence)."""
    power = sum(sample * sample for sample in samples) / max(1, len(samples))
    return 10 * log10(2 * power / 32767**2) + FULL_SCALE if power else float("-inf")


def _sound(burst: Burst) -> Iterator[int]:
    count, rest = burst.on * RATE // 1000, burst.off * RATE // 1000
    each = LEVEL - burst.quieter - FULL_SCALE - 10 * log10(len(burst.frequencies))
    size = 32767 * 10 ** (each / 20)
    steps = [2 * pi * frequency / RATE for frequency in burst.frequencies]
    for n in range(count):
        edge = 1.0 if not rest else _edge(min(n, count - 1 - n))
        yield round(size * edge * sum(sin(step * n) for step in steps))
    yield from bytes(rest)


def _edge(distance: int) -> float:
    """Return the share of full level so many samples from a tone's begin or end."""
    return 1.0 if distance >= EDGE else 0.5 - 0.5 * cos(pi * (distance + 0.5) / EDGE)
