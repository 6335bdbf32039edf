"""`holdfast zones`: the cloud's zones as they answer."""

from __future__ import annotations

import argparse
import time
from statistics import fmean
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, milliseconds, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `zones`."""
    about = "show the cloud's zones with round-trip times; exit status 1 if none is up"
    parser = new_parser(subparsers, "zones", about)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each zone's state."""
    zones = Door(settings_of(arguments)).get("zones")
    if arguments.json:
        print_json(zones)
    else:
        headings = ("zone", "host", "transport", "state", "for", "last", "mean", "last failure")
        now = time.time()
        print_table(headings, [_row(zone, now) for zone in zones])
    return OK if any(zone["state"] == "up" for zone in zones) else NO


def _row(zone: dict[str, Any], now: float) -> tuple[Any, ...]:
    times = [sample["rtt"] for sample in zone.get("history", ()) if sample["rtt"] is not None]
    failure, since = zone.get("last_failure"), zone.get("since")
    return (
        zone["id"],
        zone["host"],
        zone.get("transport"),
        zone["state"],
        age(now - since) if since else "",
        milliseconds(zone.get("rtt")),
        milliseconds(fmean(times) if times else None),
        f"{failure['text']}, {age(now - failure['at'])} ago" if failure else "",
    )
