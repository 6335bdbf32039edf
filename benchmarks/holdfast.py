"""Holdfast under measurement: all its processes, in an outage that has begun already."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import generator, site
from benchmarks.process import Server, wait_until

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5091, "tls12": 5091}


def server(folder: Path, phones: int) -> Server:
    """Give a Holdfast that is ready to start, with fresh data."""
    data, run = folder / "data", folder / "run"
    for place in (data, run):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    site.write_bundle(data / "bundle.json", phones)
    environment = {
        "HOLDFAST_DATA": str(data),
        "HOLDFAST_RUN": str(run),
        "HOLDFAST_ADDRESSES": "127.0.0.1",
        "HOLDFAST_ADMIN_ADDRESS": "127.0.0.1",
    }
    command = [str(Path(sys.executable).with_name("holdfast")), "run"]
    return Server("Holdfast", command, folder / "holdfast.log", environment)


@contextlib.contextmanager
def serving(place: Path, phones: int) -> Iterator[Server]:
    """Have one that serves, alone in a folder that is made anew."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    one = server(place, phones)
    one.start()
    try:
        if not wait_until(lambda: generator.first_status(5060) in (401, 407), 120):
            raise RuntimeError(f"Holdfast did not come up:\n{one.tail()}")
        one.settle()
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            one.stop()
