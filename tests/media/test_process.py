"""`holdfast media` as a process of its own, and the core's client of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from appliance.call.actions import Codec, Relay, Sound
from appliance.call.events import (
    DigitPressed,
    MediaEvent,
    RecordingEnded,
    RelayEnded,
    RelayFailed,
    SoundEnded,
)
from appliance.errors import LocalError
from appliance.media.plane import MediaClient
from appliance.media.process import raise_descriptor_limit, relays_by_ports, serve
from appliance.ports import MediaPlane
from appliance.rtp.packet import RtpPacket
from appliance.rtp.telephone_event import press
from appliance.settings import Settings
from tests.media.phone import Phone, relay, rtp, udp
from tests.media.secure_phone import SecurePhone, fresh_keys

PROGRAM = """
import sys
from pathlib import Path
from appliance.cli.media import run_media
from appliance.settings import Settings
workers = int(sys.argv[2])
folder = Path(sys.argv[1])
settings = Settings(run=folder, data=folder, media_workers=workers, media_kernel="off")
sys.exit(run_media(settings))
"""


class Process:
    """One media process at a time on one socket."""

    def __init__(self, folder: str, workers: int) -> None:
        self.settings = Settings(run=Path(folder), data=Path(folder), media_kernel="off")
        self._workers = workers
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", PROGRAM, str(self.settings.run), str(self._workers)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        assert b"relays in" in self._process.stderr.readline()

    def end(self, number: int) -> int:
        self._process.send_signal(number)
        # Read to the end: Python ends with status 120 when nobody takes its last words.
        self._process.communicate(timeout=10)
        return self._process.returncode

    @property
    def children(self) -> list[int]:
        pid = self._process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split()]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None


@pytest.fixture(params=[1, 2])
def process(request: pytest.FixtureRequest) -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder:
        made = Process(folder, request.param)
        yield made
        if made.alive:
            made.end(signal.SIGKILL)


class Core:
    """What the core sees of the media plane."""

    def __init__(self, path: Path) -> None:
        self.client = MediaClient(path)
        self.plane: MediaPlane = self.client
        self.events: list[MediaEvent] = []
        self.plane.on_event(self.events.append)

    async def ended(self, key: str) -> RelayEnded:
        await until(lambda: any(isinstance(event, RelayEnded) for event in self.events))
        found = [event for event in self.events if isinstance(event, RelayEnded)]
        assert [event.key for event in found] == [key]
        return found[0]


@asynccontextmanager
async def core(process: Process, relays: list[Relay] | None = None) -> AsyncIterator[Core]:
    made = Core(process.settings.media_socket)
    made.plane.resync(relays or [])
    made.client.start()
    await until(lambda: made.client.connected)
    yield made
    await made.client.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def heard(a: Phone, b: Phone) -> None:
    """Wait until `b` hears `a`: a relay that is not open yet drops what comes."""
    found: list[bytes] = []

    def arrives() -> bool:
        a.say(rtp())
        found.extend(b.heard())
        return bool(found)

    await until(arrives)


def run(trial: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await trial()

    asyncio.run(main())


def test_core_asks_how_its_relays_are_heard(process: Process) -> None:
    a, b = Phone(), Phone()

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            await heard(a, b)
            (row,) = await it.plane.quality()
            assert row.key == "call/0" and row.from_a.packets >= 1
            assert await it.plane.quality(["another/0"]) == []
            process.end(signal.SIGKILL)
            assert await it.plane.quality() == []

    run(trial)


def test_core_opens_changes_and_ends_a_relay(process: Process) -> None:
    a, b, c = Phone(), Phone(), Phone()

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            await heard(a, b)
            it.plane.put(relay(a.side(), b.side(remote=c.address), 2))
            await heard(a, c)
            it.plane.drop("call/0")
            assert (await it.ended("call/0")).from_a.packets >= 2

    run(trial)


def test_the_far_end_of_a_call_is_the_process_itself(process: Process) -> None:
    a = SecurePhone(fresh_keys("AEAD_AES_128_GCM"), fresh_keys("AEAD_AES_128_GCM"))
    file = process.settings.data / "m.wav"
    codecs = (Codec(0, "PCMU", 8000), Codec(101, "TELEPHONE-EVENT", 8000))
    side = a.side(hears=Sound("tone/beep", serial=4), digits=True, record="m.wav", codecs=codecs)

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(Relay("call/0", 1, side, None))
            await until(lambda: SoundEnded("call/0", "a", 4) in it.events)
            for n, event in enumerate(press("7")):
                a.say_clear(RtpPacket(101, n, 1600, 9, event.encode()).encode())
            await until(lambda: DigitPressed("call/0", "a", "7") in it.events)
            for sequence in range(50, 101):
                a.say_clear(rtp(sequence, bytes(160)))
            await until(lambda: file.stat().st_size > 16000)
            it.plane.put(Relay("call/0", 2, a.side(codecs=codecs), None))
            await until(lambda: any(isinstance(event, RecordingEnded) for event in it.events))
            it.plane.drop("call/0")
            assert (await it.ended("call/0")).from_a.refused == 0

    run(trial)
    assert len([packet for packet in a.understood() if len(packet) == 172]) > 5


def test_core_says_the_mark_of_packets_and_says_it_again(process: Process) -> None:
    a, b = Phone(), Phone()
    b.rtp.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)

    def mark() -> int:
        a.say(rtp())
        last = -1
        with suppress(BlockingIOError):
            while True:
                last = b.rtp.recvmsg(2048, 64)[1][0][2][0] >> 2
        return last

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            await until(lambda: mark() == 46)
            it.client.mark(34)
            await until(lambda: mark() == 34)
            process.end(signal.SIGKILL)
            await until(lambda: not it.client.connected)
            process.start()
            await until(lambda: mark() == 34)
            assert not it.client.refusals

    run(trial)


def test_changes_of_one_turn_keep_their_order(process: Process) -> None:
    a, b = Phone(), Phone()

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            it.plane.drop("call/0")
            it.plane.put(relay(a.side(), b.side(), 2))
            await it.ended("call/0")
            await heard(a, b)

    run(trial)


def test_a_killed_core_finds_its_calls_playing(process: Process) -> None:
    a, b = Phone(), Phone()
    wanted = relay(a.side(), b.side())

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(wanted)
            await heard(a, b)
        await heard(a, b)
        async with core(process, [wanted]) as it:
            await heard(a, b)
            it.plane.drop(wanted.key)
            assert (await it.ended(wanted.key)).from_a.packets >= 3

    run(trial)


def test_a_killed_media_process_gets_all_relays_again(process: Process) -> None:
    a, b = Phone(), Phone()

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            await heard(a, b)
            process.end(signal.SIGKILL)
            await until(lambda: not it.client.connected)
            it.plane.drop("other/0")
            process.start()
            await heard(a, b)
            assert (await it.ended("other/0")).from_a.packets == 0

    run(trial)


@pytest.mark.parametrize("process", [2], indirect=True)
def test_a_dead_worker_is_replaced_and_gets_its_relays_again(process: Process) -> None:
    calls = [(Phone(), Phone()) for _ in range(4)]

    async def trial() -> None:
        async with core(process) as it:
            for number, (a, b) in enumerate(calls):
                it.plane.put(relay(a.side(), b.side(), key=f"{number}/0"))
            for a, b in calls:
                await heard(a, b)
            os.kill(process.children[0], signal.SIGKILL)
            for a, b in calls:
                await heard(a, b)

    run(trial)


def test_a_relay_that_cannot_be_opened_is_told(process: Process) -> None:
    a, b = Phone(), Phone()
    thief = udp(*a.local)

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            await until(lambda: bool(it.events))
            assert it.events == [RelayFailed("call/0", "Address already in use", a.local[1])]

    run(trial)
    thief.close()


def test_nothing_is_asked_before_the_core_knows_what_it_wants(process: Process) -> None:
    async def trial() -> None:
        client = MediaClient(process.settings.media_socket)
        client.start()
        await asyncio.sleep(0.1)
        assert not client.connected
        client.resync([])
        await until(lambda: client.connected)
        await client.stop()

    run(trial)


def test_garbage_on_the_control_socket_harms_nothing(process: Process) -> None:
    a, b = Phone(), Phone()

    async def trial() -> None:
        async with core(process) as it:
            it.plane.put(relay(a.side(), b.side()))
            for garbage in (b"\xff" * 5000, b"\0\0\0\2\x81\x00", b"\0\0\0\5hello", b"\0\0\0"):
                with socket.socket(socket.AF_UNIX) as stranger:
                    stranger.connect(str(process.settings.media_socket))
                    stranger.send(garbage)
            await heard(a, b)

    run(trial)
    assert process.alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(process: Process, number: int) -> None:
    assert process.end(number) == 0
    assert not process.settings.media_socket.exists()


def test_a_second_one_on_the_same_socket_says_so(process: Process) -> None:
    with pytest.raises(LocalError, match="already listens"):
        serve(process.settings)
    assert process.settings.media_socket.exists()


def test_the_socket_of_a_killed_one_is_taken_over(process: Process) -> None:
    process.end(signal.SIGKILL)
    assert process.settings.media_socket.exists()
    process.start()
    assert process.end(signal.SIGTERM) == 0


def test_capacity_follows_ports_and_descriptors() -> None:
    assert relays_by_ports((20000, 64000)) == 11000
    assert relays_by_ports((20000, 20007)) == 2
    assert relays_by_ports((20000, 20000)) == 0
    assert raise_descriptor_limit(8) >= 8
