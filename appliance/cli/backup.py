"""`holdfast backup`: the whole appliance in one encrypted file."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.cli.arguments import new_file
from appliance.cli.door import Door
from appliance.cli.options import OK, add_json_option, new_parser, settings_of
from appliance.cli.output import print_json
from appliance.errors import LocalError


def add_parser(subparsers: Any) -> None:
    """Add `backup`."""
    about = "write configuration, records, accounts, keys and certificates to one encrypted file"
    parser = new_parser(subparsers, "backup", about)
    add_file_options(parser, "file to write; it must not be there yet", new_file)
    parser.set_defaults(run=_backup)


def add_file_options(
    parser: argparse.ArgumentParser, file: str, kind: Callable[[str], Path] = Path
) -> None:
    """Add the backup's file, and the way to give its passphrase without a keyboard."""
    parser.add_argument("file", type=kind, help=file)
    add_json_option(parser)
    about = "file whose first line is the passphrase (default: it is asked for)"
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help=about)


def _backup(arguments: argparse.Namespace) -> int:
    passphrase = passphrase_of(arguments, twice=True)
    door = Door(settings_of(arguments))
    size = door.save("backup", {"passphrase": passphrase}, arguments.file)
    if arguments.json:
        print_json({"file": str(arguments.file), "size": size})
    else:
        print(f"{arguments.file}: {size:,} bytes, encrypted; nobody can read it without the phrase")
    return OK


def passphrase_of(arguments: argparse.Namespace, twice: bool) -> str:
    """Return the passphrase of a file or of the keyboard; raises LocalError."""
    if arguments.passphrase_file is not None:
        try:
            lines = arguments.passphrase_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise LocalError(f"{arguments.passphrase_file} cannot be read: {why}") from error
        return lines[0] if lines else ""
    first = getpass.getpass("Passphrase of the backup: ")
    if twice and getpass.getpass("The same again: ") != first:
        raise LocalError("the two passphrases differ")
    return first
