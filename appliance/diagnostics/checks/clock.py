"""Whether the clock is right: what keeps it, and how far it is from the cloud's."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

import aiohttp

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, warn
from appliance.diagnostics.cloud_line import ask_cloud
from appliance.errors import LocalError
from appliance.web.machine import clock_synchronised

NEAR, FAR = 3.0, 60.0
"""Seconds off; the cloud tells whole seconds only."""
KEPT = {
    True: "something keeps the clock right",
    False: "nothing keeps the clock right",
    None: "the kernel does not tell whether something keeps the clock right",
}
CURE = "Name a time server (NTP) in the network settings of this machine."


async def run(around: Surroundings) -> Outcome:
    """Ask the kernel and the cloud."""
    kept = await asyncio.to_thread(clock_synchronised)
    line = KEPT[kept]
    offset = await _offset(around)
    if offset is None:
        text = f"{line}; the cloud could not be asked for its time"
        return ok(text) if kept else warn(text, CURE)
    told = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} the cloud's clock"
    if abs(offset) > FAR:
        advice = "Set the clock: certificates look expired and records have wrong times."
        return fail(f"this clock is {told}", advice, line)
    if abs(offset) > NEAR or kept is False:
        return warn(f"this clock is {told}", CURE, line)
    return ok(f"this clock is within {NEAR:g} s of the cloud's", line)


async def _offset(around: Surroundings) -> float | None:
    """Return by how many seconds the cloud is ahead; None where it does not tell."""
    try:
        _, date, seconds = await ask_cloud(around.settings)
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (aiohttp.ClientError, LocalError, OSError, TimeoutError, ValueError, TypeError):
        return None
    return theirs - (time.time() - seconds / 2)


CHECK = Check("clock", "Clock", "Compares this clock with the cloud's.", 10.0, run)
