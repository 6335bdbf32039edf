"""Sounds played to phones, on a virtual clock and real sockets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import pytest

from appliance.call.actions import Codec, Relay, RelaySide, Sound
from appliance.call.events import DigitPressed, Heard, SoundEnded
from appliance.media.end_system import Studio
from appliance.media.loop import Loop
from appliance.media.player import SynchronizationSource
from appliance.media.relay import RelayedStream
from appliance.media.sounds import Sounds
from appliance.rtp.dtmf import FRAME, DtmfDetector
from appliance.rtp.g711 import decode_ulaw
from appliance.rtp.packet import RtpPacket
from tests.media.phone import RTCP, Phone, relay, rtp
from tests.media.secure_phone import SecurePhone, fresh_keys, opened

PCMU, PCMA = Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000)
OPUS, EVENTS = Codec(111, "OPUS", 48000, 2), Codec(101, "TELEPHONE-EVENT", 8000)
SOUNDS = Sounds()
BEEP = Sound("tone/beep")
MUSIC = Sound("music", loop=True)


class Trial:
    """A loop whose clock we turn, with a studio."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(
            "appliance.media.loop.time", SimpleNamespace(monotonic=lambda: self.now)
        )
        self.loop = Loop()
        self.studio = Studio(self.loop, SOUNDS)
        self.told: list[Heard] = []
        self.studio.tell = self.told.append

    def open(self, wanted: Relay) -> RelayedStream:
        return RelayedStream(self.loop, wanted, self.studio)

    def run(self, seconds: float) -> None:
        """Let so much time pass, a millisecond at a time, and serve what is ready."""
        for _ in range(round(seconds * 1000)):
            self.now += 0.001
            while self.loop.turn(0.0):
                pass


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    made = Trial(monkeypatch)
    yield made
    made.loop.close()


def alone(side: RelaySide, revision: int = 1) -> Relay:
    return Relay("call/0", revision, side, None)


def hearing(phone: Phone, sound: Sound | None, *codecs: Codec, **changes: object) -> RelaySide:
    return phone.side(hears=sound, codecs=codecs or (PCMU,), **changes)


def parsed(phone: Phone) -> list[RtpPacket]:
    return [RtpPacket.parse(packet) for packet in phone.heard()]


def test_a_prompt_is_played_to_its_end_and_tells_it(trial: Trial) -> None:
    a = Phone()
    frames = SOUNDS.frames("tone/beep", "PCMU")
    assert frames is not None
    stream = trial.open(alone(hearing(a, Sound("tone/beep", serial=7))))
    trial.run(len(frames) * 0.02 + 0.1)
    packets = parsed(a)
    assert [packet.payload for packet in packets] == list(frames)
    assert trial.told == [SoundEnded("call/0", "a", 7)]
    stream.close()


def test_headers_go_on_as_rfc_3550_asks(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC)))
    trial.run(0.5)
    packets = parsed(a)
    first = packets[0]
    assert 25 <= len(packets) <= 26
    for n, packet in enumerate(packets):
        assert packet.ssrc == first.ssrc and packet.payload_type == 0
        assert packet.sequence == (first.sequence + n) % 65536
        assert packet.timestamp == (first.timestamp + 160 * n) % 2**32
        assert packet.marker == (n == 0)
    stream.close()


def test_a_packet_every_twenty_milliseconds(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC)))
    times = []
    for _ in range(300):
        trial.run(0.001)
        times += [trial.now] * len(a.heard())
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) < 0.0215 and min(gaps) > 0.0185
    stream.close()


def test_a_loop_begins_again_without_a_break(trial: Trial) -> None:
    a = Phone()
    frames = SOUNDS.frames("tone/beep", "PCMU")
    assert frames is not None
    stream = trial.open(alone(hearing(a, Sound("tone/beep", loop=True))))
    trial.run(len(frames) * 0.05)
    packets = parsed(a)
    assert [packet.payload for packet in packets] == [
        frames[n % len(frames)] for n in range(len(packets))
    ]
    assert len(packets) > 2 * len(frames)
    assert sum(packet.marker for packet in packets) == 1 and trial.told == []
    stream.close()


def test_one_sound_after_another_is_one_source(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, BEEP)))
    trial.run(0.06)
    stream.apply(alone(hearing(a, None), 2))
    trial.run(1.0)
    stream.apply(alone(hearing(a, MUSIC), 3))
    trial.run(0.06)
    packets = parsed(a)
    begin = next(n for n, packet in enumerate(packets) if packet.marker and n)
    last, first = packets[begin - 1], packets[begin]
    assert first.ssrc == last.ssrc and first.sequence == (last.sequence + 1) % 65536
    assert 0.98 < ((first.timestamp - last.timestamp) % 2**32) / 8000 < 1.1
    stream.close()


def test_whoever_speaks_after_the_first_sound_looks_newer() -> None:
    starts = {SynchronizationSource().sequence for _ in range(200)}
    assert max(starts) < 256 and len(starts) > 50


def test_saying_it_again_changes_nothing_and_a_new_serial_begins_anew(trial: Trial) -> None:
    a = Phone()
    frames = SOUNDS.frames("music", "PCMU")
    assert frames is not None
    stream = trial.open(alone(hearing(a, MUSIC)))
    trial.run(0.1)
    stream.apply(alone(hearing(a, MUSIC), 2))
    trial.run(0.1)
    packets = parsed(a)
    assert [p.payload for p in packets] == list(frames[: len(packets)])
    assert len(packets) >= 10 and sum(p.marker for p in packets) == 1
    stream.apply(alone(hearing(a, Sound("music", loop=True, serial=1)), 3))
    trial.run(0.1)
    again = parsed(a)
    assert again[0].marker and [p.payload for p in again] == list(frames[: len(again)])
    stream.close()


def test_the_first_codec_we_can_encode_is_taken(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC, OPUS, EVENTS, Codec(96, "PCMA", 8000), PCMU)))
    trial.run(0.1)
    frames = SOUNDS.frames("music", "PCMA")
    assert frames is not None
    packets = parsed(a)
    assert {packet.payload_type for packet in packets} == {96}
    assert packets[0].payload == frames[0]
    stream.close()


def test_a_codec_that_goes_away_is_replaced(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC, PCMU)))
    trial.run(0.1)
    a.heard()
    stream.apply(alone(hearing(a, MUSIC, PCMA), 2))
    trial.run(0.1)
    assert {packet.payload_type for packet in parsed(a)} == {8}
    stream.close()


@pytest.mark.parametrize(
    ("name", "codecs", "words"),
    [
        ("music", (OPUS, EVENTS), "takes OPUS"),
        ("music", (EVENTS,), "takes no codec"),
        ("no-such-prompt", (PCMU,), "no-such-prompt is not there"),
    ],
)
def test_what_cannot_be_played_says_so(
    trial: Trial, name: str, codecs: tuple[Codec, ...], words: str
) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, Sound(name, serial=3), *codecs)))
    trial.run(0.1)
    (event,) = trial.told
    assert isinstance(event, SoundEnded) and event.serial == 3 and words in event.reason
    assert a.heard() == []
    stream.close()


def test_a_sound_under_the_phones_keys(trial: Trial) -> None:
    a = SecurePhone(fresh_keys("AEAD_AES_256_GCM"), fresh_keys("AEAD_AES_256_GCM"))
    stream = trial.open(alone(hearing(a, MUSIC)))
    trial.run(0.1)
    frames = SOUNDS.frames("music", "PCMU")
    assert frames is not None
    understood = [RtpPacket.parse(packet) for packet in a.understood()]
    assert [packet.payload for packet in understood] == list(frames[: len(understood)])
    newer = fresh_keys()
    stream.apply(alone(hearing(a, MUSIC, sends=newer), 2))
    trial.run(0.1)
    receiver = type(a.receiver)(newer)
    last = understood[-1].sequence
    for n, packet in enumerate(a.heard()):
        assert RtpPacket.parse(opened(receiver, packet)).sequence == (last + 1 + n) % 65536
    stream.close()


def test_a_stall_is_caught_up_and_not_more(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC)))
    trial.run(0.1)
    a.heard()
    trial.now += 5.0
    trial.run(0.02)
    assert 5 <= len(a.heard()) <= 7
    stream.close()


def test_five_hundred_players_are_spread(trial: Trial) -> None:
    phones, streams = [], []
    for _ in range(50):
        # One after the other, for the next phone might be given this one's port.
        phones.append(Phone())
        streams.append(trial.open(alone(hearing(phones[-1], MUSIC))))
    trial.run(0.04)
    for phone in phones:
        phone.heard()
    per_step = []
    for _ in range(10):
        trial.run(0.002)
        per_step.append(sum(len(phone.heard()) for phone in phones))
    assert sum(per_step) == 50 and max(per_step) <= 10
    for stream in streams:
        stream.close()
    assert len(trial.studio.players) == 0


# Two legs: hold


def test_a_held_phone_hears_music_and_not_the_other(trial: Trial) -> None:
    a, b = Phone(), Phone()
    stream = trial.open(relay(a.side(), hearing(b, MUSIC)))
    for sequence in range(5):
        a.say(rtp(sequence))
        b.say(rtp(100 + sequence))
        trial.run(0.02)
    a.report()
    trial.run(0.001)
    assert {len(packet.payload) for packet in parsed(b)} == {160}
    assert len(a.heard()) == 5 and b.reports() == [RTCP]
    assert not stream.is_straight
    stream.close()


def test_resume_leaves_no_gap_and_marks_the_first_packet(trial: Trial) -> None:
    a, b = Phone(), Phone()
    held, talking = hearing(b, MUSIC), hearing(b, None)
    stream = trial.open(relay(a.side(), held))
    heard_at = []
    for sequence in range(40):
        a.say(rtp(sequence))
        if sequence == 20:
            stream.apply(relay(a.side(), talking, 2))
        trial.run(0.02)
        packets = parsed(b)
        heard_at += [(trial.now, packet) for packet in packets]
    times = [at for at, _ in heard_at]
    assert max(after - before for before, after in pairwise(times)) <= 0.06
    resumed = [packet for _, packet in heard_at if packet.ssrc == 0x1234]
    assert [packet.marker for packet in resumed] == [True] + [False] * (len(resumed) - 1)
    assert [packet.sequence for packet in resumed] == list(range(20, 40))
    assert stream.is_straight
    stream.close()


def test_under_keys_from_end_to_end_the_stream_goes_on_as_it_is(trial: Trial) -> None:
    a = SecurePhone(fresh_keys(), fresh_keys())
    b = SecurePhone(a.hears, a.sends)

    def wanted(sound: Sound | None, revision: int) -> Relay:
        return relay(a.side(), hearing(b, sound), revision)

    stream = trial.open(wanted(None, 1))
    assert stream.is_straight
    a.say_clear(rtp(65535))
    trial.run(0.001)
    assert b.understood() == [rtp(65535)]
    stream.apply(wanted(MUSIC, 2))
    a.say_clear(rtp(0))
    trial.run(0.1)
    music = [RtpPacket.parse(packet) for packet in b.understood()]
    assert len(music) >= 5 and 0x1234 not in {packet.ssrc for packet in music}
    stream.apply(wanted(None, 3))
    a.say_clear(rtp(1))
    trial.run(0.001)
    assert b.understood() == [rtp(1)]
    stream.close()


def test_nothing_is_played_to_a_phone_without_address(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(hearing(a, MUSIC, remote=None)))
    trial.run(0.1)
    assert a.heard() == []
    stream.apply(alone(hearing(a, MUSIC), 2))
    trial.run(0.1)
    assert len(a.heard()) >= 4
    stream.close()


def test_nothing_echoes_from_a_relay_of_one_leg(trial: Trial) -> None:
    a = Phone()
    stream = trial.open(alone(a.side()))
    a.say(rtp())
    a.report()
    trial.run(0.01)
    assert (a.heard(), a.reports()) == ([], [])
    assert stream.close().from_a.packets == 1


def test_a_source_is_not_to_be_guessed(trial: Trial) -> None:
    seen = set()
    for _ in range(4):
        a = Phone()
        stream = trial.open(alone(hearing(a, BEEP)))
        trial.run(0.03)
        seen.add(struct.unpack_from(">HII", a.heard()[0], 2))
        stream.close()
    assert len(seen) == 4


def test_a_key_of_one_phone_is_a_tone_for_another_that_has_no_events(trial: Trial) -> None:
    a, b = Phone(), Phone()
    keyed = a.side(codecs=(PCMU, EVENTS), digits=True)
    stream = trial.open(relay(keyed, hearing(b, None)))
    event = RtpPacket(101, 5, 800, 0x1234, bytes([7, 10, 0, 160]), marker=True)
    a.say(event.encode())
    trial.run(0.01)
    assert trial.told == [DigitPressed("call/0", "a", "7")]
    b.heard()
    stream.apply(relay(keyed, hearing(b, Sound("tone/dtmf-7", serial=1))))
    a.say(rtp(6))
    trial.run(0.3)
    detector = DtmfDetector()
    payloads = b"".join(packet.payload for packet in parsed(b))
    samples = decode_ulaw(payloads)
    frames = [samples[n : n + FRAME] for n in range(0, len(samples) - FRAME + 1, FRAME)]
    assert [digit for frame in frames if (digit := detector.hear(frame))] == ["7"]
    assert trial.told[-1] == SoundEnded("call/0", "b", 1)
    stream.apply(relay(keyed, hearing(b, None)))
    a.say(rtp(7))
    trial.run(0.01)
    assert [packet.payload for packet in parsed(b)] == [b"audio"]
    stream.close()
