"""The judge of the system tests, judged itself."""

import array
import math
import random
from pathlib import Path

from tests.system.tone import RATE, heard, write


def recording(folder: Path, values: list[int]) -> Path:
    file = folder / "heard.wav"
    file.write_bytes(b"\0" * 44 + array.array("h", values).tobytes())
    return file


def sine(frequency: int, seconds: float, phase: float = 0.0) -> list[int]:
    step = 2 * math.pi * frequency / RATE
    return [int(8000 * math.sin(phase + step * n)) for n in range(int(seconds * RATE))]


def test_a_tone_is_heard_and_no_other(tmp_path: Path) -> None:
    file = recording(tmp_path, sine(620, 2))
    assert heard(file, 620)
    assert not any(heard(file, other) for other in (440, 500, 700, 810, 1000))


def test_what_is_written_is_heard(tmp_path: Path) -> None:
    assert heard(write(tmp_path, 440, 2), 440)


def test_a_jump_in_phase_is_no_other_tone(tmp_path: Path) -> None:
    values = [value for phase in range(10) for value in sine(440, 0.2, phase)]
    assert heard(recording(tmp_path, values), 440)


def test_silence_and_noise_are_no_tone(tmp_path: Path) -> None:
    dice = random.Random(1)
    assert not heard(recording(tmp_path, [0] * 2 * RATE), 440)
    noise = [dice.randint(-8000, 8000) for _ in range(2 * RATE)]
    assert not heard(recording(tmp_path, noise), 440)


def test_less_than_a_second_is_not_enough(tmp_path: Path) -> None:
    assert not heard(recording(tmp_path, sine(440, 0.9)), 440)
