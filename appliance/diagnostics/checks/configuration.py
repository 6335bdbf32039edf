"""How old the configuration is, and whether it is the one in force."""

from __future__ import annotations

import time

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, warn
from appliance.errors import HoldfastError
from appliance.web.words import age


async def run(around: Surroundings) -> Outcome:
    """Compare the file with what core serves."""
    if around.bundle is None:
        advice = "Connect the cloud (cloud_url, cloud_site), or apply a bundle by hand."
        return fail("there is no configuration: no phone can register", advice)
    stored = around.bundle.version
    written = around.settings.bundle_file.stat().st_mtime
    line = f"version {stored}, stored {age(time.time() - written)} ago"
    try:
        served = await around.ask("bundle.info")
    except HoldfastError as error:
        return warn(f"{line}; whether it is in force is not known: {error}", "Look at the journal.")
    if served is None or served["version"] != stored:
        now = "none" if served is None else f"version {served['version']}"
        return fail(
            f"version {stored} is stored, and {now} is in force", "Look at the journal.", line
        )
    users = f"{served['users']} users, {served['devices']} phones"
    return ok(f"{line}; it is in force", users)


CHECK = Check(
    "configuration",
    "Configuration",
    "Looks whether the stored configuration is in force.",
    10.0,
    run,
)
