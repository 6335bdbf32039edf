"""CPU and memory of the user-space relay for each packet: N streams of 50 packets a second.

    python benchmarks/media_relay.py --streams 500 --seconds 10

A stream is one direction of one call; the packets are G.711 (172 bytes of RTP) over loopback. The
relay runs in its own process and is charged with everything the kernel does in its name, on
loopback also with the delivery into the receiver's queue. The load generator needs a core of its
own.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.call.actions import Relay, RelaySide
from appliance.ipc import Frames, Message, encode
from appliance.media.commands import Stats
from appliance.rtp.packet import RtpPacket

RATE = 50
PROGRAM = """
import sys
from pathlib import Path
from appliance.cli.media import run_media
from appliance.settings import Settings
workers = int(sys.argv[2])
run_media(Settings(run=Path(sys.argv[1]), media_workers=workers, media_kernel="off"))
"""


@contextmanager
def media_process(folder: str, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `holdfast media` for as long as the benchmark lasts."""
    command = [sys.executable, "-c", PROGRAM, folder, str(workers)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (Path(folder) / "media.sock").exists():
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


class Control:
    """Ask the media process and wait for its answer."""

    def __init__(self, path: str) -> None:
        self._stream = socket.socket(socket.AF_UNIX)
        self._stream.connect(path)
        self._frames = Frames()

    def ask(self, do: str, **arguments: object) -> object:
        """Return what it answers."""
        self._stream.sendall(encode(Message(id=1, do=do, arguments=arguments)))
        while True:
            for message in self._frames.feed(self._stream.recv(1 << 16)):
                if message.id == 1:
                    return message.ok

    def stats(self) -> Stats:
        """Return the media process's counters."""
        return msgspec.convert(self.ask("media.stats"), Stats)


class Load:
    """Two phones that hold all calls at once: paced sending, counted receiving."""

    def __init__(self, relays: int, first_port: int) -> None:
        self.a, self.b = _socket(), _socket()
        self._ports = [(first_port + 4 * n, first_port + 4 * n + 2) for n in range(relays)]
        self.sent = self.received = 0

    def relays(self) -> list[Relay]:
        """Return the relays that join the two phones."""
        a, b = self.a.getsockname(), self.b.getsockname()
        return [
            Relay(f"c{n}/0", 1, RelaySide(("127.0.0.1", p), a), RelaySide(("127.0.0.1", q), b))
            for n, (p, q) in enumerate(self._ports)
        ]

    def run(self, seconds: float) -> None:
        """Send both ways, each millisecond the twentieth of the streams whose turn it is."""
        # As phones count them: one in sixteen is looked at for its quality.
        numbers = range(int(seconds * RATE) + 1)
        packets = [RtpPacket(0, n, 160 * n, 0x1234, bytes(160)).encode() for n in numbers]
        begin = time.perf_counter()
        for tick in range(int(seconds * 1000)):
            packet = packets[tick // 20]
            for p, q in self._ports[tick % 20 :: 20]:
                self.a.sendto(packet, ("127.0.0.1", p))
                self.b.sendto(packet, ("127.0.0.1", q))
                self.sent += 2
            self._drain()
            rest = begin + (tick + 1) / 1000 - time.perf_counter()
            if rest > 0:
                time.sleep(rest)
        time.sleep(0.5)
        while self._drain():
            time.sleep(0.5)

    def _drain(self) -> int:
        """Count what has arrived and return how much it was."""
        before = self.received
        for sink in (self.a, self.b):
            try:
                while True:
                    sink.recv(2048)
                    self.received += 1
            except BlockingIOError:
                pass
        return self.received - before


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    # As root the limit of net.core.rmem_max does not count: what is lost should be the relay's.
    forced = 33 if os.geteuid() == 0 else socket.SO_RCVBUF
    made.setsockopt(socket.SOL_SOCKET, forced, 8 << 20)
    made.setblocking(False)
    return made


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its children that still run."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


def memory_mib(pid: int) -> float:
    """Return the resident memory of one process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(streams: int, seconds: float, workers: int, first_port: int) -> dict[str, float]:
    """Return the figures of one run."""
    relays = max(1, streams // 2)
    with tempfile.TemporaryDirectory() as folder, media_process(folder, workers) as process:
        idle = memory_mib(process.pid)
        load = Load(relays, first_port)
        control = Control(f"{folder}/media.sock")
        begin, before = time.perf_counter(), cpu_seconds(process.pid)
        if control.ask("media.put", relays=load.relays()) != relays:
            raise SystemExit("the relays could not be opened; is the port range free?")
        opened, opening = time.perf_counter() - begin, cpu_seconds(process.pid) - before
        before = cpu_seconds(process.pid)
        load.run(seconds)
        spent = cpu_seconds(process.pid) - before
        relayed = control.stats().packets
        return {
            "streams": 2 * relays,
            "packets": load.sent,
            "lost": load.sent - load.received,
            "us_per_packet": round(spent / relayed * 1e6, 2),
            "cpu_percent": round(100 * spent / seconds, 1),
            "memory_mib": round(memory_mib(process.pid), 1),
            "kib_per_relay": round((memory_mib(process.pid) - idle) * 1024 / relays, 1),
            "open_ms_per_relay": round(opened / relays * 1e3, 3),
            "open_cpu_us_per_relay": round(opening / relays * 1e6),
        }


def main() -> None:
    """Measure and print a line for each number of streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--first-port", type=int, default=20000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for streams in given.streams:
        figures = measure(streams, given.seconds, given.workers, given.first_port)
        if given.json:
            print(json.dumps(figures))
        else:
            print("  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
