"""The largest packet that goes whole to each zone."""

from __future__ import annotations

import asyncio

from appliance.adapters.zone_address import ZoneAddresses
from appliance.bundle import Zone
from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.path import USUAL, largest_packet
from appliance.errors import Unavailable

TUNNELLED = 1400
"""Octets; below it the way is likely a tunnel, and SIP over UDP comes in pieces."""


async def run(around: Surroundings) -> Outcome:
    """Ask the routers on the way to each zone."""
    if around.bundle is None:
        return not_applicable("there is no configuration yet, so no zone is known")
    found = await asyncio.gather(*(_of(zone) for zone in around.bundle.zones))
    return together(found, "packets of the usual size go whole to every zone")


async def _of(zone: Zone) -> Outcome:
    addresses = ZoneAddresses(asyncio.get_running_loop())
    try:
        places = await addresses.find(zone)
    except Unavailable as error:
        return warn(f"zone {zone.id}: {error}", "Run the check of DNS.")
    finally:
        addresses.close()
    host = next((host for host, _ in places if ":" not in host), "")
    if not host:
        return not_applicable(f"zone {zone.id} has no IPv4 address")
    try:
        size = await asyncio.to_thread(largest_packet, host)
    except OSError as error:
        return warn(
            f"zone {zone.id}: no way to {host}: {error.strerror}", "Run the check of zones."
        )
    text = f"zone {zone.id}: {size} octets go whole to {host}"
    if size < TUNNELLED:
        advice = "See to the tunnel on the way; until then use TLS or TCP, which cut to size."
        return warn(text, advice)
    return ok(text if size >= USUAL else f"{text}, which will do")


CHECK = Check(
    "mtu", "Path MTU", "Looks for the largest packet that goes whole to a zone.", 20.0, run
)
