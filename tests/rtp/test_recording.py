"""Recordings of any kind as telephone sound: right pitch, no alias, even, without clicks."""

from __future__ import annotations

from array import array
from math import log10, pi, sin

import pytest

from appliance.bundle.wav import Wav
from appliance.rtp.g711 import alaw_to_ulaw, decode_alaw, decode_ulaw, encode_ulaw, ulaw_to_alaw
from appliance.rtp.loudness import TARGET, active_level, faded, levelled, trimmed
from appliance.rtp.progress_tone import COUNTRIES, FRAME, LEVEL, SUPPORTED, level, progress_tone
from appliance.rtp.recording import samples_of, wav_of
from appliance.rtp.resampling import resample
from appliance.rtp.tone import RATE, share


def sine(frequency: float, rate: int, seconds: float = 0.5, size: float = 8000) -> array[int]:
    step = 2 * pi * frequency / rate
    return array("h", [round(size * sin(step * n)) for n in range(round(rate * seconds))])


def power(samples: array[int]) -> float:
    return sum(sample * sample for sample in samples) / len(samples)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_a_tone_keeps_its_pitch_and_size(rate: int, frequency: int) -> None:
    made = resample(sine(frequency, rate), rate, RATE)[400:-400]
    assert share(made[:2400], frequency) > 0.999
    assert abs(10 * log10(power(made) / 32e6)) < 0.1


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
@pytest.mark.parametrize("frequency", [4700, 5500, 7000])
def test_what_a_phone_cannot_carry_does_not_come_back_lower(rate: int, frequency: int) -> None:
    made = resample(sine(frequency, rate), rate, RATE)[400:-400]
    assert 10 * log10(power(made) / 32e6 + 1e-12) < -50


def test_length_is_kept() -> None:
    assert len(resample(array("h", bytes(2 * 44100)), 44100, RATE)) == RATE


def test_stereo_is_heard_from_both_sides() -> None:
    left = sine(500, RATE)
    both = array("h", [value for sample in left for value in (sample, 0)])
    made = samples_of(Wav("PCM", RATE, 2, both.tobytes()))
    assert len(made) == len(left)
    assert max(abs(a - b // 2) for a, b in zip(made, left, strict=True)) <= 1


def test_both_laws_are_read() -> None:
    octets = encode_ulaw(sine(700, RATE))
    assert samples_of(Wav("PCMU", RATE, 1, octets)) == decode_ulaw(octets)
    assert samples_of(Wav("PCMA", RATE, 1, octets)) == decode_alaw(octets)


def test_samples_come_back_from_a_recording() -> None:
    assert samples_of(wav_of(sine(700, RATE))) == sine(700, RATE)


def test_one_law_becomes_the_other_without_a_detour() -> None:
    every = bytes(range(256))
    for octet, other in zip(every, ulaw_to_alaw(every), strict=True):
        a, b = decode_ulaw(bytes([octet]))[0], decode_alaw(bytes([other]))[0]
        assert abs(a - b) <= max(8, abs(a) // 16)
    there_and_back = alaw_to_ulaw(ulaw_to_alaw(every))
    assert sum(a != b for a, b in zip(there_and_back, every, strict=True)) < 32


@pytest.mark.parametrize("size", [50, 1000, 30000])
def test_speech_of_any_loudness_becomes_even(size: int) -> None:
    # Half of it is a pause, which must not count.
    speech = sine(400, RATE, 1, size) + array("h", bytes(2 * RATE)) + sine(600, RATE, 1, size)
    assert active_level(levelled(speech)) == pytest.approx(TARGET, abs=0.2)


def test_peaks_are_bent_and_not_cut() -> None:
    peaky = array("h", [0] * 160)
    for n in range(16000):
        peaky.append(30000 if n % 160 == 0 else 200)
    made = levelled(peaky)
    assert max(made) < 32767
    assert active_level(array("h", bytes(320))) == float("-inf")
    assert set(levelled(array("h", bytes(320)))) == {0}


def test_silence_around_speech_is_trimmed_and_nothing_clicks() -> None:
    quiet = array("h", bytes(2 * RATE))
    made = trimmed(quiet + sine(500, RATE, 1) + quiet)
    assert RATE < len(made) < RATE * 1.2
    assert made[0] == made[-1] == 0
    assert len(trimmed(quiet)) == 0
    assert faded(array("h", [9000] * 1000))[0] == 0


@pytest.mark.parametrize("country", ["", *COUNTRIES])
@pytest.mark.parametrize("name", SUPPORTED)
def test_progress_tones_are_whole_frames_at_the_recommended_level(country: str, name: str) -> None:
    made = progress_tone(name, country)
    assert made is not None and len(made) % FRAME == 0 and len(made) <= 12 * RATE
    frames = [made[n : n + FRAME] for n in range(0, len(made), FRAME)]
    sounding = array("h", [sample for frame in frames if any(frame) for sample in frame])
    assert level(sounding) == pytest.approx(LEVEL, abs=3.0)
    assert abs(made[0]) < 2500 and max(map(abs, made)) < 20000


@pytest.mark.parametrize(
    ("country", "name", "frequencies", "cadence"),
    [
        ("US", "ringback", (440, 480), [2000, 4000]),
        ("CA", "congestion", (480, 620), [250, 250]),
        ("GB", "ringback", (400, 450), [400, 200, 400, 2000]),
        ("DE", "busy", (425,), [480, 480]),
        ("FR", "ringback", (440,), [1500, 3500]),
        ("ES", "congestion", (425,), [200, 200, 200, 200, 200, 600]),
        ("IT", "ringback", (425,), [1000, 4000]),
        ("NL", "busy", (425,), [500, 500]),
        ("AU", "busy", (425,), [375, 375]),
        ("JP", "ringback", (384, 416), [1000, 2000]),
        ("MX", "busy", (425,), [250, 250]),
        ("BR", "congestion", (425,), [250, 250, 750, 250]),
        ("IN", "ringback", (375, 425), [400, 200, 400, 2000]),
        ("CN", "busy", (450,), [350, 350]),
        ("XX", "ringback", (425,), [1000, 4000]),
    ],
)
def test_a_country_sounds_as_it_does(
    country: str, name: str, frequencies: tuple[int, ...], cadence: list[int]
) -> None:
    made = progress_tone(name, country)
    assert made is not None
    first = made[80 : 80 + 1520]
    assert sum(share(first, frequency) for frequency in frequencies) == pytest.approx(1, abs=0.12)
    assert runs(made)[: len(cadence)] == [pytest.approx(length, abs=12) for length in cadence]


def runs(samples: array[int]) -> list[float]:
    """Return the lengths of sound and silence in turn, in milliseconds."""
    lengths: list[float] = []
    sounding = False
    for n in range(0, len(samples), 8):
        now = max(map(abs, samples[max(0, n - 40) : n + 40])) > 300
        if now != sounding or not lengths:
            lengths.append(0.0)
            sounding = now
        lengths[-1] += 1
    return lengths if lengths[0] > 50 else lengths[1:]


def test_there_is_no_tone_of_another_name() -> None:
    assert progress_tone("howler") is None


def test_a_looped_tone_has_no_seam() -> None:
    made = progress_tone("dial", "US")
    assert made is not None
    steps = [abs(b - a) for a, b in zip(made, made[1:] + made[:1], strict=True)]
    assert steps[-1] <= max(steps[:-1])
