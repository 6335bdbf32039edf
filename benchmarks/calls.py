"""Calls set up and ended again through each server: rate, cost, and how long a caller waits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import generator, holdfast, kamailio
from benchmarks.isolation import busy_share
from benchmarks.process import Server, wait_until
from benchmarks.report import Row

SINK = 7000
"""Port where sippy's callees are: it has no registrar."""
ROOT = Path(__file__).parent.parent


def sippy_python(folder: Path) -> Path:
    """Make an environment with sippy in it, apart from Holdfast's own, and give its Python."""
    home = folder / "sippy"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        locked = str(ROOT / "requirements-bench.txt")
        pip = [str(python), "-m", "pip", "-qq", "install", "--require-hashes", "-r", locked]
        subprocess.run(pip, check=True)
        (home / "ready").touch()
    return python


def sippy_server(folder: Path, python: Path) -> Server:
    """Give a sippy B2BUA that is ready to start."""
    script = str(ROOT / "benchmarks" / "sippy_peer.py")
    return Server("sippy", [str(python), script, "5060", str(SINK)], folder / "sippy.log")


def measure(folder: Path, name: str, pairs: int, calls: int, rate: int) -> Row:
    """Start a server, make the calls, and give one row."""
    place = folder / "server"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    busy = busy_share()
    if name == "sippy":
        server = sippy_server(place, sippy_python(folder))
    else:
        server = (holdfast if name == "holdfast" else kamailio).server(place, 2 * pairs)
    server.start()
    try:
        ready = (401, 407, 200)
        if not wait_until(lambda: generator.first_status(5060) in ready, 30):
            raise RuntimeError(f"{name} did not come up:\n{server.tail()}")
        server.settle()
        more = {"sink": SINK} if name == "sippy" else {}
        figures = generator.call(
            folder, server, port=5060, pairs=pairs, calls=calls, rate=rate, limit=90, **more
        )
    finally:
        server.stop()
    kind = f"{rate} a second" if rate else f"{pairs} at a time"
    return {**figures, "kind": kind, "variant": VARIANTS[name], "busy": busy}


VARIANTS = {
    "holdfast": "B2BUA, relay opened",
    "kamailio": "stateful proxy, no relay",
    "sippy": "B2BUA, no relay",
}


def run(folder: Path, calls: int, only: str) -> Iterator[Row]:
    """Measure every contender as fast as it can, then at a steady rate all can bear."""
    for pairs, rate in ((50, 0), (50, 100)):
        for name in VARIANTS:
            if only in ("", name):
                count = min(calls, 2000) if name == "sippy" or rate else calls
                yield measure(folder, name, pairs, count, rate)
