"""`holdfast sdg`: list, check and try distribution groups; no call is made and no phone rings."""

from __future__ import annotations

import argparse
import time
from collections.abc import Container, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from appliance.bundle import Bundle, Group, User, decode
from appliance.bundle.rules.ways import dead_ends
from appliance.call.outside import Nothing
from appliance.call.steps import Target
from appliance.cli.bundle import check_file, print_problems
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import clean, coloured, print_json, print_table
from appliance.errors import LocalError
from appliance.pbx.destinations import Destinations
from appliance.pbx.dialplan import DialPlan
from appliance.pbx.directory import Directory
from appliance.pbx.forwarding import Forwardings
from appliance.sip.flow import Flow
from sdg.group import Groups, next_of
from sdg.turns import Turns
from sdg.walk import Script, Walked, walk

PHONE_KEYS = frozenset("0123456789*#")
OUTSIDE = User(id="outside", name="somebody outside", extension="outside")
"""Who calls where nobody is named."""


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
        about = "bundle, JSON (default: the one that is stored here)"
        parser.add_argument("--bundle", type=Path, metavar="FILE", help=about)
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
    bundle = _bundle(arguments)
    at = _moment(arguments.at, bundle)
    groups = _groups(bundle, Trial(bundle))
    rows = [_row(group, groups, at) for group in bundle.groups]
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


def _row(group: Group, groups: Groups, at: float) -> dict[str, Any]:
    verdict = groups.verdict(group, at)
    next_places = {word: next_of(group, word) for word in ("closed", "no_answer", "busy", "empty")}
    return {
        "extension": group.extension,
        "numbers": group.numbers,
        "name": group.name,
        "kind": group.kind,
        "leads_to": _leads_to(group),
        "open": "yes" if verdict is None or verdict.open else "no",
        "why": verdict.why if verdict else "always open",
        "next": next_places,
        "stands_in_for": group.stands_in_for.replace("_", " "),
    }


def _leads_to(group: Group) -> str:
    if group.kind == "members":
        return f"{len(group.members)} members, {group.strategy.replace('_', ' ')}"
    if group.kind == "menu":
        return ", ".join(f"{key}: {target}" for key, target in sorted(group.keys.items()))
    return group.number or group.target or ""


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
    bundle = _bundle(arguments)
    group = _find_group(bundle, arguments.group)
    directory = Directory(bundle)
    caller = OUTSIDE if arguments.caller is None else _user(directory, arguments.caller)
    at = _moment(arguments.at, bundle)
    busy = _extensions(directory, arguments.busy)
    trial = Trial(bundle, busy | {caller.extension}, _extensions(directory, arguments.unregistered))
    script = Script(_keys(arguments.keys), _extensions(directory, arguments.answers), busy)
    destinations = Destinations(
        bundle,
        DialPlan(bundle, directory),
        trial,
        _groups(bundle, trial),
        Forwardings(lambda action: None),
        Nothing(),
        lambda now: now,
    )
    plan = destinations.plan(caller, group.extension, None, at)
    steps = list(walk(plan, script, at))
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


class Trial:
    """Everybody has one phone and waits, but for those who are said not to."""

    def __init__(
        self,
        bundle: Bundle,
        busy: frozenset[str] = frozenset(),
        unregistered: frozenset[str] = frozenset(),
    ) -> None:
        self._busy = busy
        self._unregistered = unregistered

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the user's only phone, which is nowhere."""
        if user.extension in self._unregistered:
            return ()
        flow = Flow("UDP", ("0.0.0.0", 0), (user.extension, 0), 0)
        return (Target(f"sip:{user.extension}@phone.invalid", flow, user.extension),)

    def busy(self) -> Container[str]:
        """Return who is said to be on another call, and who calls."""
        return self._busy

    def ringing(self) -> Container[str]:
        """Return nobody: no other call is under way."""
        return ()

    def do_not_disturb(self, user: User) -> bool:
        """Return what the bundle says: what users have set on their phones is not in it."""
        return user.forwarding.do_not_disturb

    def idle_since(self, user: User) -> float:
        """Return that nobody has had a call yet."""
        return 0.0


def _groups(bundle: Bundle, trial: Trial) -> Groups:
    return Groups(bundle, Turns(), trial)


def _bundle(arguments: argparse.Namespace) -> Bundle:
    """Return the bundle of the file named, else the one stored here; raises LocalError."""
    if arguments.bundle is not None:
        bundle, problems = check_file(arguments.bundle)
        if bundle is None:
            text = f"{arguments.bundle}: {problems[0]}"
            raise LocalError(f"{text}; `sdg check` lists what is wrong with groups")
        return bundle
    file = settings_of(arguments).bundle_file
    try:
        return decode(file.read_bytes())
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}; name a bundle with --bundle") from error


def _find_group(bundle: Bundle, name: str) -> Group:
    for group in bundle.groups:
        if name == group.extension or name in group.numbers:
            return group
    there = ", ".join(group.extension for group in bundle.groups[:20]) or "none at all"
    raise LocalError(f"no group has the extension or number {name!r}; there are: {there}")


def _user(directory: Directory, extension: str) -> User:
    user = directory.by_extension(extension)
    if user is None:
        raise LocalError(f"no user has the extension {extension!r}; see `holdfast phones`")
    return user


def _extensions(directory: Directory, text: str) -> frozenset[str]:
    return frozenset(_user(directory, word).extension for word in _words(text))


def _keys(text: str) -> list[str]:
    keys = list(_words(text))
    for word in keys:
        if not PHONE_KEYS.issuperset(word):
            raise LocalError(f"{word!r} are no keys of a phone; write 0-9 * # with commas between")
    return keys


def _words(text: str) -> Iterator[str]:
    return (word.strip() for word in text.split(",") if word.strip())


def _moment(text: str | None, bundle: Bundle) -> float:
    """Return a time as Unix seconds: by the site's clock where it names no zone."""
    if text is None:
        return time.time()
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise LocalError(f"{text!r} is no time; write it like '2026-12-25 09:00'") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(bundle.site.time_zone))
    return when.timestamp()
