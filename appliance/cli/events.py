"""`holdfast events`: what changes, a line the moment it is seen."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from appliance.cli.arguments import whole
from appliance.cli.door import Door
from appliance.cli.options import OK, new_parser, settings_of
from appliance.cli.output import clean, moment


def add_parser(subparsers: Any) -> None:
    """Add `events`."""
    about = "follow what changes: mode, zones, phones, calls, issues; first as it is now"
    parser = new_parser(subparsers, "events", about)
    about = "end after so many lines (default: when interrupted)"
    parser.add_argument("--count", type=whole(1), metavar="N", help=about)
    parser.add_argument("--json", action="store_true", help="print each as a line of JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print events until interrupted."""
    for number, (name, data) in enumerate(Door(settings_of(arguments)).follow("events"), start=1):
        if arguments.json:
            line = f'{{"event": "{name}", "at": {time.time():.3f}, "data": {data}}}'
        else:
            line = f"{moment(time.time())}  {name:<8} {clean(data)}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if number == arguments.count:
            break
    return OK
