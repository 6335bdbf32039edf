"""Whether calls can leave the site: every SBC, as it answers now."""

from __future__ import annotations

from typing import Any

from appliance.diagnostics.check import (
    Check,
    Outcome,
    Surroundings,
    fail,
    not_applicable,
    ok,
    together,
    warn,
)
from appliance.errors import HoldfastError


async def run(around: Surroundings) -> Outcome:
    """Ask core, which asks each SBC all the time."""
    try:
        rows = (await around.ask("trunk"))["sbcs"]
    except HoldfastError as error:
        return warn(f"the SBCs are not known: {error}", "See why the signalling process is away.")
    if not rows:
        advice = "Name a route group if calls shall leave the site in an outage."
        return not_applicable("there is no SBC: nobody outside can be called", advice)
    found = [_judge(row) for row in rows]
    told = together(found, f"all {len(rows)} SBCs answer")
    if told.verdict == "fail" and any(one.verdict == "ok" for one in found):
        return warn(told.text, told.advice, *told.evidence)
    return told


def _judge(row: dict[str, Any]) -> Outcome:
    if row["drained"]:
        return warn(f"{row['sbc']} is drained", "Resume it when the work on it is done.")
    if row["state"] in ("up", "failing"):
        rtt = f" in {row['rtt'] * 1000:.0f} ms" if row.get("rtt") else ""
        return ok(f"{row['sbc']} answers{rtt}")
    text = f"{row['sbc']} is {row['state']}: {row['reason']}"
    return fail(text, "See to this SBC and the way to it; `holdfast trunk` tells more.")


CHECK = Check("trunk", "Trunk", "Looks whether every SBC answers.", 10.0, run)
