"""`holdfast calls ladder ID` and `pcap ID`: what was said in a call that is up or was of late."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.call.record import CALLER_LEG
from appliance.cli.arguments import LONGEST_ID
from appliance.cli.door import Door, Problem
from appliance.cli.ladder import Rung, drawn
from appliance.cli.options import NO, OK, settings_of
from appliance.cli.output import clean, moment, print_json
from appliance.errors import LocalError

MESSAGES = (["ladder"], ["pcap"])
"""Words before an ID that ask for messages."""
OURS = "Holdfast"


def run_messages(arguments: argparse.Namespace) -> int:
    """Draw the messages of a call, or write them to a file; no if none are remembered."""
    what, *names = arguments.words
    if len(names) != 1 or not 0 < len(names[0]) <= LONGEST_ID:
        raise LocalError(f"name one ID, e.g. `{what} 4f2c1a`")
    door, path = Door(settings_of(arguments)), f"calls/{quote(names[0], safe='')}"
    try:
        if what == "pcap":
            file = arguments.output or Path(f"holdfast-call-{_plain(names[0])}.pcapng")
            size = door.save(f"{path}/pcap", None, file, "GET")
            if arguments.json:
                print_json({"file": str(file), "octets": size})
            else:
                print(f"{file}: {size} octets")
            return OK
        told = door.get(f"{path}/messages")
    except Problem as problem:
        if problem.status != 404:
            raise
        print(clean(problem))
        return NO
    if arguments.json:
        print_json(told)
    else:
        print("\n".join(messages_drawn(told)))
    return OK


def messages_drawn(told: Mapping[str, Any]) -> list[str]:
    """Return the lines of a call's SIP ladder."""
    said = told["messages"]
    if not said:
        return ["nothing was said yet"]
    first = next(name for one in said for name in (one["source"], one["to"]) if name != OURS)
    rungs = [_rung(one, first) for one in said]
    head = [f"{moment(said[0]['at'])}, then seconds since:", *drawn(rungs, first)]
    missing = told["left_out"]
    return [*head, f"{missing} messages in the middle are not remembered"] if missing else head


def _rung(said: Mapping[str, Any], first: str) -> Rung:
    names = {OURS: "", first: CALLER_LEG}
    source, to = (names.get(said[end], said[end]) for end in ("source", "to"))
    return Rung(said["after"], source, (to,) if to else (), said["summary"])


def _plain(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum() or letter in "-_")[:64]
