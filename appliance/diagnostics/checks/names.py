"""Whether each name server answers, and what DNS says of the zones."""

from __future__ import annotations

import asyncio
from time import monotonic

import dns.asyncresolver
import dns.exception
import dns.resolver

from appliance.adapters.addresses import is_numeric
from appliance.adapters.zone_address import SERVICES
from appliance.bundle import Zone
from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, together, warn

PATIENCE = 3.0
"""Seconds for one question to one server."""
SLOW = 1.0
MOST = 6
"""Name servers that are asked."""


async def run(around: Surroundings) -> Outcome:
    """Ask each server by itself for each zone that has a name."""
    try:
        servers = list(dns.resolver.Resolver().nameservers)[:MOST]
    except dns.exception.DNSException as error:
        servers = []
        why = str(error)
    else:
        why = "no name server is set up"
    if not servers:
        return fail(f"DNS cannot be asked: {why}", "Name a name server in the network settings.")
    zones = [] if around.bundle is None else list(around.bundle.zones)
    named = [zone for zone in zones if not is_numeric(zone.host)]
    found = await asyncio.gather(*(_ask_server(str(server), named) for server in servers))
    told = together(found, f"all {len(servers)} name servers answer")
    if told.verdict == "fail" and any(one.verdict != "fail" for one in found):
        return warn(told.text, told.advice, *told.evidence)
    return told


async def _ask_server(server: str, zones: list[Zone]) -> Outcome:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.lifetime = [server], PATIENCE
    begun = monotonic()
    try:
        lines = [await _look_up(resolver, zone) for zone in zones]
        if not zones:
            await resolver.resolve("localhost.", "A", raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN as error:
        if not zones:
            return ok(f"{server} answers")
        return fail(
            f"{server} does not know {error.canonical_name}", "Correct the zone's host, or DNS."
        )
    except (dns.exception.DNSException, OSError) as error:
        text = f"{server} does not answer: {str(error)[:120]}"
        return fail(text, "See to this name server, or name another in the network settings.")
    spent = monotonic() - begun
    if spent > SLOW:
        return warn(f"{server} is slow: {spent:.1f} s", "See to this name server.", *lines)
    return ok(f"{server} answers in {spent * 1000:.0f} ms", *lines)


async def _look_up(resolver: dns.asyncresolver.Resolver, zone: Zone) -> str:
    if zone.port is None:
        name = f"{SERVICES[zone.transport]}.{zone.host}"
        try:
            answer = await resolver.resolve(name, "SRV", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            pass
        else:
            places = ", ".join(f"{one.target}:{one.port}" for one in answer)
            return f"  zone {zone.id}: SRV {name} leads to {places}"
    answer = await resolver.resolve(zone.host, "A", search=False, raise_on_no_answer=False)
    found = [str(one) for one in answer] if answer.rrset else []
    return f"  zone {zone.id}: {zone.host} is {', '.join(found) or 'without an IPv4 address'}"


CHECK = Check(
    "names",
    "DNS",
    "Asks each name server by itself for the zones, SRV records included.",
    25.0,
    run,
)
