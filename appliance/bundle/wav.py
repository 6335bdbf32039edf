"""WAV files, as far as sounds for callers need them: reading any usual one, writing ours."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from appliance.errors import LocalError

Coding = Literal["PCM", "PCMA", "PCMU"]

RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sampling rates taken, Hz."""
LONGEST = 600.0
"""Seconds of one sound: 4.8 MB when prepared, and nobody listens longer."""

_CODINGS: dict[tuple[int, int], Coding] = {(1, 16): "PCM", (6, 8): "PCMA", (7, 8): "PCMU"}
"""By format tag and bits per sample (RFC 2361)."""
_TAGS = {coding: key for key, coding in _CODINGS.items()}
_EXTENSIBLE = 0xFFFE
"""The tag proper then stands in the sub-format, 24 bytes into the chunk."""
_FORMAT = struct.Struct("<HHIIHH")


class Wav(NamedTuple):
    """What a WAV file holds."""

    coding: Coding
    rate: int
    """Hz."""
    channels: int
    """1 or 2."""
    data: bytes
    """Interleaved samples, whole ones only; PCM is 16 bits, little endian."""

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        width = 2 if self.coding == "PCM" else 1
        return len(self.data) / (width * self.channels * self.rate)


def read_wav(data: bytes) -> Wav:
    """Read a WAV file; raises LocalError that says what to save it as."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise LocalError("not a WAV file; save it as WAV, 8 or 16 kHz, 16-bit PCM")
    chunks = dict(reversed(list(_chunks(data))))
    form, samples = chunks.get(b"fmt "), chunks.get(b"data")
    if form is None or samples is None or len(form) < _FORMAT.size:
        raise LocalError("a WAV file without its format or its samples; save it again")
    tag, channels, rate, _, _, bits = _FORMAT.unpack_from(form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    coding = _CODINGS.get((tag, bits))
    if coding is None:
        text = f"format {tag} with {bits} bits is not taken; save it as 16-bit PCM, mu-law or A-law"
        raise LocalError(text)
    if channels not in (1, 2):
        raise LocalError(f"{channels} channels; save it as mono or stereo")
    if rate not in RATES:
        raise LocalError(f"{rate} samples a second; save it with 8000 or 16000")
    width = channels * bits // 8
    wav = Wav(coding, rate, channels, samples[: len(samples) // width * width])
    if not wav.data:
        raise LocalError("it has no samples; record it again")
    if wav.seconds > LONGEST:
        raise LocalError(f"{wav.seconds:.0f} seconds; {LONGEST:.0f} is the limit, so cut it")
    return wav


def write_wav(wav: Wav) -> bytes:
    """Return the bytes of a WAV file."""
    tag, bits = _TAGS[wav.coding]
    width = wav.channels * bits // 8
    form = _FORMAT.pack(tag, wav.channels, wav.rate, wav.rate * width, width, bits)
    if wav.coding != "PCM":
        form += b"\0\0"  # The size of an extension, which all but PCM must state.
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", wav.data)
    return _chunk(b"RIFF", body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) & 1)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk; one that claims more than there is ends with the file.

    Programs that record to a pipe claim 0 or 4 GiB, for they cannot come back to mend it.
    """
    start = 12
    while start + 8 <= len(data):
        name, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if name == b"data" and size == 0:
            size = len(data)
        yield name, data[start + 8 : start + 8 + size]
        start += 8 + size + (size & 1)
