"""`holdfast diagnose`: look at the way to the cloud, the machine and the network."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, coloured, print_json, print_table
from appliance.errors import Unavailable
from appliance.files import write_durably

LOOK_EVERY = 0.4
"""Seconds between two looks at how far the run is."""
LONGEST = 300.0
"""Seconds after which a run is given up; all checks together take less than 60."""
MARKS = {
    "ok": ("well", "green"),
    "warn": ("see to", "yellow"),
    "fail": ("wrong", "red"),
    "not_applicable": ("not needed", "dim"),
}


def add_parser(subparsers: Any) -> None:
    """Add `diagnose`."""
    parser = new_parser(subparsers, "diagnose", "check the way to the cloud, machine and network")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="which (default: all)")
    parser.add_argument("--list", action="store_true", help="list the checks and run none")
    parser.add_argument("--evidence", action="store_true", help="print what each verdict rests on")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the report there as well"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run checks and print each result as it comes; no when something is wrong."""
    door = Door(settings_of(arguments))
    if arguments.list:
        return _list(door, arguments.json)
    begun = door.tell("POST", "diagnostics", {"checks": arguments.checks})
    ended = _follow(door, begun["id"], arguments)
    if arguments.json:
        print_json(ended)
    if arguments.report is not None:
        write_durably(arguments.report, _written(ended).encode())
    return NO if any(one["verdict"] == "fail" for one in ended["results"]) else OK


def _list(door: Door, as_json: bool) -> int:
    checks = door.get("diagnostics")["checks"]
    if as_json:
        print_json(checks)
    else:
        print_table(("check", "what it looks at"), [(one["name"], one["about"]) for one in checks])
    return OK


def _follow(door: Door, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    shown: set[str] = set()
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        told: dict[str, Any] = door.get(f"diagnostics/{name}")
        for result in told["results"]:
            if result["check"] not in shown and not arguments.json:
                _print(result, arguments.evidence)
            shown.add(result["check"])
        if told["ended"] is not None:
            return told
        time.sleep(LOOK_EVERY)
    raise Unavailable(f"the checks were not done within {LONGEST:g} s")


def _print(result: dict[str, Any], evidence: bool) -> None:
    word, colour = MARKS[result["verdict"]]
    print(f"{coloured(f'{word:<10}', colour)}  {clean(result['title'])}: {clean(result['text'])}")
    if result["advice"]:
        print(f"{'':12}{coloured('→ ' + clean(result['advice']), 'bold')}")
    for line in result["evidence"] if evidence else ():
        print(f"{'':12}{coloured(clean(line), 'dim')}", flush=True)


def _written(ended: dict[str, Any]) -> str:
    lines = []
    for result in ended["results"]:
        lines.append(f"[{MARKS[result['verdict']][0]}] {result['title']}: {result['text']}")
        lines += [f"    -> {result['advice']}"] if result["advice"] else []
        lines += [f"    {line}" for line in result["evidence"]]
    return "\n".join(lines) + "\n"
