"""Quality from the sample that the kernel takes: four packets of 256."""

import struct

import pytest

from appliance.rtp.sampled import KERNEL_PERIOD, SampledStream


def header(sequence: int) -> bytes:
    return struct.pack(">BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 7)


def heard(stream: SampledStream, numbers: range, lost: set[int]) -> None:
    for number in numbers:
        if number % KERNEL_PERIOD < 4 and number not in lost:
            stream.observe(header(number), number * 0.02, None, KERNEL_PERIOD)


def test_nothing_lost() -> None:
    stream = SampledStream()
    heard(stream, range(60_000, 80_000), set())
    assert stream.loss == 0
    assert stream.expected == 79_876 - 60_160


def test_loss_is_that_of_the_sample() -> None:
    stream = SampledStream()
    # Every eighth packet of the sample: one of the second, fourth, ... four in a row.
    heard(stream, range(51_200), set(range(512, 51_000, 512)))
    assert stream.loss == pytest.approx(1 / 8, abs=0.01)


def test_from_user_space_to_the_kernel_is_no_new_stream() -> None:
    stream = SampledStream()
    for number in range(1024):
        stream.observe(header(number), number * 0.02, number + 1)
    heard(stream, range(1024, 4096), set())
    assert (stream.restarts, stream.loss) == (0, 0)
    assert stream.packet_time == 0.02
