"""A prober on a real loop, and zones as a bundle names them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.asyncresolver
import pytest

from appliance.adapters.zone_probe import Prober
from appliance.bundle import Zone
from appliance.call.events import ZoneAnswer
from appliance.sip.identifiers import CountedIdentifiers
from tests.adapters.serving import LOOPS, until

both_loops = pytest.mark.parametrize("loop", LOOPS)
Scenario = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A prober and the answers it gave."""

    def __init__(self, folder: Path, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.folder = folder
        self.prober = Prober(loop, CountedIdentifiers(), resolver, folder / "zones.json")
        self.answers: list[ZoneAnswer] = []

    async def ask(self, zone: Zone, timeout: float = 2.0) -> ZoneAnswer:
        """Probe once and return the one answer."""
        heard: list[ZoneAnswer] = []
        self.prober.probe(zone, timeout, heard.append)
        assert heard == [], "answered at once"
        await until(lambda: heard, timeout + 1)
        await asyncio.sleep(0)
        assert len(heard) == 1
        self.answers += heard
        return heard[0]


def run(loop: str, folder: Path, scenario: Scenario) -> None:
    async def all_of_it() -> None:
        bench = Bench(folder)
        try:
            await asyncio.wait_for(scenario(bench), 20)
        finally:
            bench.prober.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


def tcp(port: int, host: str = "127.0.0.1") -> Zone:
    return Zone(id="a", host=host, port=port, transport="TCP")


def udp(port: int, host: str = "127.0.0.1") -> Zone:
    return Zone(id="a", host=host, port=port, transport="UDP")


def tls(port: int, ca: str) -> Zone:
    return Zone(id="a", host="127.0.0.1", port=port, transport="TLS", ca=ca)
