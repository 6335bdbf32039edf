"""Whether somebody else has one of our addresses."""

from __future__ import annotations

import asyncio

from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
)
from appliance.diagnostics.ground import doubled_addresses, own_addresses
from appliance.diagnostics.packets import NotPermitted, ask_netdiag

CURE = (
    "Give this machine, or the other, an address of its own: phones reach now one, now the other."
)
MOST = 8
"""Addresses that are asked for."""


async def run(around: Surroundings) -> Outcome:
    """Ask the network for each IPv4 address, and the kernel what it has found of IPv6."""
    found = [fail(f"{one} is somebody else's too", CURE) for one in await _of_ipv6()]
    own = await asyncio.to_thread(own_addresses)
    try:
        for card, address in own[:MOST]:
            asked = {"probe": "arp", "card": card, "address": address, "seconds": 1.5}
            cards = (await ask_netdiag(around.settings, **asked))["cards"]
            found.append(_judge(card, address, cards))
    except NotPermitted as error:
        if found:
            return together(found, "")
        advice = "Run `holdfast-netdiag arp CARD ADDRESS` as root on this machine."
        return not_applicable(f"nobody may ask the network: {error}", advice)
    return together(found, f"nobody else has our {len(own[:MOST])} addresses")


async def _of_ipv6() -> list[str]:
    return await asyncio.to_thread(doubled_addresses)


def _judge(card: str, address: str, cards: list[str]) -> Outcome:
    if cards:
        return fail(f"{address} on {card} is also at {', '.join(cards)}", CURE)
    return ok(f"{address} on {card} is ours alone")


CHECK = Check(
    "doubled",
    "Duplicate addresses",
    "Asks the network whether somebody has our address.",
    30.0,
    run,
)
