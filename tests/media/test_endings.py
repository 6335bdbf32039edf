"""Relays that end, well or badly, by thousands: nothing of them stays, and nobody else suffers."""

from __future__ import annotations

import gc
import os
import random
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.call.actions import Codec, Relay, RelaySide, Sound
from appliance.media.control import Connection
from appliance.media.end_system import Studio
from appliance.media.loop import Loop, open_loop
from appliance.media.relay import RelayedStream
from appliance.media.sounds import Sounds
from appliance.media.worker import Worker
from tests.media.phone import LOOPS, RTCP, Phone, loop_of, relay, rtp, settle, udp
from tests.media.secure_phone import SecurePhone, fresh_keys, protected

PCMU, EVENTS = Codec(0, "PCMU", 8000), Codec(101, "TELEPHONE-EVENT", 8000)
MUSIC = Sound("music", loop=True)
SOUNDS = Sounds()
NUMBERS = count()


class Trial:
    """A worker whose commands are given straight, in a port range of its own."""

    def __init__(self, folder: Path) -> None:
        self.loop = open_loop(io_uring=True)
        self.studio = Studio(self.loop, SOUNDS, folder)
        self.worker = Worker(self.loop, 10_000, self.studio)
        ours, self.core = socket.socketpair()
        self.core.setblocking(False)
        Connection(self.loop, ours, self.worker.receive, self.worker.gone)
        self.phones = Phone(), SecurePhone(fresh_keys(), fresh_keys())

    def descriptors(self) -> int:
        return len(os.listdir("/proc/self/fd"))

    def close(self) -> None:
        self.worker.close()
        self.loop.close()


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.close()


def side(trial: Trial, dice: random.Random, port: int) -> RelaySide:
    """Return a side as calls have them, good or bad."""
    plain, secure = trial.phones
    local = ("127.0.0.1", port)
    codecs = (PCMU, EVENTS)
    return dice.choice(
        [
            plain.side(local=local),
            plain.side(local=local, learn=True),
            plain.side(local=local, remote=None),
            plain.side(local=local, hears=MUSIC, codecs=codecs),
            plain.side(local=local, digits=True, codecs=codecs),
            plain.side(local=local, hears=Sound("no-such"), codecs=codecs),
            plain.side(local=local, remote=("239.1.1.1", 4000)),
            plain.side(local=("192.0.2.9", port)),
            plain.side(local=local, remote_rtcp=plain.address),
            secure.side(local=local),
            secure.side(local=local, learn=True, hears=MUSIC, codecs=codecs),
            secure.side(local=local, sends=fresh_keys("F8_128_HMAC_SHA1_80")),
        ]
    )


def test_ten_thousand_relays_leave_nothing(trial: Trial) -> None:
    dice = random.Random(17)
    ports = range(41000, 41000 + 4 * 400, 4)
    thief = udp("127.0.0.1", ports[7] + 1)
    gc.collect()  # what earlier tests left would be closed while we count
    before, watched = trial.descriptors(), len(trial.loop)
    for round_ in range(25):
        for n, port in enumerate(ports):
            b = side(trial, dice, port + 2) if dice.random() < 0.8 else None
            trial.worker._put(Relay(f"{n}/0", round_, side(trial, dice, port), b))
        trial.phones[0].say(rtp())
        trial.loop.turn(0.0)
        trial.loop.sweep()
        ending = [f"{n}/0" for n in range(len(ports)) if dice.random() < 0.7]
        if round_ % 3 == 0:
            trial.worker._keep(set(ending))
        else:
            for key in ending:
                trial.worker._drop(key)
    trial.worker._keep(set())
    settle(trial.loop)
    assert trial.worker.stats.opened > 5000 and trial.worker.stats.failed > 500
    assert trial.worker.stats.relays == 0 and len(trial.studio.players) == 0
    assert (trial.descriptors(), len(trial.loop)) == (before, watched)
    thief.close()


def test_what_has_ended_needs_no_collector(trial: Trial) -> None:
    dice = random.Random(5)

    def one() -> None:
        a, b = side(trial, dice, 43000), side(trial, dice, 43002)
        trial.worker._put(Relay("x/0", 1, a, b))
        trial.loop.turn(0.0)
        trial.worker._drop("x/0")

    for _ in range(20):
        one()
    settle(trial.loop)
    gc.collect()
    gc.disable()
    try:
        for _ in range(200):
            one()
        settle(trial.loop)
        assert gc.collect() < 200
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", LOOPS)
def test_a_port_used_again_at_once_hears_its_new_phone_only(kind: str) -> None:
    loop = loop_of(kind)
    old, new, other = Phone(), Phone(), Phone()
    for sequence in range(100):
        first = RelayedStream(loop, relay(old.side(), other.side()))
        old.say(rtp(sequence))
        settle_once(loop)
        first.close()
        second = RelayedStream(loop, relay(new.side(local=old.local), other.side()))
        other.heard()
        old.say(rtp(1000))
        new.rtp.sendto(rtp(sequence), old.local)
        settle_once(loop)
        assert other.heard() == [rtp(sequence)]
        assert second.close().from_a.dropped == 1
    assert len(loop) == 0


def settle_once(loop: Loop) -> None:
    while loop.turn(0.0):
        pass


# Octets that make no sense


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loop, Phone, Phone]]:
    """A phone whose packets are recorded, searched for keys, protected and sent on."""
    loop = Loop()
    studio = Studio(loop, SOUNDS, tmp_path_factory.mktemp("data"))
    a, b = Phone(), SecurePhone(fresh_keys(), fresh_keys())
    wanted = relay(
        a.side(digits=True, record="x.wav", codecs=(PCMU, EVENTS)),
        b.side(digits=True, record="y.wav", codecs=(PCMU,)),
    )
    stream = RelayedStream(loop, wanted, studio)
    yield loop, a, b
    stream.close()
    studio.disk.close()
    assert len(loop) == 0
    loop.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"\x80\x00", b"\x80\x65", b"\x90\x00", b"\xbf\x65", b"\x80\xc8", b"\x81\xcb"]
    ),
)
def test_hostile_packets_stop_nothing(
    hostile: tuple[Loop, Phone, SecurePhone], tail: bytes, head: bytes
) -> None:
    loop, a, b = hostile
    a.say(head + tail)
    a.report(head + tail)
    b.say(head + tail)
    b.report(head + tail)
    b.say(protected(b.sender, rtp(1, tail)))
    settle_once(loop)
    b.heard(), a.heard(), b.reports(), a.reports()
    a.say(rtp(next(NUMBERS), b"still here", 99))
    a.report(RTCP)
    settle_once(loop)
    assert len(b.heard()) == len(b.reports()) == 1
