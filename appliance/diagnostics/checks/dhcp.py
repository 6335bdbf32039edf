"""Whether DHCP leads phones past the cloud's provisioning (options 66, 160, 161 and their like)."""

from __future__ import annotations

import asyncio
from typing import Any

from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.diagnostics.ground import way_out
from appliance.diagnostics.packets import NotPermitted, ask_netdiag

LISTENING = 4.0
"""Seconds; a server asks the network for the address first, which takes one or two."""
LEADING = {
    "43": "vendor's own",
    "66": "server of provisioning",
    "67": "file of provisioning",
    "120": "SIP server",
    "150": "TFTP servers",
    "156": "FTP server",
    "159": "URL of provisioning",
    "160": "URL of provisioning",
    "161": "server of provisioning",
}


async def run(around: Surroundings) -> Outcome:
    """Ask for an address as a phone does, and take none."""
    way = await asyncio.to_thread(way_out)
    if way is None:
        return not_applicable("there is no card with a way out of the site")
    asked = {"probe": "dhcp", "card": way.card, "seconds": LISTENING}
    try:
        offers = (await ask_netdiag(around.settings, **asked))["offers"]
    except NotPermitted as error:
        advice = f"Run `holdfast-netdiag dhcp {way.card}` as root on this machine."
        return not_applicable(f"nobody may ask: {error}", advice)
    if not offers:
        return not_applicable(f"no DHCP server answers on {way.card}")
    told = together([_judge(offer) for offer in offers], "DHCP leads phones nowhere special")
    servers = {offer["server"] for offer in offers}
    if len(servers) > 1 and told.verdict == "ok":
        text = f"{len(servers)} DHCP servers answer: {', '.join(sorted(servers))}"
        return warn(text, "See that each of them is meant to be there.", *told.evidence)
    return told


def _judge(offer: dict[str, Any]) -> Outcome:
    leading = {number: text for number, text in offer["options"].items() if number in LEADING}
    where = f"DHCP server {offer['server']} offers {offer['address']}"
    if not leading:
        return ok(where)
    lines = [f"  option {n} ({LEADING[n]}): {text}" for n, text in leading.items()]
    numbers = ", ".join(leading)
    text = f"DHCP server {offer['server']} tells phones where to be provisioned (option {numbers})"
    advice = "Take these options away, unless they lead to where the phones belong."
    return warn(text, advice, *lines)


CHECK = Check(
    "dhcp", "DHCP", "Looks for DHCP options that lead phones past their provisioning.", 20.0, run
)
