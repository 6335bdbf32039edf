"""Core's memory while calls come at a steady rate: it has to stop growing.

    python -m benchmarks.memory [--calls 40000] [--rate 400] [--abnormal 16]

A hundred seconds. Calls are set up, answered and ended at once; of so many `--abnormal` calls four
end by no rule, as in the soak, and are up for a minute and a half. Status 1 where core has grown by
more than `GROWTH` since `SETTLED` calls were over.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import generator, holdfast
from benchmarks.isolation import enter_own_network
from benchmarks.process import Server, last_word, memory_fields

PHONES = 400
STEP = 2000
"""Calls between two looks."""
SETTLED = 10_000
"""Calls after which what a busy site remembers should have its size."""
GROWTH = 32.0
"""MB."""


def core_of(server: Server) -> int:
    """Give the id of the signalling process."""
    return next(pid for pid in server.members() if last_word(pid) == "core")


def heap_of(pid: int) -> float:
    """Give the resident MB of the C library's heap; the rest is mapped."""
    lines = iter(Path(f"/proc/{pid}/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith("[heap]"):
            resident = next(line for line in lines if line.startswith("Rss:"))
            return int(resident.split()[1]) * 1024 / 1e6
    return 0.0


def watch(folder: Path, server: Server, calls: int, rate: int, abnormal: int) -> list[str]:
    """Let phones call and print what core holds; give everything that went wrong."""
    wrong: list[str] = []
    settled = last = 0.0
    more = {"abnormal": abnormal} if abnormal else {}
    for done in range(STEP, calls + STEP, STEP):
        made = generator.call(
            folder, server, port=5060, pairs=PHONES // 2, calls=STEP, rate=rate, limit=90, **more
        )
        if made["failed"]:
            wrong.append(f"{made['failed']} calls failed: {made['statuses']}")
        pid = core_of(server)
        last = memory_fields(pid).get("VmRSS", 0) / 1e6
        settled = last if done <= SETTLED else settled
        shown = f"{done:7,} calls  {last:6.1f} MB, of it the C heap {heap_of(pid):6.1f}"
        print(f"{shown}  {made['cpu_us']:6.0f} us a call", flush=True)
    if last - settled > GROWTH:
        wrong.append(f"core grew by {last - settled:.1f} MB after {SETTLED:,} calls")
    return wrong


def main() -> int:
    """Call and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--calls", type=int, default=40_000)
    parser.add_argument("--rate", type=int, default=400, help="calls a second")
    parser.add_argument("--abnormal", type=int, default=0, help="0: all end as they should")
    parser.add_argument("--folder", type=Path, default=Path("var/bench"))
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    generator.build(folder)
    enter_own_network()
    with holdfast.serving(folder / "memory", PHONES) as server:
        wrong = watch(folder, server, asked.calls, asked.rate, asked.abnormal)
    print("\n".join(wrong) or "flat: core has stopped growing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
