"""`holdfast account`: who may log in to the web pages, and as what."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.accounts import ROLES
from appliance.cli.arguments import identifier
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `account` and its own commands."""
    family = new_parser(subparsers, "account", "list, add, change or remove who may log in")
    commands = family.add_subparsers(dest="account_command", metavar="COMMAND", required=True)
    new_parser(commands, "list", "list accounts").set_defaults(run=_list)
    add = new_parser(commands, "add", "make an account; prints its one-time password")
    role = new_parser(commands, "role", "change what somebody may do")
    for name, about, act in (
        ("reset", "give an account a new one-time password, and print it", _reset),
        ("remove", "remove an account; its sessions end", _remove),
    ):
        parser = new_parser(commands, name, about)
        parser.add_argument("name", type=identifier)
        parser.set_defaults(run=act)
    for parser, act in ((add, _add), (role, _role)):
        parser.add_argument("name", type=identifier)
        parser.add_argument("role", choices=ROLES)
        parser.set_defaults(run=act)
    for parser in commands.choices.values():
        add_json_option(parser)


def _list(arguments: argparse.Namespace) -> int:
    accounts = Door(settings_of(arguments)).get("accounts")
    if arguments.json:
        print_json(accounts)
        return OK
    rows = [
        (
            one["name"],
            one["role"],
            "one-time, not used yet" if one["must_change"] else "own",
            moment(one["changed"]),
        )
        for one in accounts
    ]
    print_table(("name", "role", "password", "since"), rows)
    return OK


def _add(arguments: argparse.Namespace) -> int:
    asked = {"name": arguments.name, "role": arguments.role}
    return _give(arguments, Door(settings_of(arguments)).tell("POST", "accounts", asked))


def _reset(arguments: argparse.Namespace) -> int:
    path = f"accounts/{arguments.name}/password"
    return _give(arguments, Door(settings_of(arguments)).tell("POST", path))


def _give(arguments: argparse.Namespace, given: dict[str, Any]) -> int:
    if arguments.json:
        print_json(given)
        return OK
    print(f"{clean(given['name'])} logs in once with the password {given['password']}")
    print("and chooses an own one then; it is not shown again")
    return OK


def _role(arguments: argparse.Namespace) -> int:
    door = Door(settings_of(arguments))
    door.tell("PATCH", f"accounts/{arguments.name}", {"role": arguments.role})
    return _done(arguments)


def _remove(arguments: argparse.Namespace) -> int:
    Door(settings_of(arguments)).tell("DELETE", f"accounts/{arguments.name}")
    return _done(arguments)


def _done(arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json({"done": True})
    else:
        print("done")
    return OK
