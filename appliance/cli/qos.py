"""`holdfast qos`: how packets are marked, and whether the table makes sense."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, coloured, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `qos`."""
    about = "show the DSCP marks in force; exit status 1 if a name and its number do not fit"
    parser = new_parser(subparsers, "qos", about)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the strategy, a row for each class, and what looks wrong."""
    shown = Door(settings_of(arguments)).get("qos")
    faults = _faults(shown)
    if arguments.json:
        print_json(shown | {"faults": faults})
        return NO if faults else OK
    version = shown["bundle"]
    source = f"of bundle version {version}" if version else "until there is a bundle"
    print(f"{coloured(clean(shown['strategy']), 'bold')} strategy, {source}")
    print()
    print_table(
        ("traffic", "name", "number", "used for", "changed"),
        [_row(one, shown["uses"]) for one in shown["classes"]],
    )
    for fault in faults:
        print(coloured(clean(fault), "yellow"))
    return NO if faults else OK


def _row(one: dict[str, Any], uses: dict[str, str]) -> tuple[Any, ...]:
    used = "; ".join(uses.get(purpose, purpose) for purpose in one["purposes"])
    return one["traffic"], one["name"], one["value"], used, "yes" if one["changed"] else ""


def _faults(shown: dict[str, Any]) -> list[str]:
    mismatches = [
        f"{one['traffic']}: {one['mismatch']}" for one in shown["classes"] if one["mismatch"]
    ]
    strange = [f"{name}: marks nothing; the strategy has no such row" for name in shown["strange"]]
    return mismatches + strange
