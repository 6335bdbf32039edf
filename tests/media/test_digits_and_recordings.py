"""What a phone sends us as its far end: keys pressed and speech recorded, with real sockets."""

from __future__ import annotations

import errno
import gc
import os
import time
import wave
from array import array
from collections.abc import Iterator
from math import pi, sin
from pathlib import Path

import pytest

from appliance.call.actions import Codec, Relay, RelaySide
from appliance.call.events import DigitPressed, Heard, RecordingEnded
from appliance.media import recorder
from appliance.media.end_system import Studio
from appliance.media.loop import Loop
from appliance.media.relay import RelayedStream
from appliance.rtp.g711 import encode_alaw, encode_ulaw
from appliance.rtp.packet import RtpPacket
from appliance.rtp.telephone_event import TelephoneEvent, press
from appliance.rtp.tone import share, tone
from tests.media.phone import Phone, relay, settle
from tests.media.secure_phone import SecurePhone, fresh_keys

PCMU, PCMA = Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000)
EVENTS = Codec(101, "TELEPHONE-EVENT", 8000)


class Trial:
    """A loop and a studio that records under a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.loop = Loop()
        self.studio = Studio(self.loop, None, folder)
        self.told: list[Heard] = []
        self.studio.tell = self.told.append

    def open(self, a: RelaySide, b: RelaySide | None = None) -> RelayedStream:
        return RelayedStream(self.loop, Relay("call/0", 1, a, b), self.studio)

    @property
    def digits(self) -> str:
        settle(self.loop)
        return "".join(event.digit for event in self.told if isinstance(event, DigitPressed))

    def recorded(self) -> RecordingEnded:
        """Wait for the end of the one recording."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.loop.turn(0.05)
            found = [event for event in self.told if isinstance(event, RecordingEnded)]
            if found:
                assert len(found) == 1
                return found[0]
        raise AssertionError("no recording has ended")


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.studio.disk.close()
    made.loop.close()


def events(digit: str, sequence: int, timestamp: int, payload_type: int = 101) -> list[bytes]:
    return [
        RtpPacket(payload_type, sequence + n, timestamp, 7, event.encode(), marker=not n).encode()
        for n, event in enumerate(press(digit))
    ]


def speech(payloads: list[bytes], payload_type: int = 0, first: int = 0) -> list[bytes]:
    return [
        RtpPacket(payload_type, first + n, 160 * (first + n), 7, payload).encode()
        for n, payload in enumerate(payloads)
    ]


# Digits by RFC 4733


def test_each_key_is_told_once(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(PCMU, EVENTS)))
    for n, digit in enumerate("147*0#"):
        for packet in events(digit, 20 * n, 8000 * n):
            a.say(packet)
    assert trial.digits == "147*0#"
    stream.close()


def test_the_same_key_twice_is_two(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)))
    for packet in events("5", 0, 1600) + events("5", 20, 4800):
        a.say(packet)
    assert trial.digits == "55"
    stream.close()


def test_lost_repeated_and_late_packets_change_nothing(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)))
    first, second = events("1", 0, 1600), events("2", 20, 4800)
    for packet in (first[-1], first[-1], second[3], first[2], second[-1], second[-1]):
        a.say(packet)
    assert trial.digits == "12"
    stream.close()


def test_a_key_held_for_long_is_one(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)))
    for timestamp, duration in ((0, 160), (0, 0xFFFF), (0xFFFF, 160), (0xFFFF, 4000)):
        payload = TelephoneEvent(9, duration).encode()
        a.say(RtpPacket(101, 1, timestamp, 7, payload).encode())
    assert trial.digits == "9"
    stream.close()


def test_the_payload_number_is_the_one_the_phone_was_told(trial: Trial) -> None:
    a, b = Phone(), Phone()
    told = Codec(96, "TELEPHONE-EVENT", 8000)
    stream = trial.open(a.side(digits=True, codecs=(PCMU, EVENTS)), b.side(codecs=(PCMU, told)))
    sent = events("3", 0, 1600, 96)
    for packet in sent:
        a.say(packet)
    assert trial.digits == "3"
    assert b.heard() == sent
    stream.close()


def test_keys_are_found_in_srtp_that_passes_as_it_is(trial: Trial) -> None:
    a = SecurePhone(fresh_keys(), fresh_keys())
    b = SecurePhone(a.hears, a.sends)
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)), b.side(codecs=(EVENTS,)))
    sent = [a.say_clear(packet) for packet in events("8", 0, 1600)]
    assert trial.digits == "8"
    assert b.heard() == sent
    stream.close()


def test_a_storm_of_keys_is_cut(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)))
    for n in range(100):
        a.say(events("1", n, 1600 * n)[0])
    assert len(trial.digits) <= 2 * 20
    stream.close()


@pytest.mark.parametrize("payload", [b"", b"\1", b"\xff\0\0\0", bytes(1400)])
def test_broken_events_are_none(trial: Trial, payload: bytes) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(EVENTS,)))
    a.say(RtpPacket(101, 1, 0, 7, payload).encode())
    a.say(b"\x80\xe5")
    a.say(b"\x9f\xe5" + bytes(14))
    for packet in events("6", 20, 1600):
        a.say(packet)
    assert trial.digits.replace("0", "") == "6"
    stream.close()


# Digits by ear


def dtmf(low: float, high: float, frames: int) -> array[int]:
    def wave_at(n: int) -> float:
        return sin(2 * pi * low * n / 8000) + sin(2 * pi * high * n / 8000)

    return array("h", [round(8000 * wave_at(n)) for n in range(160 * frames)])


def in_speech(samples: array[int], codec: Codec, size: int = 160) -> list[bytes]:
    encode = encode_ulaw if codec is PCMU else encode_alaw
    octets = encode(samples)
    return [
        RtpPacket(codec.payload_type, n, n * size, 7, octets[at : at + size]).encode()
        for n, at in enumerate(range(0, len(octets), size))
    ]


@pytest.mark.parametrize("size", [80, 160, 240, 320])
@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_tones_are_heard_where_there_are_no_events(trial: Trial, codec: Codec, size: int) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(codec,)))
    silence = array("h", bytes(2 * 160 * 6))
    samples = silence + dtmf(770, 1336, 5) + silence + dtmf(941, 1477, 5) + silence
    for packet in in_speech(samples, codec, size):
        a.say(packet)
    assert trial.digits == "5#"
    stream.close()


def test_tones_are_not_heard_beside_events(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(a.side(digits=True, codecs=(PCMU, EVENTS)))
    for packet in in_speech(dtmf(770, 1336, 10), PCMU):
        a.say(packet)
    assert trial.digits == ""
    stream.close()


# Recordings


def wav(path: Path) -> array[int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return array("h", file.readframes(file.getnframes()))


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_what_a_phone_says_is_a_wav_file(trial: Trial, tmp_path: Path, codec: Codec) -> None:
    a = Phone()
    stream = trial.open(a.side(record="mail/1001/m1.wav", codecs=(codec,)))
    for n in range(75):
        samples = tone(1000, 160, 160 * n)
        payload = (encode_ulaw if codec is PCMU else encode_alaw)(samples)
        a.say(speech([payload], codec.payload_type, n)[0])
        settle(trial.loop)
    stream.close()
    event = trial.recorded()
    assert event == RecordingEnded("call/0", "a", "mail/1001/m1.wav", 1.5)
    heard = wav(tmp_path / "mail/1001/m1.wav")
    assert len(heard) == 75 * 160 and share(heard, 1000) > 0.99


def test_lost_packets_are_silence_and_late_ones_are_not_twice(trial: Trial, tmp_path: Path) -> None:
    a = Phone()
    stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)))
    packets = speech([encode_ulaw(tone(1000, 160))] * 10)
    for n in (0, 1, 4, 3, 4, 5):
        a.say(packets[n])
        settle(trial.loop)
    stream.close()
    assert trial.recorded().seconds == 0.12
    heard = wav(tmp_path / "x.wav")
    assert not any(heard[320:640]) and any(heard[640:800])


def test_an_end_that_is_asked_for_goes_on_with_the_call(trial: Trial, tmp_path: Path) -> None:
    a, b = Phone(), Phone()
    stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)), b.side())
    a.say(speech([bytes(160)])[0])
    settle(trial.loop)
    stream.apply(relay(a.side(codecs=(PCMU,)), b.side(), 2))
    assert trial.recorded().reason == ""
    assert stream.is_straight and b.heard() == speech([bytes(160)])
    stream.close()


def test_a_full_disk_ends_the_recording_and_says_so(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recorder, "_write_all", full)
    a, b = Phone(), Phone()
    stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)), b.side())
    for packet in speech([bytes(160)] * 60):
        a.say(packet)
        settle(trial.loop)
    event = trial.recorded()
    assert (event.seconds, event.reason) == (0.0, "x.wav: No space left on device")
    b.heard()
    a.say(speech([bytes(160)], first=60)[0])
    settle(trial.loop)
    assert len(b.heard()) == 1
    stream.close()


def test_a_real_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=16k none {tmp_path} 2>&1"):
        pytest.skip("mounting a small disk needs root")
    trial = Trial(tmp_path)
    try:
        a = Phone()
        stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)))
        for packet in speech([bytes(160)] * 120):
            a.say(packet)
            settle(trial.loop)
        assert trial.recorded().reason == "x.wav: No space left on device"
        stream.close()
    finally:
        trial.studio.disk.close()
        os.system(f"umount {tmp_path}")
        trial.loop.close()


def test_a_disk_that_hangs_does_not_hang_us(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "QUEUE_LIMIT", 2)
    monkeypatch.setattr(recorder, "CHUNK", 320)
    stuck = Studio(trial.loop, None, trial.studio.folder)
    stuck.tell = trial.told.append
    reader, writer = os.pipe()
    stuck.disk.ask(lambda: os.read(reader, 1) and None)
    a = Phone()
    stream = RelayedStream(
        trial.loop, Relay("call/0", 1, a.side(record="x.wav", codecs=(PCMU,)), None), stuck
    )
    for packet in speech([bytes(160)] * 50):
        a.say(packet)
    begin = time.monotonic()
    settle(trial.loop)
    assert time.monotonic() - begin < 1.0
    os.write(writer, b"x")
    assert trial.recorded().reason == "the disk does not keep up"
    stream.close()
    stuck.disk.close()
    os.close(reader)
    os.close(writer)


def test_the_longest_recording_ends_itself(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "LONGEST", 1.0)
    a = Phone()
    stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)))
    for packet in speech([bytes(160)] * 80):
        a.say(packet)
        settle(trial.loop)
    event = trial.recorded()
    assert event.seconds == 1.0 and "longest" in event.reason
    stream.close()


@pytest.mark.parametrize("name", ["/etc/x.wav", "../x.wav", "a/../../x.wav", "x.mp3"])
def test_recordings_stay_in_their_folder(trial: Trial, name: str) -> None:
    a = Phone()
    stream = trial.open(a.side(record=name, codecs=(PCMU,)))
    assert "data folder" in trial.recorded().reason
    stream.close()


def test_a_recording_goes_on_after_a_crash(trial: Trial, tmp_path: Path) -> None:
    for _ in range(2):
        a = Phone()
        stream = trial.open(a.side(record="x.wav", codecs=(PCMU,)))
        for packet in speech([bytes(160)] * 50):
            a.say(packet)
            settle(trial.loop)
        stream.close()
        seconds = trial.recorded().seconds
        trial.told.clear()
    assert seconds == 2.0 and len(wav(tmp_path / "x.wav")) == 16000


def test_no_descriptor_stays_open(trial: Trial) -> None:
    a = Phone()
    trial.open(a.side(record="first.wav", codecs=(PCMU,))).close()
    trial.recorded()
    # What tests before this one let go of must not be counted now and gone at the end.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for n in range(20):
        trial.told.clear()
        trial.open(a.side(record=f"{n}.wav", codecs=(PCMU,))).close()
        trial.recorded()
    assert len(os.listdir("/proc/self/fd")) == before
