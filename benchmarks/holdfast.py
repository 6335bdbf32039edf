"""Holdfast under measurement: all its processes, in an outage that has begun already."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks import site
from benchmarks.process import Server

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
