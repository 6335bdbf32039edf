"""G.711: mu-law (PCMU, payload type 0) and A-law (PCMA, 8) to and from 16-bit samples."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from functools import cache
from itertools import pairwise


def decode_ulaw(data: bytes) -> array[int]:
    """Return the samples of mu-law octets."""
    table = _ulaw_samples()
    return array("h", [table[octet] for octet in data])


def decode_alaw(data: bytes) -> array[int]:
    """Return the samples of A-law octets."""
    table = _alaw_samples()
    return array("h", [table[octet] for octet in data])


def encode_ulaw(samples: Iterable[int]) -> bytes:
    """Return the mu-law octets of samples, each the nearest there is."""
    table = _octets(_ulaw_samples())
    return bytes([table[(sample >> 2) & 0x3FFF] for sample in samples])


def encode_alaw(samples: Iterable[int]) -> bytes:
    """Return the A-law octets of samples, each the nearest there is."""
    table = _octets(_alaw_samples())
    return bytes([table[(sample >> 2) & 0x3FFF] for sample in samples])


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
def _octets(samples: tuple[int, ...]) -> bytes:
    """Return the nearest octet for each sample's upper 14 bits, in two's complement order."""
    # Octets from the top down, so that of mu-law's two zeros the positive one (0xFF) is taken.
    ordered = sorted({sample: octet for octet, sample in enumerate(samples)}.items())
    levels = [sample for sample, _ in ordered]
    borders = [(low + high) // 2 for low, high in pairwise(levels)]
    signed = [*range(8192), *range(-8192, 0)]
    return bytes(ordered[bisect_right(borders, upper * 4 + 2)][1] for upper in signed)
