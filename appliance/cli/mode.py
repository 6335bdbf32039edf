"""`holdfast mode`: the mode, and how it came to be."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, coloured, moment, print_json, print_table
from appliance.cli.status import MODE_COLOURS

MODES = ("standby", "survivability", "recovering", "testing")


def add_parser(subparsers: Any) -> None:
    """Add `mode`."""
    parser = new_parser(subparsers, "mode", "show the mode and its history with reasons")
    parser.add_argument(
        "--is", dest="wanted", choices=MODES, help="print nothing; exit status 1 if it is another"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the mode, or compare it."""
    door = Door(settings_of(arguments))
    mode = door.get("mode")
    if arguments.wanted:
        return OK if mode["mode"] == arguments.wanted else NO
    history = door.get("mode/history")
    if arguments.json:
        print_json(mode | {"history": history})
        return OK
    name = mode["mode"]
    since = f" for {age(time.time() - mode['since'])}" if mode.get("since") else ""
    print(f"{coloured(name, MODE_COLOURS.get(name, 'yellow'))}{since}: {clean(mode['reason'])}")
    if history:
        rows = [(moment(row["at"]), row["before"], row["after"], row["reason"]) for row in history]
        print()
        print_table(("when", "from", "to", "why"), rows)
    return OK
