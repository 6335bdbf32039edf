"""`holdfast machine`: network, name and keys of the appliance itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from appliance.cli.options import NO, OK, new_parser
from appliance.cli.output import print_json
from appliance.console.machine import UNDO, Machine
from appliance.console.plan import read_plan
from appliance.errors import LocalError


def add_parser(subparsers: Any) -> None:
    """Add `machine` with its own commands."""
    parser = new_parser(subparsers, "machine", "set up the appliance's network")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    apply = commands.add_parser("apply", help="set up network, name and keys, as at each start")
    apply.add_argument("--reload", action="store_true", help="have networkd follow at once")
    apply.set_defaults(run=run_apply)
    show = commands.add_parser("show", help="print the network's plan as JSON")
    show.set_defaults(run=run_show)
    about = f"try a plan from a JSON file; it is taken back after {UNDO} s unless kept"
    change = commands.add_parser("try", help=about)
    change.add_argument("file", type=Path, metavar="FILE")
    change.set_defaults(run=run_try)
    keep = commands.add_parser("keep", help="keep a plan for good")
    keep.add_argument("file", type=Path, metavar="FILE")
    keep.set_defaults(run=run_keep)


def run_apply(arguments: argparse.Namespace) -> int:
    """Set everything up; what is wrong is said and costs nothing else."""
    machine = Machine()
    problems = machine.apply()
    for line in problems:
        print(line, file=sys.stderr)
    if arguments.reload:
        machine.reload()
    return NO if problems else OK


def run_show(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    print_json(msgspec.to_builtins(Machine().plan()))
    return OK


def run_try(arguments: argparse.Namespace) -> int:
    """Use a plan for a while."""
    Machine().try_plan(read_plan(_content(arguments.file)))
    print(f"in use; `holdfast machine keep {arguments.file}` within {UNDO} s keeps it")
    return OK


def run_keep(arguments: argparse.Namespace) -> int:
    """Keep a plan."""
    Machine().keep(read_plan(_content(arguments.file)))
    return OK


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
