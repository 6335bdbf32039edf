"""`holdfast zones`: the cloud's zones as they answer."""

from __future__ import annotations

import argparse
import time
from statistics import fmean
from typing import Any
from urllib.parse import quote

from appliance.cli.arguments import identifier
from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, milliseconds, moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `zones`."""
    about = "show the cloud's zones with round-trip times; exit status 1 if none is up"
    parser = new_parser(subparsers, "zones", about)
    parser.add_argument(
        "--day", type=identifier, metavar="ZONE", help="how this zone answered in the last 24 hours"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each zone's state."""
    if arguments.day is not None:
        return _show_day(arguments)
    zones = Door(settings_of(arguments)).get("zones")
    if arguments.json:
        print_json(zones)
    else:
        headings = ("zone", "host", "transport", "state", "for", "last", "mean", "last failure")
        now = time.time()
        print_table(headings, [_row(zone, now) for zone in zones])
    return OK if any(zone["state"] == "up" for zone in zones) else NO


def _show_day(arguments: argparse.Namespace) -> int:
    """Print the slots of five minutes in which the zone was asked; 1 when there is none."""
    name = quote(arguments.day, safe="")
    day = Door(settings_of(arguments)).get(f"zones/{name}/day")
    asked = [slot for slot in day if slot["share"] is not None]
    if arguments.json:
        print_json(day)
    elif not asked:
        print(f"zone {clean(arguments.day)} was not asked in the last 24 hours; is that its id?")
    else:
        rows = [
            (
                moment(slot["at"]),
                f"{slot['share']:.0%}",
                milliseconds(slot["rtt"]),
                milliseconds(slot["longest"]),
            )
            for slot in asked
        ]
        print_table(("from", "answered", "mean", "longest"), rows)
    return OK if asked else NO


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
