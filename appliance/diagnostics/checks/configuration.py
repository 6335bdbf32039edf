"""How old the configuration is, and whether it is the one in force."""

from __future__ import annotations

import time
from typing import Any

from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, ok, warn
from appliance.errors import HoldfastError
from appliance.web.issues import ASK_AGAIN, OLD, STALE, silent_for
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
    return _news(around.sync, (f"{line}; it is in force", users, *_way(around.sync)))


def _way(sync: dict[str, Any]) -> list[str]:
    """Tell where configurations come from, and what stands between the newest and this one."""
    if not sync.get("url"):
        return ["configurations come by file"] if sync else []
    lines = [f"{sync['url']}: {sync['failure']}"] if sync["failure"] else []
    if sync["asked_at"]:
        lines.append(f"the cloud answered {age(time.time() - sync['asked_at'])} ago")
    if sync["newest"] > (sync["version"] or 0):
        lines.append(f"it was rolled back from version {sync['newest']}")
    return lines


def _news(sync: dict[str, Any], lines: tuple[str, ...]) -> Outcome:
    """Judge whether what is in force is what the cloud has."""
    silent = silent_for(sync, time.time())
    if silent > STALE:
        text = f"the cloud could not be asked for changes for {age(silent)}"
        return (fail if silent > OLD else warn)(text, ASK_AGAIN, *lines)
    if sync.get("held"):
        text = f"version {sync['held']['version']} is held: it would remove much"
        return warn(text, "Look at what it would change, then release or discard it.", *lines)
    if sync.get("problems"):
        text = f"a newer one was refused: {sync['problems'][0]['text']}"
        return warn(text, "Have the mistakes corrected in the cloud.", *lines)
    return ok(*lines)


CHECK = Check(
    "configuration",
    "Configuration",
    "Looks whether the stored configuration is in force, and how old it is.",
    10.0,
    run,
)
