"""`holdfast directory`: find people by name, by number, or by the keys of a phone."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from appliance.cli.arguments import whole
from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import print_json, print_table
from appliance.errors import LocalError


def add_parser(subparsers: Any) -> None:
    """Add `directory` and its own commands."""
    family = new_parser(subparsers, "directory", "find people by name, number or keys")
    commands = family.add_subparsers(dest="directory_command", metavar="COMMAND", required=True)
    about = "find users, groups and contacts; exit status 1 if there are none"
    search = new_parser(commands, "search", about)
    search.add_argument("words", nargs="*", metavar="WORD", help="parts of a name, or a number")
    search.add_argument("--t9", metavar="DIGITS", help="keys on which the name is spelt, as in 262")
    search.add_argument("--limit", type=whole(1, 200), default=50, help="default: %(default)s")
    add_json_option(search)
    search.set_defaults(run=_search)


def _search(arguments: argparse.Namespace) -> int:
    words = " ".join(arguments.words)
    if bool(words) == (arguments.t9 is not None):
        raise LocalError("give words or a number to look for, or keys with --t9")
    asked = f"search={quote(words)}" if words else f"keys={quote(arguments.t9)}"
    door = Door(settings_of(arguments))
    found = door.get(f"directory?{asked}&limit={arguments.limit}")
    if arguments.json:
        print_json(found)
    elif found:
        print_table(("name", "extension", "numbers", "of", "kind"), [_row(one) for one in found])
    else:
        print("nobody")
    return OK if found else NO


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    numbers = [*entry.get("numbers", ()), *filter(None, map(entry.get, ("mobile", "home")))]
    of = [entry.get(name) for name in ("title", "department", "organisation")]
    return (
        entry["name"],
        entry.get("extension", ""),
        ", ".join(numbers),
        ", ".join(filter(None, of)),
        entry["kind"],
    )
