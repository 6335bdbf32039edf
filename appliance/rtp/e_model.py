"""The E-model: how well speech is heard after a codec, lost packets and delay (ITU-T G.107).

The rating R sums what spoils a connection; MOS is what people would say of it. Wideband codecs have
a scale of their own (G.107.1: R up to 129), fullband ones too (G.107.2: up to 148); each leads to
the same MOS from 1 to 4.5, which tells how far a call is from the best of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log2, log10, pow, sqrt

GOOD_MOS = 3.5
"""From here on a call is called good: `some users dissatisfied` begins below (G.109)."""
NARROWBAND, WIDEBAND, FULLBAND = 93.2, 129.0, 148.0
"""R of a connection that nothing spoils, on the three scales."""
ECHO_LOSS = 65.0
"""Talker echo loudness rating in dB that a telephone keeps by default."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What the narrowband model is told of a connection; the values are those of G.107, table 2."""

    slr: float = 8.0
    """Send loudness rating, dB."""
    rlr: float = 2.0
    """Receive loudness rating, dB."""
    stmr: float = 15.0
    """Sidetone masking rating, dB."""
    lstr: float = 18.0
    """Listener sidetone rating, dB."""
    ds: float = 3.0
    """D-value of the telephone on the send side."""
    telr: float = ECHO_LOSS
    """Talker echo loudness rating, dB."""
    wepl: float = 110.0
    """Weighted echo path loss, dB."""
    t: float = 0.0
    """Mean one-way delay of the echo path, ms."""
    tr: float = 0.0
    """Round-trip delay in the four-wire loop, ms."""
    ta: float = 0.0
    """Absolute delay from mouth to ear, ms."""
    qdu: float = 1.0
    """Quantization distortion units."""
    ie: float = 0.0
    """Equipment impairment of the codec."""
    bpl: float = 4.3
    """Robustness of the codec against packet loss."""
    ppl: float = 0.0
    """Packets lost, percent."""
    burst_ratio: float = 1.0
    """Mean length of bursts of loss by what it would be with random loss."""
    nc: float = -70.0
    """Circuit noise, dBm0p."""
    nfor: float = -64.0
    """Noise floor on the receive side, dBmp."""
    ps: float = 35.0
    """Room noise on the send side, dB(A)."""
    pr: float = 35.0
    """Room noise on the receive side, dB(A)."""
    a: float = 0.0
    """Advantage factor: what users forgive for the sake of mobility."""


def rating(connection: Connection) -> float:
    """Return R (G.107, 7.1)."""
    noise = _noise(connection)
    basic = 15 - 1.5 * (connection.slr + noise)
    sidetone = _sidetone(connection)
    loud = connection.slr + connection.rlr + 0.2 * (64 + noise - connection.rlr)
    too_loud = 20 * (_bend(loud / 8, 8) - loud / 8)
    simultaneous = too_loud + sidetone + _quantizing(connection.qdu, basic)
    delay = (
        _talker_echo_narrowband(connection, -1.5 * (noise - connection.rlr), sidetone)
        + _listener_echo(basic, connection.wepl, connection.tr)
        + absolute_delay(connection.ta)
    )
    codec = effective_impairment(
        connection.ie, connection.bpl, connection.ppl, connection.burst_ratio
    )
    return basic - simultaneous - delay - codec + connection.a


def mos(r: float) -> float:
    """Return the mean opinion score for R on the narrowband scale (G.107, annex B)."""
    if r <= 6.5:  # below, the standard's curve dips under 1
        return 1.0
    if r >= 100:
        return 4.5
    return 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6


def effective_impairment(ie: float, bpl: float, ppl: float, burst_ratio: float = 1.0) -> float:
    """Return Ie-eff: the codec's impairment with `ppl` percent of its packets lost (7.5)."""
    return ie + (95 - ie) * ppl / (ppl / burst_ratio + bpl)


def absolute_delay(ta: float) -> float:
    """Return Idd, what `ta` ms from mouth to ear cost even without echo (7.4)."""
    if ta <= 100:
        return 0.0
    x = log2(ta / 100)
    return 25 * (_bend(x, 6) - 3 * _bend(x / 3, 6) + 2)


@lru_cache(maxsize=1024)
def speech_quality(scale: float, ie: float, bpl: float, loss: float, delay: float) -> float:
    """Return MOS for a codec on its scale, `loss` (0 to 1) and `delay` (seconds, mouth to ear).

    Everything else has its default value; the echo path is as long as the connection.
    """
    ppl, ta = 100 * min(max(loss, 0.0), 1.0), 1000 * min(max(delay, 0.0), 10.0)
    if scale == NARROWBAND:
        return mos(rating(Connection(ie=ie, bpl=bpl, ppl=ppl, t=ta, tr=2 * ta, ta=ta)))
    spoilt = _talker_echo_wideband(ta) + absolute_delay(ta) + effective_impairment(ie, bpl, ppl)
    return mos((scale - spoilt) / scale * 100)


def _bend(x: float, power: int) -> float:
    """Return 1 for small x, x for large x, and a soft bend between."""
    return pow(1 + pow(x, power), 1 / power)


def _noise(c: Connection) -> float:
    """Return No, the power of all noise in dBm0p (7.2)."""
    overall = c.slr + c.rlr
    send = c.ps - c.slr - c.ds - 100 + 0.004 * (c.ps - overall - c.ds - 14) ** 2
    room = c.pr + 10 * log10(1 + 10 ** ((10 - c.lstr) / 10))
    receive = c.rlr - 121 + room + 0.008 * (room - 35) ** 2
    powers = (c.nc, send, receive, c.nfor + c.rlr)
    return 10 * log10(sum(10 ** (power / 10) for power in powers))


def _sidetone(c: Connection) -> float:
    """Return Ist (7.3)."""
    masking = -10 * log10(10 ** (-c.stmr / 10) + exp(-c.t / 4) * 10 ** (-c.telr / 10))
    return (
        12 * _bend((masking - 13) / 6, 8)
        - 28 * _bend((masking + 1) / 19.4, 35)
        - 13 * _bend((masking - 3) / 33, 13)
        + 29
    )


def _quantizing(qdu: float, basic: float) -> float:
    """Return Iq (7.3)."""
    q = 37 - 15 * log10(qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y = (basic - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    return 15 * log10(1 + 10**y + 10**z)


def _talker_echo_narrowband(c: Connection, basic: float, sidetone: float) -> float:
    """Return Idte with its rules for low and high sidetone (7.4)."""
    if c.t < 1:
        return 0.0
    masked = c.telr + (sidetone / 2 if c.stmr < 9 else 0)
    echo = _talker_echo(basic, 80 + 2.5 * (_heard_echo(masked, c.t) - 14), c.t)
    return sqrt(echo**2 + sidetone**2) if c.stmr > 20 else echo


def _talker_echo_wideband(ta: float) -> float:
    """Return Idte on the wideband scale with the default echo loss (G.107.1, 7.4)."""
    if ta < 1:
        return 0.0
    masked = ECHO_LOSS + min(0.08 * ta + 10, 18)
    return _talker_echo(WIDEBAND, 80 + 3 * (_heard_echo(masked, ta) - 14), ta)


def _heard_echo(telr: float, t: float) -> float:
    """Return TERV, the echo loss as it is perceived after `t` ms."""
    return telr - 40 * log10((1 + t / 10) / (1 + t / 150)) + 6 * exp(-0.3 * t**2)


def _talker_echo(basic: float, echo: float, t: float) -> float:
    half = (basic - echo) / 2
    return (half + sqrt(half**2 + 100) - 1) * (1 - exp(-t))


def _listener_echo(basic: float, wepl: float, tr: float) -> float:
    """Return Idle (7.4)."""
    half = (basic - 10.5 * (wepl + 7) / sqrt(sqrt(tr + 1))) / 2
    return half + sqrt(half**2 + 169)
