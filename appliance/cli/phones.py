"""`holdfast phones`: who is registered and who is missing."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `phones`."""
    parser = new_parser(subparsers, "phones", "list registered phones and users without one")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--registered", action="store_true", help="only registered phones")
    group.add_argument(
        "--missing", action="store_true", help="only users without; exit status 1 if there are any"
    )
    group.add_argument(
        "--readiness",
        action="store_true",
        help="whether each would work if the cloud went now; exit status 1 if any would not",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a row for each phone, and one for each user without a phone."""
    door = Door(settings_of(arguments))
    if arguments.readiness:
        return _readiness(door.get("readiness"), arguments.json)
    phones = door.get("phones")
    registered = [phone for phone in phones if phone["registered"]]
    missing = [phone for phone in phones if not phone["registered"]]
    chosen = registered if arguments.registered else missing if arguments.missing else phones
    if arguments.json:
        print_json(chosen)
    else:
        headings = ("extension", "name", "state", "transport", "address", "expires", "phone")
        print_table(headings, [_row(phone) for phone in chosen])
        print(f"\n{len(registered)} phones registered, {len(missing)} users without")
    return NO if arguments.missing and missing else OK


def _row(phone: dict[str, Any]) -> tuple[Any, ...]:
    if not phone["registered"]:
        return (phone["extension"], phone["name"], "missing", "", "", "", "")
    return (
        phone["extension"],
        phone["name"],
        "registered" if phone.get("reachable", True) else "connection lost",
        phone["transport"],
        f"{phone['address']} port {phone['port']}" if phone.get("port") else phone["address"],
        f"in {age(phone['expires_in'])}",
        phone.get("user_agent"),
    )


VERDICTS = {"not_ready": "not ready", "doubtful": "doubtful", "ready": "ready"}
"""In the order of the list: what needs somebody comes first."""


def _readiness(lines: list[dict[str, Any]], as_json: bool) -> int:
    """Print a row for each phone, those that would not work first, and how many there are."""
    worst = any(line["verdict"] == "not_ready" for line in lines)
    if as_json:
        print_json(lines)
        return NO if worst else OK
    order = list(VERDICTS)
    now = time.time()
    print_table(
        ("extension", "name", "phone", "verdict", "last here", "why"),
        [
            (
                line["extension"],
                line["name"],
                line["model"] or line["device"],
                VERDICTS[line["verdict"]],
                age(now - line["seen_at"]) + " ago" if line["seen_at"] else "never",
                "; ".join(reason["text"] for reason in line["reasons"]),
            )
            for line in sorted(lines, key=lambda line: order.index(line["verdict"]))
        ],
    )
    counts = (
        f"{sum(line['verdict'] == verdict for line in lines)} {words}"
        for verdict, words in reversed(VERDICTS.items())
    )
    print("\n" + ", ".join(counts))
    return NO if worst else OK
