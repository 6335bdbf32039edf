"""What the kernel relay costs beside plain forwarding: both, and nftables alone, in turns.

    python -m benchmarks.media_kernel --calls 1500 --rounds 4

The network and the phones are those of `benchmarks.media`. What counts is the factor: turns are
short, so that a machine with other work is as busy in one as in the next, but long enough for the
process to read all counters twice, which is most of what it does.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.generator import compile_program
from benchmarks.media import measure, pin
from benchmarks.media_network import media_network
from benchmarks.rtp_relays import KernelRelay, Plain, Rules

KINDS = (Plain, Rules, KernelRelay)


def run(folder: Path, calls: int, rounds: int, seconds: float) -> None:
    """Measure and show: microseconds of the core for each packet, the kernel's and all."""
    program = compile_program(folder, "rtp")
    kernel: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
    whole: dict[str, list[float]] = {kind.name: [] for kind in KINDS}
    lost = dict.fromkeys(kernel, 0)
    with media_network() as network:
        pin()
        for _ in range(rounds):
            for kind in KINDS:
                row = measure(network, kind, calls, program, seconds)
                kernel[kind.name].append(row["cpu_us"] - row["own_us"])
                whole[kind.name].append(row["cpu_us"])
                lost[kind.name] += row["lost"]
    for what, costs in (("kernel", kernel), ("with the process", whole)):
        for name, cost in costs.items():
            print(f"{what:17} {name:25} {_told(cost, costs[Plain.name])}  lost {lost[name]}")


def _told(cost: list[float], plain: list[float]) -> str:
    turns = median(one / other for one, other in zip(cost, plain, strict=True))
    return (
        f"least {min(cost):5.2f} us ({min(cost) / min(plain):4.2f} times)"
        f"  median {median(cost):5.2f} us ({median(cost) / median(plain):4.2f})"
        f"  median of turns {turns:4.2f}"
    )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), asked.calls, asked.rounds, asked.seconds)


if __name__ == "__main__":
    main()
