"""`holdfast status`: whether all is well, in one glance."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, coloured, milliseconds, print_json

MODE_COLOURS = {"standby": "green", "survivability": "red"}
STATE_COLOURS = {"up": "green", "down": "red"}


def add_parser(subparsers: Any) -> None:
    """Add `status`."""
    parser = new_parser(subparsers, "status", "show whether all is well; exit status 1 if not")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the state of the appliance."""
    status = Door(settings_of(arguments)).get("status")
    wrong = complaints(status)
    if arguments.json:
        print_json(status | {"healthy": not wrong, "complaints": wrong})
    else:
        for line in lines(status, time.time()):
            print(line)
        for text in wrong:
            print(coloured("! ", "yellow") + clean(text))
    return NO if wrong else OK


def complaints(status: dict[str, Any]) -> list[str]:
    """Return everything an admin should know of; nothing when all is well."""
    found = []
    if status["mode"] != "standby":
        found.append(f"the mode is {status['mode']}: {status['reason']}")
    if not status.get("link", {}).get("up", True):
        found.append("our own cable has no signal: no phone and no zone is reached")
    for zone in status["zones"]:
        if zone["state"] == "down":
            found.append(f"zone {zone['id']} is down: {zone.get('reason') or 'no answer'}")
        elif zone["state"] != "up":
            found.append(f"zone {zone['id']} has not answered yet")
    if not status.get("bundle"):
        found.append("there is no bundle yet: no phone can register")
    sync = status.get("sync", {})
    bundle, uploads = sync.get("bundle") or {}, sync.get("records") or {}
    if bundle.get("failure"):
        found.append(f"the bundle cannot be pulled: {bundle['failure']}")
    if bundle.get("core_failure"):
        found.append(f"core does not serve the stored bundle: {bundle['core_failure']}")
    if problems := bundle.get("problems"):
        text = f"a bundle was refused with {len(problems)} problems; see `holdfast bundle show`"
        found.append(text)
    if uploads.get("failure"):
        found.append(f"call records wait: {uploads['failure']}")
    if refused := uploads.get("refused"):
        found.append(f"the cloud will not take {len(refused)} call records")
    return found


def lines(status: dict[str, Any], now: float) -> list[str]:
    """Write the status for a person."""
    mode, phones, users = status["mode"], status["phones"], status["users"]
    since = age(now - status["since"]) if status.get("since") else "the start"
    return [
        f"{coloured('●', MODE_COLOURS.get(mode, 'yellow'))} {coloured(mode, 'bold')}"
        f" for {since}: {clean(status['reason'])}",
        *_row("zones", ", ".join(_zone(zone, now) for zone in status["zones"]) or "none"),
        *_row("phones", f"{phones['registered']} registered, {phones['expected']} expected"),
        *_row("users", f"{users['registered']} of {users['total']} reachable"),
        *_row("calls", str(status["calls"])),
        *_row("bundle", _bundle(status, now)),
        *_row("records", _records(status)),
        *_row("bans", _bans(status.get("guard", {}).get("banned", []))),
        *_row("uptime", age(status.get("uptime"))),
    ]


def _row(name: str, text: str) -> list[str]:
    return [f"  {coloured(f'{name:<8}', 'dim')} {text}"] if text else []


def _zone(zone: dict[str, Any], now: float) -> str:
    state = coloured(clean(zone["state"]), STATE_COLOURS.get(zone["state"], "yellow"))
    if zone["state"] == "up":
        return f"{clean(zone['id'])} {state} {milliseconds(zone.get('rtt'))}"
    since = zone.get("since")
    return f"{clean(zone['id'])} {state}" + (f" for {age(now - since)}" if since else "")


def _bundle(status: dict[str, Any], now: float) -> str:
    bundle = status.get("bundle")
    if not bundle:
        return "none yet"
    stored = (status.get("sync", {}).get("bundle") or {}).get("stored_at")
    how_old = f", {age(now - stored)} old" if stored else ""
    return f"version {bundle['version']} of site {clean(bundle['site'])}{how_old}"


def _records(status: dict[str, Any]) -> str:
    pending = (status.get("records") or {}).get("pending")
    return "" if pending is None else f"{pending} waiting for the cloud"


def _bans(banned: list[dict[str, Any]]) -> str:
    """Write who is banned for wrong passwords."""
    shown = [f"{clean(ban['source'])} for {age(ban['seconds'])}" for ban in banned[:5]]
    more = [f"{len(banned) - 5} more"] if len(banned) > 5 else []
    return ", ".join(shown + more) or "none"
