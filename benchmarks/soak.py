"""Mixed load for as long as asked: memory and descriptors must stay flat, and nobody left out.

`python -m benchmarks.soak --minutes 60` (or `--calls 10000`): rounds of phones registering over
UDP, TCP and TLS and of calls, against one Holdfast in an outage; a quarter of the callers end their
call by no rule. When the last call is over no relay, port or element of the kernel's maps may be
left. Status 1 where something grew, was left or failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from appliance.settings import Settings
from benchmarks import generator, holdfast
from benchmarks.isolation import enter_own_network
from benchmarks.media_relay import Control
from benchmarks.process import Server, last_word, memory_fields, wait_until

PHONES = 500
CALLS = 400
"""In a round."""
ABNORMAL = 16
"""Of so many calls, four end abnormally (`load/calls.c`)."""
FORGOTTEN = 180.0
"""Seconds after which calls are over that nobody ended: a minute of silence, and transactions."""
WARM_UP = 120.0
"""Seconds before the measure is taken: transactions live for 32, and tables reach their size."""
GROWTH = 0.3
"""MB an hour that are allowed (reliability 32), beyond `NOISE`."""
NOISE = 8.0
"""MB that a garbage-collected process swings by."""


def one_round(folder: Path, server: Server) -> list[str]:
    """Let phones register and call; give what went wrong."""
    wrong = []
    for transport in ("udp", "tcp", "tls"):
        port = holdfast.PORTS[transport]
        done = generator.register(
            folder, server, transport=transport, port=port, phones=PHONES, window=50
        )
        if done["left_out"]:
            wrong.append(f"{done['left_out']} phones left out over {transport}")
    made = generator.call(
        folder, server, port=5060, pairs=100, calls=CALLS, rate=100, limit=60, abnormal=ABNORMAL
    )
    if made["failed"]:
        wrong.append(f"{made['failed']} calls failed: {made['statuses']}")
    return wrong


def sample(server: Server) -> dict[str, Any]:
    """Give memory in MB and descriptors of all of the server's processes."""
    members = server.members()
    parts: dict[str, float] = {}
    for pid in members:
        name, resident = last_word(pid), memory_fields(pid).get("VmRSS", 0) / 1e6
        parts[name] = parts.get(name, 0.0) + resident
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in members)
    return {
        "memory": sum(parts.values()),
        "parts": parts,
        "descriptors": descriptors,
        "processes": set(members),
    }


def judge(first: dict[str, Any], last: dict[str, Any], hours: float) -> list[str]:
    """Compare the end with the beginning."""
    wrong = []
    grown = last["memory"] - first["memory"]
    if grown > NOISE + GROWTH * hours:
        parts = {name: size - first["parts"].get(name, 0.0) for name, size in last["parts"].items()}
        shown = ", ".join(f"{name} {size:+.1f}" for name, size in parts.items())
        wrong.append(f"memory grew by {grown:.1f} MB in {hours:.2f} h ({shown})")
    if last["descriptors"] > first["descriptors"] + 20:
        wrong.append(f"descriptors grew from {first['descriptors']} to {last['descriptors']}")
    if last["processes"] != first["processes"]:
        wrong.append("a process was started again")
    return wrong


def left_of_calls(sockets: Path) -> dict[str, int]:
    """Count what calls hold: relays, bound media ports, elements of the kernel's maps."""
    first, last = Settings().media_ports
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    ports = [int(line.split()[1].partition(":")[2], 16) for line in lines]
    words = ["nft", "list", "table", "inet", "holdfast_media"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False)
    return {
        "relays": Control(str(sockets / "media.sock")).stats().relays,
        "media ports": sum(first <= port <= last for port in ports),
        "flows in the kernel": shown.stdout.count(" comment "),
    }


def soak(folder: Path, server: Server, minutes: float, calls: int) -> list[str]:
    """Go round until time and calls are over; give everything that went wrong."""
    began, rounds = time.monotonic(), 0
    wrong: list[str] = []
    first: dict[str, Any] = {}
    while (
        (passed := time.monotonic() - began) < minutes * 60 or rounds * CALLS < calls or not first
    ):
        wrong += one_round(folder, server)
        rounds += 1
        if passed > WARM_UP and not first:
            first, counted = sample(server), time.monotonic()
        now = sample(server)
        print(
            f"{passed / 60:6.1f} min  round {rounds:4}  {now['memory']:7.1f} MB  "
            f"(core {now['parts'].get('core', 0.0):6.1f})  "
            f"{now['descriptors']:4} descriptors  {len(wrong)} faults {''.join(wrong[-1:])}",
            flush=True,
        )
    sockets = folder / "soak" / "run"
    wait_until(lambda: not any(left_of_calls(sockets).values()), FORGOTTEN, 1.0)
    left, last = left_of_calls(sockets), sample(server)
    grown = {what: round(last[what] - first[what], 1) for what in ("memory", "descriptors")}
    print(f"{rounds * CALLS:,} calls; grown: {grown}; left: {left}")
    wrong += [f"{count} {what} are left" for what, count in left.items() if count]
    return wrong + judge(first, last, (time.monotonic() - counted) / 3600)


def main() -> int:
    """Soak and tell."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, help="60 where nothing is said of calls")
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    enter_own_network()
    minutes = asked.minutes if asked.minutes is not None else 0.0 if asked.calls else 60.0
    with holdfast.serving(folder / "soak", PHONES) as server:
        wrong = soak(folder, server, minutes, asked.calls)
    print("\n".join(wrong) or "flat: nothing grew, nobody was left out")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
