"""`holdfast capture`: packets of signalling, and heads of audio, on a network card."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.captured import LARGEST, LONGEST
from appliance.cli.arguments import SHOWN, identifier, new_file, whole
from appliance.cli.door import Door, Problem
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, moment, print_json, print_table
from appliance.errors import LocalError, Unavailable
from appliance.web.words import size

LOOK_EVERY = 0.4
"""Seconds between two looks at how far the capture is."""
LATE = 60.0
"""Seconds after its time at which it is given up."""
ENDINGS = {"time": "complete", "size": "full", "stopped": "stopped", "": "running"}


def add_parser(subparsers: Any) -> None:
    """Add `capture` and its own commands."""
    about = "capture packets of signalling, without keys; heads of audio packets if asked for"
    family = new_parser(subparsers, "capture", about)
    commands = family.add_subparsers(dest="capture_command", metavar="COMMAND", required=True)
    _add_begin(commands)
    listed = new_parser(commands, "list", "list captures, the latest first")
    listed.set_defaults(run=_list)
    about = "write a capture to a new file"
    save = new_parser(commands, "save", about)
    _add_output(save, "default: holdfast-capture-ID.pcapng")
    save.set_defaults(run=_save)
    stop = new_parser(commands, "stop", "end a capture before its time")
    stop.set_defaults(run=_stop)
    delete = new_parser(commands, "delete", "remove a capture")
    delete.set_defaults(run=_delete)
    for parser in (save, stop, delete):
        parser.add_argument("id", type=identifier, metavar="ID", help="as `list` tells it")
    for parser in commands.choices.values():
        add_json_option(parser)


def _add_begin(commands: Any) -> None:
    begin = new_parser(commands, "begin", "begin a capture, and follow it until it has ended")
    begin.add_argument("--card", default="", help="default: the one that leads out of the site")
    about = f"how long, up to {LONGEST} (default: %(default)s)"
    begin.add_argument("--seconds", type=whole(1, LONGEST), default=60, help=about)
    about = f"size of the file at which it ends, up to {LARGEST} (default: %(default)s)"
    begin.add_argument("--megabytes", type=whole(1, LARGEST), default=10, help=about)
    about = "only packets from and to this address; may be given up to eight times"
    begin.add_argument("--host", action="append", default=[], metavar="ADDRESS", help=about)
    begin.add_argument("--call", default="", metavar="ID", help="only the phones of this call")
    about = "heads of audio packets and RTCP too; never what is said"
    begin.add_argument("--audio", action="store_true", help=about)
    about = "with --audio: only these UDP ports (default: all, or those of the call)"
    begin.add_argument("--ports", type=_ports, metavar="FIRST-LAST", help=about)
    about = "return at once; `list` tells how it goes on"
    begin.add_argument("--no-wait", action="store_true", help=about)
    _add_output(begin, "write it there once it has ended")
    begin.set_defaults(run=_begin)


def _add_output(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("-o", "--output", type=new_file, metavar="FILE", help=about)


def _begin(arguments: argparse.Namespace) -> int:
    if arguments.no_wait and arguments.output is not None:
        raise LocalError("--no-wait: there is nothing to write yet; use `capture save` later")
    if arguments.ports is not None and not arguments.audio:
        raise LocalError("--ports: they are those of audio; give --audio too")
    door = Door(settings_of(arguments))
    order = {
        "card": arguments.card,
        "seconds": arguments.seconds,
        "megabytes": arguments.megabytes,
        "hosts": arguments.host,
        "call": arguments.call,
        "audio": arguments.audio,
        "ports": arguments.ports,
    }
    capture = door.tell("POST", "captures", order)
    if not arguments.no_wait:
        capture = _follow(door, capture, arguments)
    if arguments.json:
        print_json(capture)
    else:
        _print(capture)
    if arguments.output is not None and capture["octets"]:
        _write(door, capture["id"], arguments.output, arguments.json)
    return OK if capture["ending"] in ENDINGS else NO


def _ports(text: str) -> list[int]:
    first, _, last = text.partition("-")
    port = whole(1, 65535)
    try:
        return [port(first), port(last or first)]
    except argparse.ArgumentTypeError:
        about = f"write them like 20000-20100, within 1 to 65535, not {text[:SHOWN]!r}"
        raise argparse.ArgumentTypeError(about) from None


def _follow(door: Door, capture: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Look at a capture until it has ended; an interrupt ends it."""
    deadline = time.monotonic() + capture["seconds"] + LATE
    path = f"captures/{capture['id']}"
    try:
        while time.monotonic() < deadline:
            told: dict[str, Any] = door.get(path)
            if told["ended"] is not None:
                return told
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        stopped: dict[str, Any] = door.tell("POST", f"{path}/stop")
        return stopped
    raise Unavailable(f"the capture was not done within {capture['seconds'] + LATE:g} s")


def _list(arguments: argparse.Namespace) -> int:
    rows = Door(settings_of(arguments)).get("captures")["captures"]
    if arguments.json:
        print_json(rows)
        return OK
    print_table(
        ("begun", "by", "on", "of", "packets", "size", "dropped", "state", "id"),
        [
            (
                moment(row["begun"]),
                row["by"],
                row["card"],
                _of(row),
                row["packets"],
                size(row["octets"]),
                row["dropped"],
                ENDINGS.get(row["ending"], row["ending"]),
                row["id"],
            )
            for row in rows
        ],
    )
    return OK


def _of(row: dict[str, Any]) -> str:
    whose = f"call {row['call']}" if row["call"] else ", ".join(row["hosts"]) or "everybody"
    return f"{whose}, audio" if row["audio"] else whose


def _save(arguments: argparse.Namespace) -> int:
    file = arguments.output or Path(f"holdfast-capture-{arguments.id}.pcapng")
    try:
        _write(Door(settings_of(arguments)), arguments.id, file, arguments.json)
    except Problem as problem:
        return _missing(problem)
    return OK


def _stop(arguments: argparse.Namespace) -> int:
    door = Door(settings_of(arguments))
    try:
        capture = door.tell("POST", f"captures/{quote(arguments.id, safe='')}/stop")
    except Problem as problem:
        return _missing(problem)
    if arguments.json:
        print_json(capture)
    else:
        _print(capture)
    return OK


def _delete(arguments: argparse.Namespace) -> int:
    door = Door(settings_of(arguments))
    try:
        door.tell("DELETE", f"captures/{quote(arguments.id, safe='')}")
    except Problem as problem:
        return _missing(problem)
    if arguments.json:
        print_json({"deleted": arguments.id})
    return OK


def _missing(problem: Problem) -> int:
    if problem.status != 404:
        raise problem
    print(clean(problem))
    return NO


def _write(door: Door, name: str, file: Path, as_json: bool) -> None:
    octets = door.save(f"captures/{quote(name, safe='')}/pcap", None, file, "GET")
    if not as_json:
        print(f"{file}: {octets} octets")


def _print(capture: dict[str, Any]) -> None:
    state = ENDINGS.get(capture["ending"], capture["ending"])
    print(
        f"capture {clean(capture['id'])} on {clean(capture['card'])}: {clean(state)}, "
        f"{capture['packets']} packets, {size(capture['octets'])}, {capture['dropped']} dropped"
    )
