"""How punctual sounds are: N phones hear music at once from one media process on one core.

    python benchmarks/media_prompts.py --prompts 500 --seconds 20

Each relay has one leg and hears music in a loop. The listener stamps every packet as the kernel got
it (SO_TIMESTAMPNS) and says how many came later than 5 ms after their time: first packet plus 20 ms
each. The media process runs on core 0, the listener on core 1. Right before, a bare loop that only
sleeps does the same on core 0: what it is late by is the machine's (`floor_percent`).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

from appliance.call.actions import Codec, Keys, Relay, RelaySide, Sound
from benchmarks.media_relay import Control, cpu_seconds, media_process

PTIME = 0.020
LATE = 0.005
SO_TIMESTAMPNS = 35
SUITE = "AES_CM_128_HMAC_SHA1_80"


class Listener:
    """One socket that hears all prompts; they are told apart by their source port."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        forced = 33 if os.geteuid() == 0 else socket.SO_RCVBUF
        self.socket.setsockopt(socket.SOL_SOCKET, forced, 16 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.settimeout(0.2)
        self.arrivals: dict[int, list[tuple[int, float]]] = {}

    def listen(self, seconds: float) -> None:
        """Note sequence and time of everything that comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                data, notes, _, source = self.socket.recvmsg(2048, 64)
            except TimeoutError:
                continue
            whole, part = struct.unpack("qq", notes[0][2])
            (sequence,) = struct.unpack_from(">H", data, 2)
            self.arrivals.setdefault(source[1], []).append((sequence, whole + part / 1e9))


def relays(count: int, listener: Listener, first_port: int, secure: bool) -> list[Relay]:
    """Return relays of one leg each, all to the same phone."""
    keys = Keys(SUITE, bytes(30)) if secure else None
    music = Sound("music", loop=True)
    return [
        Relay(
            f"p{n}/0",
            1,
            RelaySide(
                ("127.0.0.1", first_port + 2 * n),
                listener.socket.getsockname(),
                sends=keys,
                receives=keys,
                codecs=(Codec(0, "PCMU", 8000),),
                hears=music,
            ),
            None,
        )
        for n in range(count)
    ]


def lateness(arrivals: list[tuple[int, float]]) -> tuple[list[float], int]:
    """Return the seconds each packet came after its time, and how many are missing.

    Its time is reckoned from the most punctual packet, so that no packet is early.
    """
    first = arrivals[0][0]
    places = [(sequence - first) % 65536 for sequence, _ in arrivals]
    offsets = [at - place * PTIME for place, (_, at) in zip(places, arrivals, strict=True)]
    begin = min(offsets)
    return [offset - begin for offset in offsets], max(places) + 1 - len(places)


FLOOR = """
import sys, time
late, count, due = 0, 0, time.monotonic()
end = due + float(sys.argv[1])
while due < end:
    due += 0.002
    time.sleep(max(0.0, due - time.monotonic()))
    late += time.monotonic() - due > float(sys.argv[2])
    count += 1
print(100 * late / count)
"""


def floor(seconds: float) -> float:
    """Return how many percent of its turns a loop without any work comes late to."""
    command = [sys.executable, "-c", FLOOR, str(seconds), str(LATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(process.pid, {0})
        return round(float(process.communicate()[0]), 4)


def measure(prompts: int, seconds: float, first_port: int, secure: bool) -> dict[str, float]:
    """Return the figures of one run."""
    machine = floor(min(seconds, 5.0))
    with tempfile.TemporaryDirectory() as folder, media_process(folder, 1) as process:
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            os.sched_setaffinity(process.pid, {0})
            os.sched_setaffinity(0, {1})
        listener = Listener()
        control = Control(f"{folder}/media.sock")
        wanted = relays(prompts, listener, first_port, secure)
        if control.ask("media.put", relays=wanted) != prompts:
            raise SystemExit("the relays could not be opened; is the port range free?")
        listener.listen(1.0)
        listener.arrivals.clear()
        before = cpu_seconds(process.pid)
        listener.listen(seconds)
        spent = cpu_seconds(process.pid) - before
        os.sched_setaffinity(0, cores)
        late, missing = [], 0
        for arrivals in listener.arrivals.values():
            offsets, lost = lateness(arrivals)
            late += offsets
            missing += lost
        late.sort()
        return {
            "prompts": len(listener.arrivals),
            "packets": len(late),
            "missing": missing,
            "late_percent": round(100 * sum(one > LATE for one in late) / len(late), 4),
            "floor_percent": machine,
            "p50_ms": round(1e3 * late[len(late) // 2], 2),
            "p99_ms": round(1e3 * late[int(len(late) * 0.99)], 2),
            "max_ms": round(1e3 * late[-1], 2),
            "us_per_packet": round(spent / len(late) * 1e6, 2),
            "cpu_percent": round(100 * spent / seconds, 1),
        }


def main() -> None:
    """Measure and print a line for each number of prompts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--first-port", type=int, default=20000)
    parser.add_argument("--srtp", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for prompts in given.prompts:
        figures = measure(prompts, given.seconds, given.first_port, given.srtp)
        line = "  ".join(f"{name} {value}" for name, value in figures.items())
        print(json.dumps(figures) if given.json else line, file=sys.stdout)


if __name__ == "__main__":
    main()
