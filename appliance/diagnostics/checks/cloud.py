"""Whether the cloud's HTTPS API answers."""

from __future__ import annotations

import aiohttp

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, not_applicable, ok, warn
from appliance.diagnostics.cloud_line import ask_cloud

SLOW = 2.0
"""Seconds for connection, TLS and the head of one answer."""


async def run(around: Surroundings) -> Outcome:
    """Ask once."""
    url = around.settings.cloud_url
    if not url:
        return not_applicable("no cloud_url is set: the configuration comes by hand")
    try:
        status, _, seconds = await ask_cloud(around.settings)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        text = f"{url} does not answer: {error or 'no answer in time'}"
        return fail(
            text, "See to the internet line, DNS and cloud_ca; zones may answer all the same."
        )
    told = f"{url} answers {status} in {seconds * 1000:.0f} ms"
    if seconds > SLOW:
        return warn(told, "It is slow: see to the internet line.")
    return ok(told)


CHECK = Check("cloud", "Cloud's HTTPS", "Asks the cloud's API for an answer.", 10.0, run)
