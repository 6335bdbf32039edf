"""`holdfast bundle`: check, show, apply and make up site bundles."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from appliance.bundle import Bundle, BundleError, Problem, decode, schema, warnings
from appliance.cli.bundle_versions import add_commands, print_held
from appliance.cli.door import Door
from appliance.cli.door import Problem as Refusal
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, coloured, moment, print_json
from appliance.cloud.sample import make_sample
from appliance.errors import LocalError
from appliance.files import write_durably

COUNTED = ("users", "devices", "contacts", "groups", "locations", "route_groups", "peers", "zones")
APPLY_TIMEOUT = 120.0
"""Seconds; the largest bundle is checked in a few."""


def add_parser(subparsers: Any) -> None:
    """Add `bundle` and its own commands."""
    family = new_parser(subparsers, "bundle", "check, show, apply or make up a site's bundle")
    commands = family.add_subparsers(dest="bundle_command", metavar="COMMAND", required=True)
    about = "list everything that is wrong with a bundle; exit status 1 if anything is"
    validate = new_parser(commands, "validate", about)
    validate.add_argument("file", type=Path, help="JSON; - for standard input")
    validate.set_defaults(run=_validate)
    show = new_parser(commands, "show", "show the bundle in force, or that in a file")
    show.add_argument("file", type=Path, nargs="?", help="JSON; - for standard input")
    show.set_defaults(run=_show)
    apply = new_parser(commands, "apply", "apply a bundle; exit status 1 if it is refused")
    apply.add_argument("file", type=Path, help="JSON; - for standard input")
    apply.set_defaults(run=_apply)
    pull = new_parser(commands, "pull", "ask the cloud for a newer bundle now")
    pull.set_defaults(run=_pull)
    for parser in (validate, show, apply, pull):
        add_json_option(parser)
    new_parser(commands, "schema", "print the JSON Schema of bundles").set_defaults(run=_schema)
    add_commands(commands)
    _add_sample(commands)


def _add_sample(commands: Any) -> None:
    about = "make up a site for trials: site.json, and phones.csv with passwords"
    parser = new_parser(commands, "sample", about)
    parser.add_argument("--users", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--contacts", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="the same gives the same site")
    parser.add_argument("--site", default="chicago", help="the site's id (default: %(default)s)")
    parser.add_argument(
        "--domain",
        default="chicago.example.com",
        help="SIP domain and digest realm (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.set_defaults(run=_sample)


def _validate(arguments: argparse.Namespace) -> int:
    bundle, problems = check_file(arguments.file)
    doubts = warnings(bundle) if bundle else []
    if arguments.json:
        print_json({"valid": not problems, "problems": problems, "warnings": doubts})
        return NO if problems else OK
    print_problems(problems, "red")
    print_problems(doubts, "yellow")
    if bundle is None:
        print(f"{len(problems)} problems: {arguments.file} is refused")
        return NO
    print(f"{coloured('valid', 'green')}: {_summary(bundle)}")
    return OK


def _show(arguments: argparse.Namespace) -> int:
    if arguments.file is None:
        return _show_in_force(arguments)
    bundle = valid_bundle(arguments.file)
    if arguments.json:
        print_json(bundle)
        return OK
    print(_summary(bundle))
    for zone in bundle.zones:
        port = f" port {zone.port}" if zone.port else ""
        print(f"  zone {zone.id}: {zone.host}{port} over {zone.transport}")
    for name in COUNTED:
        print(f"  {name.replace('_', ' '):<13}{len(getattr(bundle, name)):>7}")
    return OK


def _show_in_force(arguments: argparse.Namespace) -> int:
    answer = Door(settings_of(arguments)).get("bundle")
    stored, core = answer["stored"], answer["core"]
    if arguments.json:
        print_json(answer)
        return OK if core and not stored["problems"] else NO
    if stored["version"] is None:
        print("no bundle yet")
    else:
        old = age(time.time() - stored["stored_at"])
        print(f"version {stored['version']} of site {clean(stored['site'])}, stored {old} ago")
        where = "core serves it" if stored["in_core"] else f"core: {clean(stored['core_failure'])}"
        print(f"  {where}")
    if stored["url"]:
        print(f"  cloud {clean(stored['url'])}, last answer {moment(stored['asked_at'])}")
        if stored["octets"] is not None:
            how = "as a delta" if stored["by_delta"] else "whole"
            print(f"  last sent {how}: {stored['octets']:,} octets")
        if stored["no_delta"]:
            print(f"  a delta was of no use: {clean(stored['no_delta'])}")
    if stored["failure"]:
        print(f"  {coloured(clean(stored['failure']), 'yellow')}")
    if stored["problems"]:
        print(f"refused at {moment(stored['refused_at'])}:")
        print_problems([Problem(**problem) for problem in stored["problems"]], "red")
    return OK if core and not stored["problems"] else NO


def _apply(arguments: argparse.Namespace) -> int:
    data = _read(arguments.file)
    return _report(arguments, lambda door: door.post("bundle", data, APPLY_TIMEOUT))


def _pull(arguments: argparse.Namespace) -> int:
    return _report(arguments, lambda door: door.post("sync", timeout=APPLY_TIMEOUT))


def _report(arguments: argparse.Namespace, do: Any) -> int:
    """Print what came of a bundle that was offered."""
    try:
        answer = do(Door(settings_of(arguments)))
    except Refusal as refusal:
        if arguments.json:
            print_json(refusal.content)
        else:
            found = refusal.content.get("problems") or [{"path": "", "text": str(refusal)}]
            print_problems([Problem(**problem) for problem in found], "red")
        return NO
    if arguments.json:
        print_json(answer)
    elif _is_held(answer):
        print_held(answer["stored"]["held"])
    else:
        news = "applied" if answer["applied"] else "nothing new:"
        print(f"{news} version {answer['stored']['version']}")
    return NO if _is_held(answer) else OK


def _is_held(answer: dict[str, Any]) -> bool:
    return bool(answer["stored"]["held"]) and not answer["applied"]


def _schema(arguments: argparse.Namespace) -> int:
    print_json(schema())
    return OK


def _sample(arguments: argparse.Namespace) -> int:
    sample = make_sample(
        arguments.users, arguments.contacts, arguments.seed, arguments.site, arguments.domain
    )
    decode(sample.bundle_json())  # raises before anything is written that no site would take
    site, phones = arguments.out / "site.json", arguments.out / "phones.csv"
    write_durably(site, sample.bundle_json(), 0o644)
    write_durably(phones, sample.phones_csv(), 0o600)
    print(f"{site}: {_summary(sample.bundle)}")
    print(f"{phones}: {len(sample.phones)} phones with their passwords")
    return OK


def add_bundle_option(parser: argparse.ArgumentParser) -> None:
    """Add what makes a command look at the bundle of a file."""
    about = "bundle, JSON (default: the one that is stored here)"
    parser.add_argument("--bundle", type=Path, metavar="FILE", help=about)


def bundle_of(arguments: argparse.Namespace) -> Bundle:
    """Return the bundle of the file named, else the one stored here; raises LocalError."""
    if arguments.bundle is not None:
        return valid_bundle(arguments.bundle)
    file = settings_of(arguments).bundle_file
    try:
        return decode(file.read_bytes())
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}; name a bundle with --bundle") from error


def valid_bundle(file: Path) -> Bundle:
    """Return the bundle of a file (`-`: standard input); raises LocalError with its first error."""
    bundle, problems = check_file(file)
    if bundle is None:
        text = f"`bundle validate` lists all {len(problems)} problems"
        raise LocalError(f"{file}: {problems[0]}; {text}")
    return bundle


def check_file(file: Path) -> tuple[Bundle | None, list[Problem]]:
    """Return the bundle of a file (`-`: standard input), or everything that is wrong with it."""
    data = _read(file)
    try:
        return decode(data), []
    except BundleError as error:
        return None, error.problems


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error


def _summary(bundle: Bundle) -> str:
    return (
        f"version {bundle.version} of site {clean(bundle.site.id)}, {len(bundle.users)} users, "
        f"{len(bundle.groups)} groups, {len(bundle.contacts)} contacts"
    )


def print_problems(problems: list[Problem], colour: str) -> None:
    """Print each problem with its path."""
    for problem in problems:
        path = coloured(clean(problem.path), colour) + ": " if problem.path else ""
        print(path + clean(problem.text))
