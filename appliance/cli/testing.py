"""`holdfast test`: testing mode for chosen phones, a group or the site."""

from __future__ import annotations

import argparse
import time
from typing import Any

from appliance.cli.arguments import amount
from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, moment, print_json

SHOWN = 10
"""Phones and groups of a drill that are named."""


def add_parser(subparsers: Any) -> None:
    """Add `test` and its own commands."""
    about = "serve phones as in an outage, on purpose and for a time; a real outage ends it at once"
    family = new_parser(subparsers, "test", about)
    commands = family.add_subparsers(dest="test_command", metavar="COMMAND", required=True)
    begin = new_parser(commands, "begin", "begin a test; the cloud must answer (mode standby)")
    about = "extensions, ids or MACs of phones, extensions of groups (default: the whole site)"
    begin.add_argument("who", nargs="*", metavar="WHO", help=about)
    about = "how long, up to 480 (default: %(default)s)"
    begin.add_argument("--minutes", type=amount(480), default=30, help=about)
    begin.set_defaults(run=_begin)
    about = "end the test; phones in a call stay until they are free"
    new_parser(commands, "end", about).set_defaults(run=_end)
    about = "tell whether a test runs, for whom and how long; exit status 1 if none does"
    new_parser(commands, "show", about).set_defaults(run=_show)
    about = "tell what came of the last test; exit status 1 if there was none"
    new_parser(commands, "report", about).set_defaults(run=_report)
    for parser in commands.choices.values():
        add_json_option(parser)


def _begin(arguments: argparse.Namespace) -> int:
    asked = {"minutes": arguments.minutes, "who": arguments.who}
    return _tell(arguments, Door(settings_of(arguments)).tell("POST", "test", asked))


def _end(arguments: argparse.Namespace) -> int:
    return _tell(arguments, Door(settings_of(arguments)).tell("DELETE", "test"))


def _show(arguments: argparse.Namespace) -> int:
    mode = Door(settings_of(arguments)).get("mode")
    _tell(arguments, mode)
    return OK if mode["mode"] == "testing" else NO


def _report(arguments: argparse.Namespace) -> int:
    """Print how the last test that is over began and ended; the history is the latest first."""
    history = Door(settings_of(arguments)).get("mode/history")
    ends = [place for place, change in enumerate(history) if change["before"] == "testing"]
    last = history[ends[0] : ends[0] + 2] if ends else []
    if arguments.json:
        print_json(last[::-1])
    for change in () if arguments.json else last[::-1]:
        print(f"{moment(change['at'])}  {clean(change['reason'])}")
    if not ends and not arguments.json:
        print("no test is in the history")
    return OK if ends else NO


def _tell(arguments: argparse.Namespace, mode: dict[str, Any]) -> int:
    if arguments.json:
        print_json(mode)
    elif mode["mode"] == "testing":
        left = age((mode.get("test_until") or time.time()) - time.time())
        print(f"testing {clean(mode.get('test_scope') or 'the site')}: {left} left")
    else:
        print(f"no test runs; the mode is {mode['mode']}: {clean(mode['reason'])}")
    drill = mode.get("next_drill")
    if drill and not arguments.json:
        whose = ", ".join(drill["who"][:SHOWN]) or "the site"
        print(f"the drill {drill['id']} of {clean(whose)} begins {moment(drill['at'])}")
    return OK
