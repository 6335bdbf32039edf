"""`holdfast forwarding`: whose calls go elsewhere, who said so, and back to the bundle."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from appliance.cli.arguments import identifier
from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, print_json, print_table
from appliance.web.words import ways


def add_parser(subparsers: Any) -> None:
    """Add `forwarding` and its own commands."""
    about = "show whose calls go elsewhere, and undo what was set on a phone"
    family = new_parser(subparsers, "forwarding", about)
    commands = family.add_subparsers(dest="forwarding_command", metavar="COMMAND", required=True)
    lister = new_parser(commands, "list", "list users whose calls do not just ring")
    lister.set_defaults(run=_list)
    about = "undo what a user has set by codes; exit status 1 if there was nothing"
    reset = new_parser(commands, "reset", about)
    reset.add_argument("extension", type=identifier, help="of the user")
    reset.set_defaults(run=_reset)
    for parser in (lister, reset):
        add_json_option(parser)


def _list(arguments: argparse.Namespace) -> int:
    rows = Door(settings_of(arguments)).get("forwardings")
    if arguments.json:
        print_json(rows)
        return OK
    print_table(
        ("extension", "name", "in force", "set on the phone"),
        [
            (row["extension"], row["name"], ways(row["in_force"]), ways(row["set_on_phone"]))
            for row in rows
        ],
    )
    return OK


def _reset(arguments: argparse.Namespace) -> int:
    place = quote(arguments.extension, safe="")
    row = Door(settings_of(arguments)).post(f"forwardings/{place}/reset")
    if arguments.json:
        print_json(row)
    elif row["changed"]:
        print(f"{clean(row['extension'])} follows the bundle again: {ways(row['in_force'])}")
    else:
        print(f"{clean(row['extension'])} has set nothing")
    return OK if row["changed"] else NO
