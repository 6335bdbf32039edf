"""An avalanche of phones: how many register in a second, at what cost, and who is left out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import generator, holdfast, kamailio
from benchmarks.isolation import busy_share
from benchmarks.process import Server, wait_until
from benchmarks.report import Row

PACED = 200
"""Phones under way at a time in a paced run."""
STORES = (False, True)
"""Accounts in memory, accounts in SQLite."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One server in one set-up."""

    variant: str
    make: Callable[[Path, int], Server]
    ports: dict[str, int]


def contenders(transport: str) -> list[Contender]:
    """Give those who compete over one transport; Holdfast first."""
    own = Contender("", holdfast.server, holdfast.PORTS)
    kinds = [None] if transport in ("udp", "tcp") else ["ec", "rsa"]
    peers = [rival(sqlite, kind) for kind in kinds for sqlite in STORES if not (sqlite and kind)]
    return [own, *peers]


def rival(sqlite: bool, kind: str | None) -> Contender:
    """Give Kamailio with accounts in memory or SQLite and a certificate of some kind."""

    def make(folder: Path, phones: int) -> Server:
        return kamailio.server(folder, phones, sqlite, kind)

    words = ["SQLite" if sqlite else "memory", kind or ""]
    return Contender(", ".join(filter(None, words)), make, kamailio.PORTS)


def measure(folder: Path, transport: str, window: int, phones: int, one: Contender) -> Row:
    """Start a server, let the phones come, and give one row."""
    shutil.rmtree(folder / "server", ignore_errors=True)
    (folder / "server").mkdir(parents=True)
    busy = busy_share()
    server = one.make(folder / "server", phones)
    server.start()
    try:
        if not wait_until(lambda: generator.first_status(5060) in (401, 407), 30):
            raise RuntimeError(f"{server.name} did not come up:\n{server.tail()}")
        server.settle()
        figures = generator.register(
            folder,
            server,
            transport=transport,
            port=one.ports[transport],
            phones=phones,
            window=window,
        )
    finally:
        server.stop()
    pace = f"{window} at a time" if window else "all at once"
    return {**figures, "kind": f"{transport}, {pace}", "variant": one.variant, "busy": busy}


def run(folder: Path, transports: list[str], phones: int, only: str) -> Iterator[Row]:
    """Measure every contender over every transport, paced and all at once."""
    for transport in transports:
        for window in (PACED, 0):
            for one in contenders(transport):
                if only in ("", "holdfast" if one.make is holdfast.server else "kamailio"):
                    yield measure(folder, transport, window, phones, one)
