"""`holdfast mode`: the mode, and how it came to be."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, coloured, moment, print_json, print_table
from appliance.cli.status import MODE_COLOURS

SHOWN = 20
"""Findings that are printed; `--json` has all."""
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
    history, evidence = door.get("mode/history"), door.get("evidence")
    if arguments.json:
        print_json(mode | {"history": history, "evidence": evidence})
        return OK
    name = mode["mode"]
    since = f" for {age(time.time() - mode['since'])}" if mode.get("since") else ""
    print(f"{coloured(name, MODE_COLOURS.get(name, 'yellow'))}{since}: {clean(mode['reason'])}")
    if history:
        rows = [(moment(row["at"]), row["before"], row["after"], row["reason"]) for row in history]
        print()
        print_table(("when", "from", "to", "why"), rows)
    if evidence:
        print()
        print(coloured("what was found when zones failed", "bold"))
    for one in evidence[:SHOWN]:
        print(f"{moment(one['at'])}  {clean(one['verdict'])}")
        print(f"{'':27}{coloured(clean(one['advice']), 'dim')}")
    return OK
