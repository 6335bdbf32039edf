"""Whether something on the way rewrites SIP: a SIP ALG in a router or firewall."""

from __future__ import annotations

import asyncio

import msgspec

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.zone_address import ZoneAddresses
from appliance.adapters.zone_channel import Failed, open_datagrams
from appliance.adapters.zone_probe import options_to
from appliance.bundle import Zone
from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
)
from appliance.diagnostics.layers import Listening
from appliance.errors import RemoteError, Unavailable
from appliance.sip.identifiers import MAGIC_COOKIE
from appliance.sip.message import Request, Response

PATIENCE = 2.0
COPIED = ("From", "Call-ID", "CSeq")
"""Headers that an answer has as the request had them (RFC 3261, 8.2.6.2)."""
TRIES = 2


async def run(around: Surroundings) -> Outcome:
    """Ask each zone over UDP, which such a thing looks into, and compare what comes back."""
    if around.bundle is None:
        return not_applicable("there is no configuration yet, so no zone is known")
    found = await asyncio.gather(*(_of(zone) for zone in around.bundle.zones))
    return together(found, "SIP over UDP passes as it is")


async def _of(zone: Zone) -> Outcome:
    asked = msgspec.structs.replace(zone, transport="UDP")
    for _ in range(TRIES):
        try:
            request, answer = await _exchange(asked)
        except TimeoutError:
            continue
        except (Failed, Unavailable) as error:
            return not_applicable(f"zone {zone.id} cannot be asked over UDP: {error}")
        return compare(zone.id, request, answer)
    text = f"zone {zone.id} does not answer over UDP; over TLS nobody can rewrite anything"
    return not_applicable(text)


async def _exchange(zone: Zone) -> tuple[Request, Response]:
    addresses = ZoneAddresses(asyncio.get_running_loop())
    try:
        places = await addresses.find(zone)
    finally:
        addresses.close()
    listener, identifiers = Listening(), RandomIdentifiers()
    channel = await open_datagrams(places, listener)
    try:
        branch = MAGIC_COOKIE + identifiers.token()
        request = options_to(zone, channel.local, branch, identifiers)
        channel.send(request.encode())
        async with asyncio.timeout(PATIENCE):
            return request, await listener.answer
    finally:
        channel.close()


def compare(zone: str, request: Request, answer: Response) -> Outcome:
    """Judge what has become of a request on its way, as the answer copies it."""
    changed = [name for name in COPIED if request.first(name) != answer.first(name)]
    try:
        if answer.via.sent_by != request.via.sent_by:
            changed.append(f"Via ({request.via.sent_by} became {answer.via.sent_by})")
    except RemoteError:
        changed.append("Via")
    if changed:
        text = f"on the way to zone {zone} SIP is rewritten: {', '.join(changed)}"
        return fail(text, "Switch the SIP ALG (SIP helper, SIP inspection) of the router off.")
    return ok(f"zone {zone}: what was sent over UDP came there as it was")


CHECK = Check("sip-alg", "SIP ALG", "Looks whether something on the way rewrites SIP.", 15.0, run)
