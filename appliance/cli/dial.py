"""`holdfast dial`: what dialled digits would do, rule by rule, without a call."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from appliance.bundle import Bundle, decode
from appliance.cli.bundle import check_file
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, print_json
from appliance.dialling import dial
from appliance.errors import LocalError
from appliance.premises import Premises


def add_parser(subparsers: Any) -> None:
    """Add `dial` and its own command."""
    family = new_parser(subparsers, "dial", "try what dialled digits would do")
    commands = family.add_subparsers(dest="dial_command", metavar="COMMAND", required=True)
    about = "print rule by rule what would happen; exit status 1 if the call is not made"
    tester = new_parser(commands, "test", about)
    tester.add_argument("extension", help="who dials")
    tester.add_argument("dialled", help="what is dialled, with every prefix")
    about = "bundle, JSON (default: the one that is stored here)"
    tester.add_argument("--bundle", type=Path, metavar="FILE", help=about)
    add_json_option(tester)
    tester.set_defaults(run=_test)


def _test(arguments: argparse.Namespace) -> int:
    found = dial(Premises(_bundle(arguments)), arguments.extension, arguments.dialled)
    if arguments.json:
        print_json(found._asdict())
    else:
        for line in found.lines:
            print(clean(line))
    return NO if found.refused else OK


def _bundle(arguments: argparse.Namespace) -> Bundle:
    if arguments.bundle is not None:
        bundle, problems = check_file(arguments.bundle)
        if bundle is None:
            raise LocalError(f"{arguments.bundle}: {problems[0]}")
        return bundle
    file = settings_of(arguments).bundle_file
    try:
        return decode(file.read_bytes())
    except OSError as error:
        text = f"{file}: {error.strerror}; name a bundle with --bundle"
        raise LocalError(text) from error
