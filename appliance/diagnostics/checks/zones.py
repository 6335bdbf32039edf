"""Whether each zone of the cloud is reached at every layer: DNS, TCP, TLS, certificate, SIP."""

from __future__ import annotations

import asyncio

from appliance.bundle import Zone
from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.layers import probe_layers
from appliance.diagnostics.verdict import finding
from appliance.evidence import Step


async def run(around: Surroundings) -> Outcome:
    """Probe all zones at once."""
    if around.bundle is None:
        return not_applicable("there is no configuration yet, so no zone is known")
    memory = around.settings.data / "zone_addresses.json"
    zones = around.bundle.zones
    steps = await asyncio.gather(*(probe_layers(zone, memory) for zone in zones))
    found = [_judge(zone, list(one)) for zone, one in zip(zones, steps, strict=True)]
    told = together(found, f"all {len(zones)} zones answer at every layer")
    if told.verdict == "fail" and any(one.verdict != "fail" for one in found):
        return warn(told.text, told.advice, *told.evidence)
    return told


def _judge(zone: Zone, steps: list[Step]) -> Outcome:
    lines = [f"  {step.layer}: {step.text} ({step.seconds * 1000:.0f} ms)" for step in steps]
    judged = finding(0.0, zone.id, steps)
    if judged.layer:
        return fail(judged.verdict, judged.advice, *lines)
    if any(step.verdict == "fail" for step in steps):
        text = f"zone {zone.id} answers, though DNS does not"
        return warn(text, "See to the site's name servers before the addresses change.", *lines)
    return ok(f"zone {zone.id} answers", *lines)


CHECK = Check(
    "zones",
    "Zones of the cloud",
    "Reaches each zone anew and looks at every layer on the way to it.",
    60.0,
    run,
)
