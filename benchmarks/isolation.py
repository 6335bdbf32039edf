"""A loopback of our own, so that nothing else on the machine hears or disturbs a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

MARK = "HOLDFAST_BENCH_NETWORK"


def enter_own_network() -> None:
    """Start this program again in a network namespace of its own, where we may make one."""
    if MARK in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        print("no namespace without root: running on the machine's own loopback")
        return
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.orig_argv[1:]])


def busy_share(seconds: float = 1.0) -> float:
    """Measure how much of the machine others use just now, 0 to 1."""
    before = cpu_times()
    subprocess.run(["sleep", str(seconds)], check=True)
    total = [after - then for after, then in zip(cpu_times(), before, strict=True)]
    return 1 - (total[3] + total[4]) / max(sum(total), 1)


def cpu_times() -> list[int]:
    """Read the jiffies of all cores: user, nice, system, idle, waiting, ..."""
    with open("/proc/stat", encoding="ascii") as file:
        return [int(word) for word in file.readline().split()[1:9]]
