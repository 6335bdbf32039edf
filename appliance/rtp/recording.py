"""A recording in any format we take, as the 8 kHz mono samples of a telephone line, and back."""

from __future__ import annotations

import sys
from array import array

from appliance.bundle.wav import Wav
from appliance.rtp.g711 import decode_alaw, decode_ulaw
from appliance.rtp.resampling import resample
from appliance.rtp.tone import RATE

_DECODE = {"PCMU": decode_ulaw, "PCMA": decode_alaw}


def samples_of(wav: Wav) -> array[int]:
    """Return a recording's samples at 8 kHz, both channels of a stereo one together."""
    samples = _linear(wav)
    if wav.channels == 2:
        both = zip(samples[::2], samples[1::2], strict=True)
        samples = array("h", [(left + right) // 2 for left, right in both])
    return resample(samples, wav.rate, RATE)


def wav_of(samples: array[int]) -> Wav:
    """Return 8 kHz samples as a recording of 16-bit PCM."""
    return Wav("PCM", RATE, 1, _little_endian(samples).tobytes())


def _linear(wav: Wav) -> array[int]:
    if wav.coding != "PCM":
        return _DECODE[wav.coding](wav.data)
    samples = array("h")
    samples.frombytes(wav.data)
    return _little_endian(samples)


def _little_endian(samples: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return samples
    swapped = samples[:]
    swapped.byteswap()
    return swapped
