"""`holdfast peers`: the other sites as they are from here, and taking one out for maintenance."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, coloured, milliseconds, print_json, print_table

HEADINGS = ("site", "code", "state", "for", "mode", "calls go", "up", "last", "certificate")
WAYS = {"direct": "directly", "trunk": "over the trunk", "none": "nowhere"}


def add_parser(subparsers: Any) -> None:
    """Add `peers` and its own commands."""
    about = "show every other site; exit status 1 if calls to one of them go nowhere"
    family = new_parser(subparsers, "peers", about)
    add_json_option(family)
    family.set_defaults(run=_show)
    commands = family.add_subparsers(dest="peers_command", metavar="COMMAND")
    for name, about in (
        ("drain", "give a site no new calls; those that are up go on"),
        ("resume", "give a drained site calls again"),
    ):
        parser = new_parser(commands, name, about)
        parser.add_argument("site", help="as `holdfast peers` names it")
        add_json_option(parser)
        parser.set_defaults(run=_change)


def _show(arguments: argparse.Namespace) -> int:
    return _print(Door(settings_of(arguments)).get("peers"), arguments)


def _change(arguments: argparse.Namespace) -> int:
    door = Door(settings_of(arguments))
    path = f"peers/{arguments.peers_command}"
    return _print(door.tell("POST", path, {"site": arguments.site}), arguments)


def _print(sites: list[dict[str, Any]], arguments: argparse.Namespace) -> int:
    status = NO if any(site["way"] == "none" for site in sites) else OK
    if arguments.json:
        print_json(sites)
        return status
    if not sites:
        print("the bundle names no other sites")
        return status
    now = time.time()
    print_table(HEADINGS, [_row(site, now) for site in sites])
    for site in sites:
        for line in _troubles(site, now):
            print(coloured(f"{site['site']}: {line}", "red" if site["state"] == "down" else "dim"))
    return status


def _row(site: dict[str, Any], now: float) -> tuple[Any, ...]:
    certificate = site["certificate"]
    return (
        site["site"],
        site["code"],
        "drained" if site["drained"] else site["state"],
        age(now - site["since"]) if site["since"] else "",
        site["mode"] or "not known",
        WAYS[site["way"]],
        site["calls"],
        milliseconds(site["rtt"]),
        f"ends in {age(certificate['expires'] - now)}" if certificate else "none shown yet",
    )


def _troubles(site: dict[str, Any], now: float) -> list[str]:
    """Say why a site is not well, and what was wrong last."""
    error, lines = site["last_error"], []
    if site["state"] != "up":
        lines.append(site["reason"])
    if error is not None and error["text"] not in lines:
        lines.append(f"{age(now - error['at'])} ago: {error['text']}")
    return lines
