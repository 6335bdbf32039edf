"""`holdfast park`: calls that wait at an orbit, and back to who has parked them."""

from __future__ import annotations

import argparse
import time
from typing import Any
from urllib.parse import quote

from appliance.cli.arguments import identifier
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `park` and its own commands."""
    family = new_parser(subparsers, "park", "show parked calls, and give one back")
    commands = family.add_subparsers(dest="park_command", metavar="COMMAND", required=True)
    lister = new_parser(commands, "list", "list calls that wait at an orbit")
    lister.set_defaults(run=_list)
    giver = new_parser(commands, "return", "ring whoever has parked a call, now")
    giver.add_argument("orbit", type=identifier, help="where it is parked")
    giver.set_defaults(run=_return)
    for parser in (lister, giver):
        add_json_option(parser)


def _list(arguments: argparse.Namespace) -> int:
    calls = [call for call in Door(settings_of(arguments)).get("calls") if call["parked"]]
    if arguments.json:
        print_json(calls)
        return OK
    now = time.time()
    print_table(
        ("orbit", "from", "to", "up for", "id"),
        [
            (one["parked"], one["caller"], one["callee"], age(now - one["started"]), one["id"])
            for one in calls
        ],
    )
    return OK


def _return(arguments: argparse.Namespace) -> int:
    place = quote(arguments.orbit, safe="")
    told = Door(settings_of(arguments)).post(f"parked/{place}/return")
    if arguments.json:
        print_json(told)
    else:
        print(f"the call at {clean(told['orbit'])} rings who has parked it")
    return OK
