"""`holdfast records`: calls that were, and whether the cloud knows of them."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from appliance.cli.arguments import unix_time, whole
from appliance.cli.door import Door, Problem
from appliance.cli.ladder import print_ladder
from appliance.cli.messages import MESSAGES, run_messages
from appliance.cli.options import (
    NO,
    OK,
    add_id_option,
    add_json_option,
    add_output_option,
    check_output,
    id_of,
    new_parser,
    settings_of,
)
from appliance.cli.output import age, clean, moment, print_json, print_table
from appliance.cli.quality import LEGS, mos_of, print_quality
from appliance.errors import LocalError
from appliance.web.record_csv import as_csv

AS_MANY = 50
"""Records of a list, unless one asks for more or fewer."""


def add_parser(subparsers: Any) -> None:
    """Add `records`."""
    parser = new_parser(subparsers, "records", "list call records, the latest first, or show one")
    about = "show this one and how it was heard; exit status 1 if there is none; "
    about_messages = "`ladder ID`: draw its SIP messages; `pcap ID`: write them to a file"
    add_id_option(parser, about + about_messages)
    about = f"at most so many (default: {AS_MANY})"
    parser.add_argument("--limit", type=whole(1, 1000), help=about)
    parser.add_argument("--since", type=unix_time, metavar="TIME", help="begun since, Unix seconds")
    parser.add_argument("--csv", action="store_true", help="print a table for spreadsheets")
    add_output_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print records."""
    _check(arguments)
    if arguments.words[:1] in MESSAGES:
        return run_messages(arguments)
    door = Door(settings_of(arguments))
    chosen = id_of(arguments)
    if chosen is not None:
        return show_record(door, chosen, arguments.json)
    since = f"&since={arguments.since!r}" if arguments.since is not None else ""
    records = door.get(f"records?limit={arguments.limit or AS_MANY}{since}")
    if arguments.json:
        print_json(records)
    elif arguments.csv:
        print(as_csv(records), end="")
    else:
        headings = ("begun", "from", "to", "outcome", "talked", "MOS", "mode", "cloud", "id")
        print_table(headings, [_row(record) for record in records])
    return OK


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that would do nothing."""
    check_output(arguments)
    if arguments.csv and arguments.json:
        raise LocalError("--csv and --json: give one of them")
    named = {"--csv": arguments.csv, "--limit": arguments.limit, "--since": arguments.since}
    for option, value in named.items():
        if arguments.words and value not in (None, False):
            raise LocalError(f"{option}: it is for the list; leave it out, or name no ID")


def show_record(door: Door, chosen: str, as_json: bool) -> int:
    """Print one record with its path; return NO if there is none."""
    try:
        record = door.get(f"records/{quote(chosen, safe='')}")
    except Problem as problem:
        if problem.status != 404:
            raise
        print(clean(problem))
        return NO
    if as_json:
        print_json(record)
        return OK
    for name, value in record.items():
        if name in ("started", "answered", "ended", "uploaded"):
            print(f"{name:<12} {moment(value)}")
        elif name not in ("steps", "stamps", *LEGS):
            print(f"{name:<12} {clean(value)}")
    print_ladder(record)
    print_quality(record)
    return OK


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    answered, ended = record.get("answered"), record.get("ended")
    return (
        moment(record["started"]),
        record["caller"],
        record["callee"],
        record["outcome"],
        age(ended - answered) if answered and ended else "",
        mos_of(record) if answered else "",
        record["mode"],
        "has it" if record.get("uploaded") else "waits",
        record["id"],
    )
