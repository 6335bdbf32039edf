"""`holdfast audit`: who changed what, and who tried to get in."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from appliance.cli.arguments import whole
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `audit`."""
    parser = new_parser(subparsers, "audit", "show who changed what, the latest first")
    parser.add_argument("--limit", type=whole(1, 1000), default=50, help="default: %(default)s")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each entry."""
    entries = Door(settings_of(arguments)).get(f"audit?limit={arguments.limit}")
    if arguments.json:
        print_json(entries)
        return OK
    rows = [
        (
            moment(one["at"]),
            one["who"],
            one["origin"],
            one["action"],
            one["target"],
            _value(one["before"]),
            _value(one["after"]),
        )
        for one in entries
    ]
    print_table(("when", "who", "from", "what", "of", "before", "after"), rows)
    return OK


def _value(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
