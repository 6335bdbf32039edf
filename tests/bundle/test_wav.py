"""WAV files as they come: which are taken, and what the others are told."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bundle.wav import RATES, Wav, read_wav, write_wav
from appliance.errors import LocalError


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE"
    for name, content in chunks:
        body += name + struct.pack("<I", len(content)) + content + bytes(len(content) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    width = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)


TEN = bytes(range(20))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("coding", ["PCM", "PCMA", "PCMU"])
def test_what_is_written_is_read(coding: str, channels: int, rate: int) -> None:
    wav = Wav(coding, rate, channels, TEN)  # type: ignore[arg-type]
    assert read_wav(write_wav(wav)) == wav


def test_literal_bytes_of_the_smallest_file() -> None:
    data = bytes.fromhex(
        "52494646 26000000 57415645 666d7420 10000000 0100 0100 401f0000 803e0000 0200 1000"
        "64617461 02000000 3412"
    )
    assert read_wav(data) == Wav("PCM", 8000, 1, b"\x34\x12")
    assert write_wav(Wav("PCM", 8000, 1, b"\x34\x12")) == data


def test_other_chunks_are_passed_over_and_the_first_of_two_counts() -> None:
    chunks = [
        (b"LIST", b"odd"),
        (b"fmt ", form()),
        (b"data", TEN),
        (b"data", b"xx"),
        (b"id3 ", b""),
    ]
    assert read_wav(riff(*chunks)).data == TEN


def test_the_extensible_format_is_known_by_its_sub_format() -> None:
    extended = form(0xFFFE) + struct.pack("<HHI", 22, 16, 4) + b"\x01\x00" + bytes(14)
    assert read_wav(riff((b"fmt ", extended), (b"data", TEN))).coding == "PCM"


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 1000])
def test_a_recording_from_a_pipe_ends_with_the_file(claimed: int) -> None:
    head = riff((b"fmt ", form()))
    data = head + b"data" + struct.pack("<I", claimed) + TEN
    assert read_wav(data).data == TEN


def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert read_wav(riff((b"fmt ", form(channels=2)), (b"data", TEN[:7]))).data == TEN[:4]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a WAV file; save it as WAV, 8 or 16 kHz, 16-bit PCM"),
        (b"ID3\x04mp3", "not a WAV file"),
        (riff((b"fmt ", form())), "without its format or its samples"),
        (riff((b"data", TEN)), "without its format or its samples"),
        (riff((b"fmt ", form()[:10]), (b"data", TEN)), "without its format or its samples"),
        (riff((b"fmt ", form(bits=24)), (b"data", TEN)), "format 1 with 24 bits is not taken"),
        (riff((b"fmt ", form(tag=85)), (b"data", TEN)), "format 85 with 16 bits is not taken"),
        (
            riff((b"fmt ", form(channels=6)), (b"data", TEN)),
            "6 channels; save it as mono or stereo",
        ),
        (riff((b"fmt ", form(channels=0)), (b"data", TEN)), "0 channels"),
        (riff((b"fmt ", form(rate=96000)), (b"data", TEN)), "96000 samples a second"),
        (riff((b"fmt ", form()), (b"data", b"\0")), "it has no samples"),
        (riff((b"fmt ", form()), (b"data", bytes(16000 * 601))), "601 seconds; 600 is the limit"),
    ],
)
def test_what_cannot_be_played_is_told_what_to_do(data: bytes, told: str) -> None:
    with pytest.raises(LocalError) as caught:
        read_wav(data)
    assert told in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for file in (data, riff((b"fmt ", data[:16]), (b"data", data[16:])), riff()[:12] + data):
        with suppress(LocalError):
            assert read_wav(file).data
