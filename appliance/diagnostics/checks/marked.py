"""Whether DSCP marks are kept on the way to the cloud and back."""

from __future__ import annotations

from appliance.bundle import Zone
from appliance.bundle.dscp import marks
from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.loopback import Heard, loop_back

PACKETS = 10


async def run(around: Surroundings) -> Outcome:
    """Send a few packets with each of our marks."""
    bundle = around.bundle
    echoing = [] if bundle is None else [zone for zone in bundle.zones if zone.echo_port]
    if bundle is None or not echoing:
        return not_applicable("no zone tells how marks arrive (`echo_port` in the configuration)")
    wanted = marks(bundle)
    found = []
    for zone in echoing:
        for purpose, dscp in (("audio", wanted.media), ("signalling", wanted.signalling)):
            found.append(_judge(zone, purpose, dscp, await loop_back(zone, PACKETS, dscp)))
    return together(found, "marks are kept there and back")


def _judge(zone: Zone, purpose: str, dscp: int, heard: Heard) -> Outcome:
    about = f"zone {zone.id}, {purpose} (DSCP {dscp})"
    if not heard.round_trips:
        text = f"{about}: no packet came back from UDP port {zone.echo_port}"
        return warn(text, "Let UDP out to the cloud in the firewall, and its answers in.")
    there, back = set(heard.there), set(heard.back)
    if there != {dscp}:
        text = f"{about}: it arrives there as {_words(there)}"
        return warn(text, "Have the site's router and the provider keep DSCP marks.")
    if back != {dscp}:
        text = f"{about}: what comes back arrives here as {_words(back)}"
        return warn(text, "Have the provider and the site's router keep marks that come in.")
    return ok(f"{about}: kept there and back")


def _words(values: set[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)) or "nothing known"


CHECK = Check(
    "marks", "DSCP marks", "Looks whether marks are kept to the cloud and back.", 20.0, run
)
