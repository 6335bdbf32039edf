"""Known tones: written to play, and recognised in recordings by Goertzel's algorithm."""

from __future__ import annotations

import array
import math
import wave
from pathlib import Path

RATE = 8000
"""Samples a second of G.711."""
PACKET = 160
"""Samples of one RTP packet."""
HEADER = 44
"""Octets before the samples in a WAV file."""


def write(folder: Path, frequency: int, seconds: int = 180) -> Path:
    """Write a WAV file that is a tone, unless it is there already, and give its path."""
    file = folder / f"{frequency}.wav"
    if not file.exists():
        step = 2 * math.pi * frequency / RATE
        second = array.array("h", (int(8000 * math.sin(step * n)) for n in range(RATE)))
        with wave.open(str(file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            out.writeframes(second.tobytes() * seconds)
    return file


def samples(recording: Path) -> array.array[int]:
    """Give the 16-bit samples of a mono WAV file that may still be being written."""
    data = recording.read_bytes()[HEADER:]
    found = array.array("h")
    found.frombytes(data[: len(data) // 2 * 2])
    return found


def share(part: array.array[int], frequency: float) -> float:
    """Tell how much of the energy is at a frequency, 0 (none) to 1 (a pure tone)."""
    energy = sum(value * value for value in part)
    if not part or energy < 100 * 100 * len(part):
        return 0.0
    factor = 2 * math.cos(2 * math.pi * frequency / RATE)
    before, now = 0.0, 0.0
    for value in part:
        before, now = now, value + factor * now - before
    power = now * now + before * before - factor * now * before
    return min(2 * power / (energy * len(part)), 1.0)


def presence(part: array.array[int], frequency: float) -> float:
    """Tell in how many packets' worth of samples a tone is, 0 to 1.

    Packet by packet, since a phone that was late once goes on at another phase.
    """
    blocks = [part[at : at + PACKET] for at in range(0, len(part) - PACKET + 1, PACKET)]
    return sum(share(block, frequency) > 0.7 for block in blocks) / max(len(blocks), 1)


def heard(recording: Path, frequency: float, seconds: float = 1.0) -> bool:
    """Tell whether the last `seconds` of a recording are this tone."""
    wanted = int(seconds * RATE) // PACKET * PACKET
    part = samples(recording)
    end = len(part) // PACKET * PACKET
    return end >= wanted and presence(part[end - wanted : end], frequency) > 0.7


def loudest(recording: Path) -> str:
    """Say what the last second of a recording is, for whoever looks into a failure."""
    part = samples(recording)[-RATE:]
    found = {tone: presence(part, tone) for tone in range(300, 1300, 10)}
    best = max(found, key=lambda tone: found[tone])
    return f"{found[best]:.0%} of the last second's packets at {best} Hz"
