"""`holdfast token`: API tokens for scripts and monitoring."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.accounts import LONGEST_TOKEN, SCOPES
from appliance.cli.arguments import amount, identifier
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `token` and its own commands."""
    family = new_parser(subparsers, "token", "list, make or remove API tokens")
    commands = family.add_subparsers(dest="token_command", metavar="COMMAND", required=True)
    new_parser(commands, "list", "list tokens").set_defaults(run=_list)
    add = new_parser(commands, "add", "make a token and print it, for the only time")
    add.add_argument("name", help="what it is for")
    about = f"what it may do, commas between: {', '.join(SCOPES)} (default: %(default)s)"
    add.add_argument("--scopes", default="read", metavar="SCOPE,...", help=about)
    about = f"how long, up to {LONGEST_TOKEN} (default: %(default)s)"
    add.add_argument("--days", type=amount(LONGEST_TOKEN), default=90, help=about)
    add.set_defaults(run=_add)
    remove = new_parser(commands, "remove", "remove a token: it opens nothing any more")
    remove.add_argument("id", type=identifier, metavar="ID")
    remove.set_defaults(run=_remove)
    for parser in commands.choices.values():
        add_json_option(parser)


def _list(arguments: argparse.Namespace) -> int:
    tokens = Door(settings_of(arguments)).get("tokens")
    if arguments.json:
        print_json(tokens)
        return OK
    rows = [
        (one["id"], one["name"], ", ".join(one["scopes"]), moment(one["expires"]), one["by"])
        for one in tokens
    ]
    print_table(("id", "name", "scopes", "expires", "made by"), rows)
    return OK


def _add(arguments: argparse.Namespace) -> int:
    scopes = [word.strip() for word in arguments.scopes.split(",") if word.strip()]
    asked = {"name": arguments.name, "scopes": scopes, "days": arguments.days}
    made = Door(settings_of(arguments)).tell("POST", "tokens", asked)
    if arguments.json:
        print_json(made)
    else:
        print(made["token"])
    return OK


def _remove(arguments: argparse.Namespace) -> int:
    Door(settings_of(arguments)).tell("DELETE", f"tokens/{arguments.id}")
    if arguments.json:
        print_json({"done": True})
    else:
        print("done")
    return OK
