"""Disk, memory and processors, and how many more calls there is room for."""

from __future__ import annotations

import asyncio

from appliance import __version__
from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, together, warn
from appliance.errors import HoldfastError
from appliance.web.machine import Machine, read_machine
from appliance.web.words import size

DISK_LOW, DISK_FULL = 0.15, 0.05
MEMORY_LOW = 0.08
"""Shares that are left."""
BUSY = 0.9
"""Of the processors, as an average of a minute."""
PORTS_OF_A_CALL = 4
CROWDED = 0.8
"""Share of the calls there are ports for."""


async def run(around: Surroundings) -> Outcome:
    """Read the machine, and ask core how many calls there are."""
    machine = await asyncio.to_thread(read_machine, around.settings, __version__)
    found = [_disk(machine), _memory(machine), _load(machine), await _room(around)]
    return together(found, "there is room on this machine")


def _disk(machine: Machine) -> Outcome:
    if not machine.disk_size:
        return warn("the disk cannot be looked at", "See that the data folder is there.")
    free = machine.disk_free / machine.disk_size
    line = f"disk: {size(machine.disk_free)} of {size(machine.disk_size)} free"
    if free < DISK_FULL:
        return fail(line, "Make room: records wait in memory while the disk is full.")
    return warn(line, "Make room on the disk.") if free < DISK_LOW else ok(line)


def _memory(machine: Machine) -> Outcome:
    line = f"memory: {size(machine.memory_available)} of {size(machine.memory_size)} available"
    if machine.memory_size and machine.memory_available < machine.memory_size * MEMORY_LOW:
        return warn(line, "See what else runs on this machine, or give it more memory.")
    return ok(line)


def _load(machine: Machine) -> Outcome:
    line = f"processors: {machine.processors}, {machine.load:.2f} at work in the last minute"
    if machine.load > machine.processors * BUSY:
        return warn(line, "See what else runs on this machine, or give it more processors.")
    return ok(line)


async def _room(around: Surroundings) -> Outcome:
    low, high = around.settings.media_ports
    most = (high - low + 1) // PORTS_OF_A_CALL
    try:
        calls = int((await around.ask("status"))["calls"])
    except HoldfastError as error:
        text = f"how many calls are up is not known: {error}"
        return warn(text, "See why the signalling process does not answer.")
    line = f"calls: {calls} of the {most} that there are ports for"
    return warn(line, "Widen media_ports.") if calls > most * CROWDED else ok(line)


CHECK = Check(
    "machine", "Head-room", "Looks at disk, memory, processors and room for calls.", 10.0, run
)
