"""Whether the UDP ports for audio are ours alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.diagnostics.check import Check, Outcome, Surroundings, not_applicable, ok, warn

TABLES = (Path("/proc/self/net/udp"), Path("/proc/self/net/udp6"))
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""From where the kernel takes ports for everybody's own connections; may be hidden from us."""
SHOWN = 10
PORTS_OF_A_CALL = 4


async def run(around: Surroundings) -> Outcome:
    """Read which ports are bound by others."""
    low, high = around.settings.media_ports
    try:
        bound = await asyncio.to_thread(lambda: list(_bound()))
    except OSError as error:
        return not_applicable(f"the kernel does not tell which ports are taken: {error}")
    ours = os.getuid()
    inside = [(port, owner) for port, owner in bound if low <= port <= high]
    foreign = sorted({port for port, owner in inside if owner != ours})
    calls = (high - low + 1) // PORTS_OF_A_CALL
    lines = [f"ports {low} to {high}: enough for {calls} calls; {len(inside)} are in use"]
    if foreign:
        shown = ", ".join(map(str, foreign[:SHOWN]))
        text = f"{len(foreign)} ports for audio are taken by other programs: {shown}"
        advice = "End those programs, or choose other media_ports; calls use other ports meanwhile."
        return warn(text, advice, *lines)
    if overlap := _overlap(low, high):
        advice = "Set net.ipv4.ip_local_port_range outside of media_ports, as the package does."
        return warn(overlap, advice, *lines)
    return ok("the ports for audio are ours alone", *lines)


def _bound() -> Iterator[tuple[int, int]]:
    """Tell port and owner of every UDP socket (proc(5))."""
    for table in TABLES:
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            yield int(fields[1].rpartition(":")[2], 16), int(fields[7])


def _overlap(low: int, high: int) -> str:
    try:
        first, last = map(int, EPHEMERAL.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return ""
    if last < low or first > high:
        return ""
    return f"the kernel gives ports {first} to {last} to anybody, and audio needs some of them"


CHECK = Check(
    "audio-ports", "UDP ports for audio", "Looks whether others use the ports for audio.", 5.0, run
)
