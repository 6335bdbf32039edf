"""`holdfast calls`: calls that are up now, and how they are heard."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
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
from appliance.cli.quality import mos_of, print_quality
from appliance.cli.records import show_record


def add_parser(subparsers: Any) -> None:
    """Add `calls`."""
    parser = new_parser(subparsers, "calls", "list the calls that are up now, or show one")
    about = "show this one, up or over; exit status 1 if it is not up; "
    about_messages = "`ladder ID`: draw its SIP messages; `pcap ID`: write them to a file"
    add_id_option(parser, about + about_messages)
    add_output_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each call, or everything about one."""
    check_output(arguments)
    if arguments.words[:1] in MESSAGES:
        return run_messages(arguments)
    chosen = id_of(arguments)
    door = Door(settings_of(arguments))
    calls = door.get("calls")
    if chosen is not None:
        found = [call for call in calls if call["id"] == chosen]
        return _show(found[0], arguments.json) if found else _over(door, chosen, arguments.json)
    if arguments.json:
        print_json(calls)
        return OK
    now = time.time()
    print_table(
        ("from", "to", "answered by", "state", "for", "MOS", "id"),
        [
            (
                call["caller"],
                call["callee"],
                call.get("answered_by"),
                _state(call),
                age(now - (call.get("answered") or call["started"])),
                mos_of(call),
                call["id"],
            )
            for call in calls
        ],
    )
    return OK


def _over(door: Door, chosen: str, as_json: bool) -> int:
    """Print the record of a call that is not up; the answer to whether it is stays no."""
    if not as_json:
        print(f"no call {clean(chosen)} is up; `holdfast records` lists those that were")
    show_record(door, chosen, as_json)
    return NO


def _show(call: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(call)
        return OK
    for name in ("id", "caller", "callee", "answered_by", "state"):
        print(f"{name:<12} {clean(call.get(name))}")
    for name in ("started", "answered"):
        print(f"{name:<12} {moment(call.get(name))}")
    print_ladder(call)
    print_quality(call)
    return OK


def _state(call: dict[str, Any]) -> str:
    return f"parked at {call['parked']}" if call.get("parked") else str(call["state"])
