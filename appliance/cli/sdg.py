"""`holdfast sdg`: list, check and try distribution groups; no call is made and no phone rings."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from appliance.bundle import Bundle, Group, User
from appliance.bundle.rules.ways import dead_ends
from appliance.cli.bundle import add_bundle_option, bundle_of, check_file, print_problems
from appliance.cli.options import NO, OK, add_json_option, new_parser
from appliance.cli.output import clean, coloured, print_json, print_table
from appliance.premises import Premises
from appliance.rehearsal import Rehearsal, group_rows, moment_at, rehearse, words
from sdg.walk import Walked


def add_parser(subparsers: Any) -> None:
    """Add `sdg` and its own commands."""
    family = new_parser(subparsers, "sdg", "list, check and try distribution groups")
    commands = family.add_subparsers(dest="sdg_command", metavar="COMMAND", required=True)
    lister = new_parser(commands, "list", "list the groups and whether they are open now")
    lister.set_defaults(run=_list)
    about = "find circles and dead ends in a bundle's groups; exit status 1 if it is refused"
    check = new_parser(commands, "check", about)
    check.add_argument("file", type=Path, help="bundle, JSON; - for standard input")
    check.set_defaults(run=_check)
    tester = new_parser(commands, "test", "walk through a group, without a call, step by step")
    _add_test_options(tester)
    tester.set_defaults(run=_test)
    for parser in (lister, tester):
        add_bundle_option(parser)
        about = "such a time at the site, like '2026-12-25 09:00' (default: now)"
        parser.add_argument("--at", metavar="TIME", help=about)
    for parser in (lister, check, tester):
        add_json_option(parser)


def _add_test_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("group", help="extension or number of the group")
    parser.add_argument("--from", dest="caller", metavar="EXT", help="who calls (default: outside)")
    about = "keys for each time they are asked for, like 2,1 or 1,1001 (default: none)"
    parser.add_argument("--keys", default="", metavar="KEYS", help=about)
    for name, about in (
        ("busy", "extensions that are on another call"),
        ("unregistered", "extensions that have no phone here now"),
        ("answers", "extensions that answer when they ring (default: nobody)"),
    ):
        parser.add_argument(f"--{name}", default="", metavar="EXT,...", help=about)


def _list(arguments: argparse.Namespace) -> int:
    bundle = bundle_of(arguments)
    at = time.time() if arguments.at is None else moment_at(arguments.at, bundle)
    rows = group_rows(bundle, at)
    if arguments.json:
        print_json(rows)
        return OK
    print_table(
        ("extension", "name", "kind", "leads to", "open", "stands in for"),
        [
            (r["extension"], r["name"], r["kind"], r["leads_to"], r["open"], r["stands_in_for"])
            for r in rows
        ],
    )
    return OK


def _check(arguments: argparse.Namespace) -> int:
    bundle, problems = check_file(arguments.file)
    ours = [problem for problem in problems if problem.path.startswith(("groups", "hours"))]
    doubts = list(dead_ends(bundle)) if bundle is not None else []
    if arguments.json:
        print_json({"valid": not problems, "problems": ours, "dead_ends": doubts})
        return NO if problems else OK
    print_problems(ours, "red")
    print_problems(doubts, "yellow")
    if len(problems) > len(ours):
        others = len(problems) - len(ours)
        print(f"{others} problems besides groups and hours; see `holdfast bundle validate`")
    if bundle is None:
        print(f"{arguments.file} is refused")
        return NO
    text = f"{len(bundle.groups)} groups, no circle, {len(doubts)} dead ends"
    print(f"{coloured('valid', 'green')}: {text}")
    return OK


def _test(arguments: argparse.Namespace) -> int:
    bundle = bundle_of(arguments)
    asked = Rehearsal(
        arguments.group,
        arguments.caller or "",
        words(arguments.keys),
        words(arguments.busy),
        words(arguments.unregistered),
        words(arguments.answers),
    )
    at = time.time() if arguments.at is None else moment_at(arguments.at, bundle)
    group, caller, steps = rehearse(Premises(bundle), asked, at)
    if arguments.json:
        told = [step._asdict() for step in steps]
        print_json({"group": group.extension, "from": caller.extension, "at": at, "steps": told})
    else:
        _print_walk(group, caller, at, bundle, steps)
    return OK


def _print_walk(group: Group, caller: User, at: float, bundle: Bundle, steps: list[Walked]) -> None:
    when = datetime.fromtimestamp(at, ZoneInfo(bundle.site.time_zone))
    head = f"{caller.extension} calls {group.extension} ({group.name}) at {when:%Y-%m-%d %H:%M %Z}"
    print(coloured(clean(head), "bold"))
    for step in steps:
        outcome = f" → {step.outcome}" if step.outcome else ""
        print(f"{step.after:6.0f} s  {clean(step.step)}{clean(outcome)}")
