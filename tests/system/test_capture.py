"""Packets captured on a real card: signalling without secrets, heads of audio, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.captured import Capture, Order
from appliance.diagnostics.capture_file import Blocks
from appliance.diagnostics.captures import Captures
from appliance.diagnostics.check import Surroundings
from appliance.settings import Settings
from tests.diagnostics.test_capture_packets import INVITE, SECRETS
from tests.system.network import APPLIANCE, Host, Network
from tests.system.waiting import until

LONG = INVITE.replace(b"Call-ID: c\r\n", b"Call-ID: long\r\nSubject: " + b"s" * 3000 + b"\r\n")
SPOKEN = b"what somebody says"
NETDIAG = str(Path(sys.executable).with_name("holdfast-netdiag"))


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    made = Network(2)
    yield made
    made.close()


async def nobody(name: str, **arguments: Any) -> Any:
    return None


def captured(
    network: Network, folder: Path, act: Callable[[], None], **order: Any
) -> tuple[Capture, Path]:
    """Capture at the appliance while something is done; return what came of it."""

    async def look() -> Surroundings:
        return Surroundings(Settings(data=folder, run=folder), None, nobody)

    async def script() -> tuple[Capture, Path]:
        captures = Captures(look, folder / "captures")
        capture = await captures.start(Order(**order), "root")
        async with asyncio.timeout(20):
            while not capture.octets:  # the file has begun: so has the capture
                await asyncio.sleep(0.02)
            await asyncio.to_thread(act)
            before = -1
            while before != capture.packets:
                before = capture.packets
                await asyncio.sleep(0.3)
        await captures.stop(capture.id)
        return capture, captures.file_of(capture)

    with network.appliance.inside():
        return asyncio.run(script())


def send(host: Host, port: int, *payloads: bytes) -> None:
    """Send datagrams to the appliance."""
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for payload in payloads:
            sock.sendto(payload, (APPLIANCE, port))


def shown(file: Path, *words: str) -> list[str]:
    program = shutil.which("tshark")
    assert program is not None
    done = subprocess.run(
        [program, "-r", str(file), *words], capture_output=True, text=True, timeout=60
    )
    return done.stdout.splitlines()


def talk_by_tcp(network: Network) -> None:
    """Send an INVITE octet groups apart, so that its secrets lie across packets."""
    with network.appliance.inside():
        listener = socket.create_server((APPLIANCE, 5060))
    with listener, network.phones[0].inside():
        phone = socket.create_connection((APPLIANCE, 5060))
        with phone:
            phone.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            taken, _ = listener.accept()
            with taken:
                for at in range(0, len(INVITE), 37):
                    phone.sendall(INVITE[at : at + 37])
                    time.sleep(0.002)
                heard = b""
                while len(heard) < len(INVITE):
                    heard += taken.recv(65536)
                assert heard == INVITE  # the capture changes nothing on the wire


def test_signalling_is_captured_without_its_secrets(network: Network, tmp_path: Path) -> None:
    def act() -> None:
        send(network.phones[0], 5060, INVITE, LONG)
        send(network.phones[0], 9999, INVITE)
        send(network.phones[1], 5060, INVITE)
        talk_by_tcp(network)

    host = network.phones[0].address
    capture, file = captured(network, tmp_path, act, hosts=[host])
    octets = file.read_bytes()
    assert not any(secret in octets for secret in SECRETS)
    invites = shown(file, "-Y", "sip.Method == INVITE", "-T", "fields", "-e", "sip.Call-ID")
    assert sorted(invites) == ["c", "c", "long"], shown(file)
    assert set(shown(file, "-T", "fields", "-e", "ip.src", "-Y", "udp")) == {host}
    assert shown(file, "-Y", "udp.port == 9999") == []
    assert capture.ending == "stopped"
    assert capture.octets == len(octets)


def test_of_audio_there_are_heads_and_of_anything_else_nothing(
    network: Network, tmp_path: Path
) -> None:
    rtp = [struct.pack("!BBHII", 0x80, 0, n, 160 * n, 7) + SPOKEN * 9 for n in range(50)]

    def act() -> None:
        send(network.phones[0], 20000, *rtp)
        send(network.phones[0], 20002, b"something else" * 5)

    _, file = captured(network, tmp_path, act, audio=True, ports=(20000, 20010))
    assert SPOKEN not in file.read_bytes()
    assert b"something" not in file.read_bytes()
    words = ["-d", "udp.port==20000,rtp", "-T", "fields", "-e", "rtp.seq", "-e", "frame.len"]
    rows = [line.split("\t") for line in shown(file, *words)]
    assert [row[0] for row in rows] == [*(str(n) for n in range(50)), ""]
    assert {row[1] for row in rows[:50]} == {str(28 + len(rtp[0]))}


def test_a_reader_that_is_slow_costs_packets_of_the_capture_and_is_told(
    network: Network, tmp_path: Path
) -> None:
    wanted = {"probe": "capture", "card": "eth0", "seconds": 60, "octets": 64 << 20}
    with network.appliance.inside():
        program = subprocess.Popen(
            [NETDIAG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
    assert program.stdin is not None and program.stdout is not None
    with program:
        program.stdin.write(json.dumps(wanted | {"clear": [5060]}).encode() + b"\n")
        head = program.stdout.read(1)
        assert head == b"{"
        for _ in range(40):
            send(network.phones[0], 5060, *[INVITE] * 500)
        program.stdin.close()
        blocks = Blocks()
        rest = program.stdout.read(1 << 24) or b""
        while piece := program.stdout.read(1 << 20):
            rest += piece
        blocks.take(rest.partition(b"\n")[2])
        assert program.wait(10) == 0
    assert blocks.packets > 10
    assert blocks.dropped > 1000
    assert blocks.packets + blocks.dropped >= 15_000


def test_whoever_is_gone_ends_it(network: Network) -> None:
    wanted = {"probe": "capture", "card": "eth0", "seconds": 60, "octets": 1 << 20}
    with network.appliance.inside():
        program = subprocess.Popen([NETDIAG], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None and program.stdout is not None
    with program:
        program.stdin.write(json.dumps(wanted | {"clear": [5060]}).encode() + b"\n")
        program.stdin.flush()
        assert json.loads(program.stdout.readline())["card"] == "eth0"
        program.stdout.close()
        program.stdin.close()
        until(lambda: program.poll() is not None, 5, "the program ends")


def test_the_loopback_is_refused(network: Network) -> None:
    wanted = {"probe": "capture", "card": "lo", "seconds": 1, "octets": 1 << 20, "clear": [5060]}
    with network.appliance.inside():
        done = subprocess.run(
            [NETDIAG], input=json.dumps(wanted) + "\n", capture_output=True, text=True, timeout=20
        )
    assert (done.returncode, json.loads(done.stdout)) == (2, {"failure": "card: not the loopback"})
