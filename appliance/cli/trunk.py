"""`holdfast trunk`: the SBCs as they are, taking one out for maintenance, and who is stopped."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, milliseconds, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `trunk` and its own commands."""
    about = "show every SBC with state and calls; exit status 1 if none can take a call"
    family = new_parser(subparsers, "trunk", about)
    add_json_option(family)
    family.set_defaults(run=_show)
    commands = family.add_subparsers(dest="trunk_command", metavar="COMMAND")
    for name, about, argument in (
        ("drain", "give an SBC no new calls; those that are up go on", "sbc"),
        ("resume", "give a drained SBC calls again", "sbc"),
        ("release", "let a user call outside again who was stopped", "extension"),
    ):
        parser = new_parser(commands, name, about)
        parser.add_argument(argument, help="as `holdfast trunk` names it")
        add_json_option(parser)
        parser.set_defaults(run=_change)


def _show(arguments: argparse.Namespace) -> int:
    trunk = Door(settings_of(arguments)).get("trunk")
    return _print(trunk, arguments)


def _change(arguments: argparse.Namespace) -> int:
    name = "extension" if arguments.trunk_command == "release" else "sbc"
    content = {name: getattr(arguments, name)}
    door = Door(settings_of(arguments))
    return _print(door.tell("POST", f"trunk/{arguments.trunk_command}", content), arguments)


def _print(trunk: dict[str, Any], arguments: argparse.Namespace) -> int:
    able = any(sbc["state"] in ("up", "unknown", "failing") for sbc in trunk["sbcs"])
    if arguments.json:
        print_json(trunk)
        return OK if able else NO
    now = time.time()
    headings = ("sbc", "address", "transport", "state", "for", "calls", "last", "reason")
    print_table(headings, [_row(sbc, now) for sbc in trunk["sbcs"]])
    if trunk["stopped"]:
        print()
        rows = [(row["user"], age(row["until"] - now), row["reason"]) for row in trunk["stopped"]]
        print_table(("stopped user", "ends in", "reason"), rows)
    return OK if able else NO


def _row(sbc: dict[str, Any], now: float) -> tuple[Any, ...]:
    most = sbc.get("max_calls")
    return (
        sbc["sbc"],
        sbc["address"],
        sbc["transport"],
        "drained" if sbc["drained"] else sbc["state"],
        age(now - sbc["since"]) if sbc["since"] else "",
        f"{sbc['calls']}/{most}" if most else sbc["calls"],
        milliseconds(sbc["rtt"]),
        "" if sbc["state"] == "up" and sbc["reason"] == "answers" else sbc["reason"],
    )
