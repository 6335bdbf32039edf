"""Mixed load for as long as asked: memory and descriptors must stay flat, and nobody left out.

`python -m benchmarks.soak --minutes 60`: rounds of phones registering over UDP, TCP and TLS and
of calls, against one Holdfast in an outage. Status 1 where something grew or failed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import generator, holdfast
from benchmarks.isolation import enter_own_network
from benchmarks.process import Server, memory_fields, wait_until

PHONES = 500
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
    made = generator.call(folder, server, port=5060, pairs=20, calls=400, rate=100, limit=60)
    if made["failed"]:
        wrong.append(f"{made['failed']} calls failed: {made['statuses']}")
    return wrong


def sample(server: Server) -> dict[str, Any]:
    """Give memory in MB and descriptors of all of the server's processes."""
    members = server.members()
    resident = sum(memory_fields(pid).get("VmRSS", 0) for pid in members) / 1e6
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in members)
    return {"memory": resident, "descriptors": descriptors, "processes": set(members)}


def judge(first: dict[str, Any], last: dict[str, Any], hours: float) -> list[str]:
    """Compare the end with the beginning."""
    wrong = []
    grown = last["memory"] - first["memory"]
    if grown > NOISE + GROWTH * hours:
        wrong.append(f"memory grew by {grown:.1f} MB in {hours:.2f} h")
    if last["descriptors"] > first["descriptors"] + 20:
        wrong.append(f"descriptors grew from {first['descriptors']} to {last['descriptors']}")
    if last["processes"] != first["processes"]:
        wrong.append("a process was started again")
    return wrong


def soak(folder: Path, server: Server, minutes: float) -> list[str]:
    """Go round until the time is over; give everything that went wrong."""
    began, rounds = time.monotonic(), 0
    wrong: list[str] = []
    first: dict[str, Any] = {}
    while (passed := time.monotonic() - began) < minutes * 60 or not first:
        wrong += one_round(folder, server)
        rounds += 1
        if passed > WARM_UP and not first:
            first, counted = sample(server), time.monotonic()
        now = sample(server)
        print(
            f"{passed / 60:6.1f} min  round {rounds:4}  {now['memory']:7.1f} MB  "
            f"{now['descriptors']:4} descriptors  {len(wrong)} faults {''.join(wrong[-1:])}",
            flush=True,
        )
    return wrong + judge(first, sample(server), (time.monotonic() - counted) / 3600)


def main() -> int:
    """Soak and tell."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    place = folder / "soak"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    generator.build(folder)
    enter_own_network()
    server = holdfast.server(place, PHONES)
    server.start()
    try:
        if not wait_until(lambda: generator.first_status(5060) == 401, 30):
            raise RuntimeError(f"Holdfast did not come up:\n{server.tail()}")
        wrong = soak(folder, server, asked.minutes)
    finally:
        server.stop()
    print("\n".join(wrong) or "flat: nothing grew, nobody was left out")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
