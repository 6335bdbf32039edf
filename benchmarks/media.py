"""Calls on one core, and what a packet costs: both relays beside rtpengine and plain forwarding.

Each call is two streams of G.711 in packets of 20 ms, from phones on one network to phones on
another. Server and the machine's receiving threads share one core, the phones have the other, all
under a real-time policy, so that other work on the machine shows in no figure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.generator import compile_program
from benchmarks.media_network import MediaNetwork, media_network, threads
from benchmarks.process import CLIENT_CORE, SERVER_CORE, cpu_of
from benchmarks.rtp_relays import KINDS, REAL_TIME, Holdfast, Plain, Relaying, Rtpengine

Row = dict[str, Any]
Kind = type[Plain] | type[Holdfast] | type[Rtpengine]
STEPS = (250, 500, 1000, 1500, 2000, 2500)
"""Concurrent calls tried, until one is too many; beyond, the phones' core is not enough."""
DELAY_LIMIT = 5.0
"""Milliseconds of added delay that 99 of 100 packets must keep."""
PACE_LIMIT = 100.0
"""Milliseconds the phones may have been behind; beyond, what was measured is them."""
TRIES = 3
"""A run that fails is tried again: a burst of other work must not decide."""


def run(folder: Path, seconds: float, only: str) -> list[Row]:
    """Measure and show; all kinds take turns, so that the machine's mood is shared."""
    if shutil.which("rtpengine") is None:
        raise SystemExit("rtpengine is needed: apt-get install rtpengine-daemon")
    program = compile_program(folder, "rtp")
    rows: list[Row] = []
    with media_network() as network:
        pin()
        standing = [kind for kind in KINDS if only in kind.name.lower()]
        for calls in STEPS:
            for kind in list(standing):
                row = _best(partial(measure, network, kind, calls, program, seconds))
                print(_line(row), flush=True)
                rows.append(row)
                if not row["holds"]:
                    standing.remove(kind)
    _show(rows)
    return rows


def _best(measured: Callable[[], Row]) -> Row:
    """Measure, and again where it did not hold; returns the best."""
    row: Row = {}
    for _ in range(TRIES):
        row = measured()
        if row["holds"]:
            break
    return row


def measure(network: MediaNetwork, kind: Kind, calls: int, program: Path, seconds: float) -> Row:
    """Let so many calls go by one kind; returns what they cost and how late packets were."""
    relaying = kind(network, calls)
    try:
        streams = program.parent / "streams"
        lines = [" ".join(map(str, stream)) for stream in relaying.streams]
        streams.write_text("\n".join(lines) + "\n")
        # A second first: caches, and the counters that make themselves at the first packet.
        _talk(network, program, streams, 1.0)
        heard, used = network.heard(), _used(relaying)
        own = sum(map(cpu_of, relaying.pids))
        told = _talk(network, program, streams, seconds)
        cost = (_used(relaying) - used) / told["sent"] * 1e6
        own = (sum(map(cpu_of, relaying.pids)) - own) / told["sent"] * 1e6
        lost = told["sent"] - (network.heard() - heard)
    finally:
        relaying.stop()
    kept = lost == 0 and told["p99"] <= DELAY_LIMIT * 1000
    row = {"kind": "media", "server": kind.name, "calls": calls, "lost": lost, **told}
    costs = {"cpu_us": round(cost, 2), "own_us": round(own, 2)}
    return {**row, **costs, "paced": told["late"] < PACE_LIMIT, "holds": kept}


def _talk(network: MediaNetwork, program: Path, streams: Path, seconds: float) -> Row:
    """Let the phones talk; returns what their program tells, delays in microseconds."""
    words = {
        "left": network.left.path,
        "right": network.right.path,
        "left_mac": network.middle.mac("left"),
        "right_mac": network.middle.mac("right"),
        "streams": streams,
        "seconds": seconds,
    }
    given = [f"{name}={value}" for name, value in words.items()]
    command = ["taskset", "-c", str(CLIENT_CORE), *REAL_TIME, str(program), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: Row = json.loads(done.stdout)
    return told


def pin() -> None:
    """Put the receiving threads on the servers' core, before anything else there."""
    for pid in map(str, threads()):
        subprocess.run(
            ["taskset", "--cpu-list", "--pid", str(SERVER_CORE), pid],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        subprocess.run(["chrt", "--fifo", "--pid", "2", pid], check=True)


def _used(relaying: Relaying) -> float:
    return sum(map(cpu_of, [*threads(), *relaying.pids]))


def _line(row: Row) -> str:
    delays = "  ".join(f"{name} {row[name] / 1000:.2f}" for name in ("p50", "p99", "max"))
    notes = "" if row["holds"] else "  DOES NOT HOLD"
    notes += "" if row["paced"] else "  (the phones could not keep pace)"
    return (
        f"{row['server']:28} {row['calls']:5} calls  {row['cpu_us']:6.2f} us/packet"
        f" ({row['own_us']:.2f} by the process)"
        f"  lost {row['lost']}  ms: {delays}{notes}"
    )


def _show(rows: list[Row]) -> None:
    """Print for each kind the most calls that held, and what its CPU time would be enough for."""
    print("\nmost calls tried that held, and calls that its CPU time is enough for")
    for name in dict.fromkeys(row["server"] for row in rows):
        held = [row for row in rows if row["server"] == name and row["holds"]]
        if held:
            # 50 packets a second each way.
            enough = 1e6 / (held[-1]["cpu_us"] * 100)
            print(f"{name:28} {held[-1]['calls']:5}  {enough:7,.0f}")
