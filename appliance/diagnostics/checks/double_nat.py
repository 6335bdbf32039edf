"""Whether the way out passes more than one network of private addresses: double NAT, or a VPN."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv4Network

from appliance.diagnostics.check import Check, Outcome, Surroundings, not_applicable, ok, warn
from appliance.diagnostics.ground import ANYWHERE, way_out
from appliance.diagnostics.path import hops

FIRST = 4
"""Hops that are looked at: a second NAT stands right behind the first."""
CARRIER = IPv4Network("100.64.0.0/10")
"""Of carriers' own NAT (RFC 6598)."""
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""RFC 1918."""
NETWORK = 24
"""Bits by which two networks of a site are told apart."""


async def run(around: Surroundings) -> Outcome:
    """Have the first routers on the way out say who they are."""
    way = await asyncio.to_thread(way_out)
    if way is None or ":" in way.source or not way.gateway:
        return not_applicable("there is no way out over IPv4 through a gateway")
    try:
        found = await asyncio.to_thread(hops, ANYWHERE[4], FIRST)
    except OSError as error:
        return not_applicable(f"the way out cannot be followed: {error.strerror}")
    shown = " → ".join([way.source, *(hop or "?" for hop in found)])
    if not any(found):
        return not_applicable(f"no router on the way out says who it is: {shown}")
    return judge(way.source, found, shown)


def judge(own: str, found: list[str], shown: str) -> Outcome:
    """Judge the routers on the way; empty ones have said nothing."""
    routers = [IPv4Address(hop) for hop in found if hop]
    advice = (
        "Let one router do NAT; where it has to be so, phones need keep-alives to stay reachable."
    )
    if any(router in CARRIER for router in routers):
        return warn("the provider does NAT as well (100.64.0.0/10)", advice, shown)
    private = [router for router in routers if _is_private(router)]
    here = {IPv4Network(f"{router}/{NETWORK}", strict=False) for router in private}
    if _is_private(IPv4Address(own)) and len(here) > 1:
        text = f"the way out passes {len(here)} private networks: a second NAT, or a VPN"
        return warn(text, advice, shown)
    return ok("no second NAT is seen on the way out", shown)


def _is_private(address: IPv4Address) -> bool:
    return any(address in network for network in PRIVATE)


CHECK = Check(
    "double-nat", "Double NAT", "Looks for a second NAT or a VPN on the way out.", 15.0, run
)
