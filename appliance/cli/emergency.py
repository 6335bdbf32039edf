"""`holdfast emergency`: what calls for help do here, and who is called back; none is made."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, coloured, moment, print_json, print_table


def add_parser(subparsers: Any) -> None:
    """Add `emergency` and its own commands."""
    about = "show and try what calls for help do; no call is made"
    family = new_parser(subparsers, "emergency", about)
    commands = family.add_subparsers(dest="emergency_command", metavar="COMMAND")
    family.set_defaults(run=_show, json=False)
    about = "show numbers, ways out, the safety team and who is called back; exit status 1 if "
    shower = new_parser(commands, "show", about + "no SBC is well or nobody would be alerted")
    shower.set_defaults(run=_show)
    tester = new_parser(commands, "test", "tell what a call for help would do, without a call")
    tester.add_argument("extension", nargs="?", default="", help="who calls (default: a stranger)")
    tester.add_argument("--number", default="", help="what is dialled (default: the country's)")
    about = "where the phone is (default: where the user's phone is registered from)"
    tester.add_argument("--address", default="", metavar="IP", help=about)
    tester.set_defaults(run=_test)
    for parser in (shower, tester):
        add_json_option(parser)


def _show(arguments: argparse.Namespace) -> int:
    shown = Door(settings_of(arguments)).get("emergency")
    faults = _faults(shown)
    if arguments.json:
        print_json(shown | {"faults": faults})
        return NO if faults else OK
    print(f"{coloured('numbers', 'bold')}  {', '.join(shown['numbers'])}")
    print(f"{coloured('ways out', 'bold')}  {_ways(shown['ways'])}")
    team = ", ".join(f"{one['name']} ({one['extension']})" for one in shown["safety_team"])
    print(f"{coloured('safety team', 'bold')}  {clean(team) or 'nobody'}")
    print(f"{coloured('safety group', 'bold')}  {clean(shown['safety_group'] or 'none')}")
    print()
    if shown["callbacks"]:
        print_table(
            ("call-backs on", "ring", "place", "called", "until"),
            [_row(one) for one in shown["callbacks"]],
        )
    else:
        print("nobody is to be called back now")
    for fault in faults:
        print(coloured(fault, "yellow"))
    return NO if faults else OK


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    who = f"{one['name']} ({one['extension']})" if one["extension"] else one["address"]
    claimed = "" if one["proved"] or not one["extension"] else ", unproved"
    place = one["location"] or "unknown"
    return one["number"], f"{who}{claimed}", place, moment(one["called"]), moment(one["until"])


def _faults(shown: dict[str, Any]) -> list[str]:
    faults = []
    if not shown["ways"]:
        faults.append("there is no trunk: calls for help cannot leave the site")
    elif not any(way["well"] for way in shown["ways"]):
        faults.append("no SBC is well; calls for help try them all the same")
    if not shown["safety_team"]:
        faults.append("the site has no safety team: nobody here is told of calls for help")
    elif not any(one["phones"] for one in shown["safety_team"]):
        faults.append("nobody of the safety team has a phone registered here now")
    return faults


def _test(arguments: argparse.Namespace) -> int:
    asked = {"from": arguments.extension, "number": arguments.number, "address": arguments.address}
    query = urlencode({name: value for name, value in asked.items() if value})
    told = Door(settings_of(arguments)).get("emergency/trial" + (f"?{query}" if query else ""))
    if arguments.json:
        print_json(told)
        return OK
    kind = " (a test number)" if told["test"] else ""
    rows = (
        ("caller", told["caller"] + (f" at {told['address']}" if told["address"] else "")),
        ("dials", f"{told['number']}{kind}"),
        ("is at", f"{told['where']} ({told['why_there']})"),
        ("shows", f"{told['shown'] or 'nothing'} ({told['why_shown']})"),
        ("call-back", "rings the caller" if told["leads_back"] else "goes where it always goes"),
        ("ways out", _ways(told["ways"])),
        ("alerts", ", ".join(told["alerted"]) or "nobody"),
    )
    for name, value in rows:
        print(f"{coloured(f'{name:<9}', 'bold')}  {clean(value)}")
    return OK


def _ways(ways: list[dict[str, Any]]) -> str:
    """Write the SBCs in the order in which they are tried."""
    shown = []
    for way in ways:
        doubts = [
            word for word, says in (("not well", not way["well"]), ("full", way["full"])) if says
        ]
        shown.append(clean(way["sbc"]) + (f" ({', '.join(doubts)})" if doubts else ""))
    return ", then ".join(shown) or "none"
