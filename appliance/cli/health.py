"""`holdfast health`: what is not as it should be, each thing with its cure, and the box itself."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, coloured, print_json
from appliance.web.words import size

COLOURS = {"alarm": "red", "warning": "yellow", "info": "dim"}


def add_parser(subparsers: Any) -> None:
    """Add `health`."""
    about = "show what is wrong and its cure, and the box; exit status 1 if there is an alarm"
    parser = new_parser(subparsers, "health", about)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the issues, the worst first, then the box."""
    door = Door(settings_of(arguments))
    issues, machine = door.get("issues"), door.get("machine")
    if arguments.json:
        print_json({"issues": issues, "machine": machine})
    else:
        for issue in issues:
            _print_issue(issue)
        if not issues:
            print(coloured("all is well", "green"))
        print()
        for name, text in _box(machine):
            print(f"{name:<13}{clean(text)}")
    return NO if any(issue["severity"] == "alarm" for issue in issues) else OK


def _print_issue(issue: dict[str, Any]) -> None:
    severity = issue["severity"]
    print(f"{coloured(f'{severity:<8}', COLOURS[severity])} {clean(issue['title'])}")
    for text in (issue["detail"], issue["cure"]):
        if text:
            print(f"         {clean(text)}")


def _box(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "machine", f"{machine['host']}, Holdfast {machine['version']}"
    yield "disk", f"{size(machine['disk_free'])} of {size(machine['disk_size'])} free"
    yield "memory", f"{size(machine['memory_available'])} of {size(machine['memory_size'])} free"
    yield "load", f"{machine['load']:.2f} on {machine['processors']} processors"
    kept = {True: "kept right", False: "kept right by nothing", None: "not known"}
    yield "clock", kept[machine["clock_synchronised"]]
    for one in machine["certificates"]:
        ends = one["ends"]
        last = f"lasts for {age(ends - time.time())}" if ends else one["failure"]
        yield "certificate", f"for {one['use']}, {last}, {one['file']}"
