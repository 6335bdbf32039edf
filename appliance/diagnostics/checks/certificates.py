"""Whether the certificates of everybody here are good, for the right name, and for how long."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from appliance.adapters.tls import words_of
from appliance.adapters.zone_address import ZoneAddresses
from appliance.adapters.zone_channel import Failed, zone_context
from appliance.bundle import Zone
from appliance.diagnostics.certificate import lasting, of_ours, of_outside
from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, together, warn
from appliance.errors import Unavailable
from appliance.web.machine import certificate_files

CONNECTING = 8.0


async def run(around: Surroundings) -> Outcome:
    """Look at all of them."""
    settings = around.settings

    def look_at_ours() -> list[Outcome]:
        return [of_ours(*one, settings) for one in certificate_files(settings)]

    own = await asyncio.to_thread(look_at_ours)
    zones = () if around.bundle is None else around.bundle.zones
    theirs = await asyncio.gather(*(_of_zone(z) for z in zones if z.transport == "TLS"))
    return together([*theirs, *await of_outside(around), *own], "all certificates are good")


async def _of_zone(zone: Zone) -> Outcome:
    about = f"the certificate of zone {zone.id}"
    addresses = ZoneAddresses(asyncio.get_running_loop())
    try:
        async with asyncio.timeout(CONNECTING):
            [(host, port), *_] = await addresses.find(zone)
            shown = await _shown(host, port, zone)
    except ssl.SSLCertVerificationError as error:
        text = f"{about} is not good: {error.verify_message}"
        return fail(text, "Ask the cloud's operator, or put the right CA into the configuration.")
    except (Failed, Unavailable, OSError, TimeoutError) as error:
        words = words_of(error, "the zone") if isinstance(error, OSError) else str(error)
        text = f"{about} could not be seen: {words or 'no answer in time'}"
        return warn(text, "Run the check of the zones: it says why the zone is not reached.")
    finally:
        addresses.close()
    ends = ssl.cert_time_to_seconds(shown["notAfter"])
    return lasting(about, ends, "Ask the cloud's operator for a new one.", *_described(shown))


async def _shown(host: str, port: int, zone: Zone) -> dict[str, Any]:
    _, writer = await asyncio.open_connection(
        host, port, ssl=zone_context(zone), server_hostname=zone.host
    )
    try:
        told: dict[str, Any] = writer.get_extra_info("peercert")
        return told
    finally:
        writer.transport.abort()


def _described(shown: dict[str, Any]) -> list[str]:
    names = ", ".join(value for _, value in shown.get("subjectAltName", ()))
    issuer = ", ".join(value for parts in shown.get("issuer", ()) for _, value in parts)
    return [f"  names: {names}", f"  signed by: {issuer}"]


CHECK = Check(
    "certificates",
    "Certificates",
    "Looks at chain, name and expiry of certificates: zones', SBCs', other sites' and our own.",
    20.0,
    run,
)
