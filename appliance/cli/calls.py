"""`holdfast calls`: calls that are up now."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `calls`."""
    parser = new_parser(subparsers, "calls", "list the calls that are up now")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each call."""
    calls = Door(settings_of(arguments)).get("calls")
    if arguments.json:
        print_json(calls)
        return OK
    now = time.time()
    print_table(
        ("from", "to", "answered by", "state", "for", "id"),
        [
            (
                call["caller"],
                call["callee"],
                call.get("answered_by"),
                call["state"],
                age(now - (call.get("answered") or call["started"])),
                call["id"],
            )
            for call in calls
        ],
    )
    return OK
