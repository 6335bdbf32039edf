"""Whether there is a way out, and whether the gateway is alive."""

from __future__ import annotations

import asyncio

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, not_applicable, ok, warn
from appliance.diagnostics.gateway import gateway_answers
from appliance.diagnostics.ground import neighbour, way_out

PATIENCE = 10.0


async def run(around: Surroundings) -> Outcome:
    """Look for the gateway of the default route and wake it."""
    way = await asyncio.to_thread(way_out)
    if way is None:
        return fail("no gateway is set", "Set the gateway in the network settings of this machine.")
    if not way.gateway:
        return not_applicable(f"everything is reached directly on {way.card}, without a gateway")
    answers = await gateway_answers(way.gateway, way, PATIENCE)
    known = await asyncio.to_thread(neighbour, way.gateway, way.number)
    mac = f", card {known.mac}" if known is not None and known.mac else ""
    line = f"{way.gateway} on {way.card}{mac}; our address there is {way.source}"
    if answers is None:
        advice = "If zones answer it is well; else see to the site's router."
        return warn(f"the gateway {way.gateway} says nothing", advice, line)
    if not answers:
        return fail(f"the gateway {way.gateway} does not answer", "See to the site's router.", line)
    return ok(f"the gateway {way.gateway} is alive", line)


CHECK = Check("gateway", "Gateway", "Looks whether the site's router is alive.", 15.0, run)
