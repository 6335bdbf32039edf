"""What each codec costs in the E-model: its impairment and how badly it takes lost packets.

Only published values stand here; docs/decisions says from where and why these. A codec that is not
here has no MOS, since a number nobody measured would look like one that somebody did.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.rtp.e_model import FULLBAND, NARROWBAND, WIDEBAND


@dataclass(frozen=True, slots=True)
class Impairment:
    """One codec's values."""

    ie: float
    """Equipment impairment without loss."""
    bpl: float
    """Robustness against random loss."""
    lookahead: float
    """Seconds its encoder waits beyond the packet."""
    scale: float = NARROWBAND
    """R of the best connection on the scale these values belong to."""


_G711_WITHOUT_CONCEALMENT = Impairment(0, 4.3, 0)
_IMPAIRMENTS = {
    # ITU-T G.113, appendix I: with concealment, as every phone of today has it.
    "PCMU": Impairment(0, 25.1, 0),
    "PCMA": Impairment(0, 25.1, 0),
    # G.113, appendix I, the row of G.729A with VAD: the only G.729 with a published robustness.
    "G729": Impairment(11, 19, 0.005),
    # G.113, appendix I, at 6.3 kbit/s.
    "G723": Impairment(15, 16.1, 0.0075),
    "GSM-EFR": Impairment(5, 10, 0),
    # G.113, appendix IV at 64 kbit/s; its robustness is the lowest published on this scale.
    "G722": Impairment(13, 4.3, 0.0015, WIDEBAND),
}
_OPUS_LOOKAHEAD = 0.0065
# Alahmadi, Pocta, Melvin: An Adaptive Bitrate Switching Algorithm for Speech Applications in
# Context of WebRTC, ACM TOMM 17(4), 2021: superwideband, variable bit rate, random loss.
_OPUS = {
    14: (38.06, 16.51),
    16: (30.16, 11.83),
    19: (23.81, 10.67),
    22: (20.22, 10.47),
    25: (20.21, 11.28),
    28: (18.48, 10.63),
    31: (16.83, 10.44),
    34: (14.76, 10.12),
    37: (12.08, 10.38),
    40: (10.67, 9.79),
}
"""kbit/s of payload: impairment and robustness."""
_OPUS_RATES = list(_OPUS)
_OPUS_USUAL = 28


def impairment_of(codec: str, bitrate: float, conceals: bool = True) -> Impairment | None:
    """Return a codec's values at a bit rate of its payload (0: unknown), None where none exist.

    `conceals` False: the phone says that it leaves gaps where packets are lost.
    """
    if codec == "OPUS":
        return _opus(bitrate / 1000 or _OPUS_USUAL)
    if codec in ("PCMU", "PCMA") and not conceals:
        return _G711_WITHOUT_CONCEALMENT
    return _IMPAIRMENTS.get(codec)


def known_codecs() -> Iterable[str]:
    """Return the names of the codecs that have values."""
    return (*_IMPAIRMENTS, "OPUS")


def _opus(rate: float) -> Impairment:
    """Return the row of the highest rate that is not above this one."""
    row = max(0, bisect_right(_OPUS_RATES, rate + 0.5) - 1)
    ie, bpl = _OPUS[_OPUS_RATES[row]]
    return Impairment(ie, bpl, _OPUS_LOOKAHEAD, FULLBAND)
