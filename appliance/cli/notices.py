"""`holdfast notices`: what the signalling process has told its admins."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.cli.arguments import whole
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `notices`."""
    about = "show the latest notices of the signalling process; the journal has all of them"
    parser = new_parser(subparsers, "notices", about)
    parser.add_argument("--limit", type=whole(1), default=50, help="default: %(default)s")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each, the latest last."""
    notices = Door(settings_of(arguments)).get("notices")[-arguments.limit :]
    if arguments.json:
        print_json(notices)
        return OK
    rows = [(moment(one["at"]), one["severity"], one["topic"], one["text"]) for one in notices]
    print_table(("when", "severity", "topic", "text"), rows)
    return OK
