"""G.711: mu-law (PCMU, payload type 0) and A-law (PCMA, 8) to and from 16-bit samples.

Whole buffers at a time, by tables: decoding and changing the law run within `bytes.translate`, at
about a nanosecond per sample; encoding looks each sample up, at about 20.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from itertools import pairwise

SILENCE = {"PCMU": b"\xff", "PCMA": b"\xd5"}
"""The octet of the sample nearest to zero."""

_LOW, _HIGH = (0, 1) if sys.byteorder == "little" else (1, 0)
"""Which octet of a 16-bit sample in memory is the low one."""


def decode_ulaw(data: bytes) -> array[int]:
    """Return the samples of mu-law octets."""
    return _decode(data, *_halves(_ulaw_samples()))


def decode_alaw(data: bytes) -> array[int]:
    """Return the samples of A-law octets."""
    return _decode(data, *_halves(_alaw_samples()))


def encode_ulaw(samples: Iterable[int]) -> bytes:
    """Return the mu-law octets of 16-bit samples, each the nearest there is."""
    return _encode(samples, _octets(_ulaw_samples()))


def encode_alaw(samples: Iterable[int]) -> bytes:
    """Return the A-law octets of 16-bit samples, each the nearest there is."""
    return _encode(samples, _octets(_alaw_samples()))


def ulaw_to_alaw(data: bytes) -> bytes:
    """Return the A-law octets nearest to mu-law octets."""
    return data.translate(_ulaw_to_alaw())


def alaw_to_ulaw(data: bytes) -> bytes:
    """Return the mu-law octets nearest to A-law octets."""
    return data.translate(_alaw_to_ulaw())


def _decode(data: bytes, low: bytes, high: bytes) -> array[int]:
    octets = bytearray(2 * len(data))
    octets[_LOW::2] = data.translate(low)
    octets[_HIGH::2] = data.translate(high)
    samples = array("h")
    samples.frombytes(octets)
    return samples


def _encode(samples: Iterable[int], table: bytes) -> bytes:
    if not isinstance(samples, array) or samples.typecode != "h":
        samples = array("h", samples)
    unsigned = memoryview(samples).cast("B").cast("H")
    return bytes(map(table.__getitem__, unsigned))


@cache
def _ulaw_samples() -> tuple[int, ...]:
    """Return the sample of each octet: inverted sign, 3-bit exponent, 4-bit step, bias 132."""
    samples = []
    for octet in range(256):
        bits = ~octet
        size = (((bits & 0x0F) << 3) + 132 << ((bits >> 4) & 7)) - 132
        samples.append(-size if bits & 0x80 else size)
    return tuple(samples)


@cache
def _alaw_samples() -> tuple[int, ...]:
    """Return the sample of each octet: even bits inverted, the two lowest segments linear."""
    samples = []
    for octet in range(256):
        bits = octet ^ 0x55
        exponent = (bits >> 4) & 7
        size = ((bits & 0x0F) << 4) + 8
        if exponent:
            size = size + 256 << exponent - 1
        samples.append(size if bits & 0x80 else -size)
    return tuple(samples)


@cache
def _halves(samples: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Return for each octet the low and the high octet of its sample."""
    low = bytes(sample & 0xFF for sample in samples)
    return low, bytes(sample >> 8 & 0xFF for sample in samples)


@cache
def _octets(samples: tuple[int, ...]) -> bytes:
    """Return the nearest octet for each 16-bit sample, in two's complement order."""
    # Octets from the top down, so that of mu-law's two zeros the positive one (0xFF) is taken.
    ordered = sorted({sample: octet for octet, sample in enumerate(samples)}.items())
    levels = [sample for sample, _ in ordered]
    borders = [(low + high) // 2 for low, high in pairwise(levels)]
    signed = [*range(8192), *range(-8192, 0)]
    # Neither law tells samples apart that differ in the lowest two bits only.
    nearest = (ordered[bisect_right(borders, upper * 4 + 2)][1] for upper in signed)
    return bytes(octet for octet in nearest for _ in range(4))


@cache
def _ulaw_to_alaw() -> bytes:
    return encode_alaw(_ulaw_samples())


@cache
def _alaw_to_ulaw() -> bytes:
    return encode_ulaw(_alaw_samples())
