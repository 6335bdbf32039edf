"""`holdfast dial`: what dialled digits would do, rule by rule, without a call."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.cli.bundle import add_bundle_option, bundle_of
from appliance.cli.options import NO, OK, add_json_option, new_parser
from appliance.cli.output import clean, print_json
from appliance.dialling import dial
from appliance.premises import Premises


def add_parser(subparsers: Any) -> None:
    """Add `dial` and its own command."""
    family = new_parser(subparsers, "dial", "try what dialled digits would do")
    commands = family.add_subparsers(dest="dial_command", metavar="COMMAND", required=True)
    about = "print rule by rule what would happen; exit status 1 if the call is not made"
    tester = new_parser(commands, "test", about)
    tester.add_argument("extension", help="who dials")
    tester.add_argument("dialled", help="what is dialled, with every prefix")
    add_bundle_option(tester)
    add_json_option(tester)
    tester.set_defaults(run=_test)


def _test(arguments: argparse.Namespace) -> int:
    found = dial(Premises(bundle_of(arguments)), arguments.extension, arguments.dialled)
    if arguments.json:
        print_json(found._asdict())
    else:
        for line in found.lines:
            print(clean(line))
    return NO if found.refused else OK
