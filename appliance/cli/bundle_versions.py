"""`holdfast bundle`, the versions of it: kept, compared, rolled back, held, and signed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from appliance.bundle import decode
from appliance.cli.arguments import whole
from appliance.cli.door import Door
from appliance.cli.options import NO, OK, add_json_option, new_parser, settings_of
from appliance.cli.output import age, clean, moment, print_json, print_table
from appliance.cloud.signature import new_key, read_key, signed, written_key
from appliance.errors import LocalError
from appliance.files import write_durably


def add_commands(commands: Any) -> None:
    """Add the commands to those of `bundle`."""
    history = new_parser(commands, "history", "list the versions one can go back to")
    history.set_defaults(run=_history)
    about = "show what the bundle in force changed from the version before, or from another"
    changes = new_parser(commands, "changes", about)
    changes.add_argument("version", type=whole(1), nargs="?", help="one that `history` lists")
    changes.set_defaults(run=_changes)
    about = "put a version in force that was so before; only a newer one than all replaces it"
    back = new_parser(commands, "rollback", about)
    back.add_argument("version", type=whole(1))
    held = new_parser(commands, "held", "show the bundle that is held; exit status 1 if none is")
    held.set_defaults(run=_held)
    release = new_parser(commands, "release", "apply the bundle that is held")
    about = "its version, so that it is the one you saw"
    release.add_argument("version", type=whole(1), help=about)
    discard = new_parser(commands, "discard", "forget the bundle that is held")
    discard.add_argument("version", type=whole(1))
    for parser, path in (
        (back, "bundle/rollback"),
        (release, "bundle/held/release"),
        (discard, "bundle/held/discard"),
    ):
        parser.set_defaults(run=_change, path=path)
    for parser in (history, changes, back, held, release, discard):
        add_json_option(parser)
    _add_signing(commands)


def _add_signing(commands: Any) -> None:
    about = "make a key that signs bundles, and print what `bundle_keys` in the settings wants"
    keygen = new_parser(commands, "keygen", about)
    keygen.add_argument("key", type=Path, help="file to write; keep it off the appliance")
    keygen.set_defaults(run=_keygen)
    signer = new_parser(commands, "sign", "put a signature before a bundle")
    signer.add_argument("file", type=Path, help="JSON; - for standard input")
    signer.add_argument("--key", type=Path, required=True, help="as `keygen` made it")
    signer.add_argument("--out", type=Path, required=True, help="file to write")
    signer.set_defaults(run=_sign)


def _history(arguments: argparse.Namespace) -> int:
    rows = Door(settings_of(arguments)).get("bundle/versions")
    if arguments.json:
        print_json(rows)
        return OK
    print_table(
        ("version", "in force", "until", "users", "groups"),
        [
            (
                row["version"],
                moment(row["stored_at"]),
                moment(row["replaced_at"]),
                row["users"],
                row["groups"],
            )
            for row in rows
        ],
    )
    return OK


def _changes(arguments: argparse.Namespace) -> int:
    since = f"?since={arguments.version}" if arguments.version is not None else ""
    return _print_changes(Door(settings_of(arguments)).get(f"bundle/changes{since}"), arguments)


def _print_changes(told: dict[str, Any], arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json(told)
        return OK
    columns = ("kind", "path", "before", "after")
    print_table(columns, [tuple(row[name] for name in columns) for row in told["changes"]])
    if told["total"] > len(told["changes"]):
        print(f"the first {len(told['changes'])} of {told['total']}")
    return OK


def _held(arguments: argparse.Namespace) -> int:
    door = Door(settings_of(arguments))
    held = door.get("bundle")["stored"]["held"]
    if arguments.json:
        print_json(held)
        return OK if held else NO
    if held is None:
        print("no bundle is held")
        return NO
    print_held(held)
    return _print_changes(door.get("bundle/changes?held=true"), arguments)


def print_held(held: dict[str, Any]) -> None:
    """Say which bundle is held, why, and what to do."""
    old = age(time.time() - held["at"])
    print(f"version {held['version']} is held; it came {old} ago from {clean(held['origin'])}")
    for reason in held["reasons"]:
        print(f"  {clean(reason['path'])}: {clean(reason['text'])}")
    print(f"`holdfast bundle release {held['version']}` applies it, `discard` forgets it")


def _change(arguments: argparse.Namespace) -> int:
    content = {"version": arguments.version}
    answer = Door(settings_of(arguments)).tell("POST", arguments.path, content)
    if arguments.json:
        print_json(answer)
    else:
        print(f"version {answer['stored']['version']} is in force")
    return OK


def _keygen(arguments: argparse.Namespace) -> int:
    if arguments.key.exists():
        raise LocalError(f"{arguments.key} is there already; a key is never written over")
    pem, public = new_key()
    write_durably(arguments.key, pem, 0o600)
    print(f'bundle_keys = ["{public}"]')
    return OK


def _sign(arguments: argparse.Namespace) -> int:
    stdin = str(arguments.file) == "-"
    data = sys.stdin.buffer.read() if stdin else _content(arguments.file)
    bundle = decode(data)
    key = read_key(_content(arguments.key))
    write_durably(arguments.out, signed(data, key), 0o644)
    print(f"version {bundle.version} of site {clean(bundle.site.id)} signed: {written_key(key)}")
    return OK


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
