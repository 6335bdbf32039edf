"""What every command shares: global options, settings, exit statuses."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import msgspec

from appliance.cli.arguments import LONGEST_ID, new_file
from appliance.errors import LocalError
from appliance.settings import Settings, check_sockets, load_settings

OK = 0
"""Done, or the answer is yes."""
NO = 1
"""The answer is no: not healthy, not valid, not found."""
USAGE = 2
"""Wrong usage or bad input."""
UNREACHABLE = 3
"""Something that should answer does not."""

EXIT_STATUS = """\
exit status:
  0  done, or the answer is yes
  1  the answer is no: not healthy, not valid, not found
  2  wrong usage or bad input
  3  something that should answer does not
"""

SYSTEM_FILE = Path("/etc/holdfast/holdfast.toml")
"""Settings of an installed appliance; used when it exists and no other is named."""


def add_global_options(parser: argparse.ArgumentParser, default: object = None) -> None:
    """Add the options that may stand before or after a command's name."""
    parser.add_argument(
        "--settings",
        dest="settings_file",
        type=Path,
        metavar="FILE",
        default=default,
        help=f"settings, TOML (default: HOLDFAST_SETTINGS, else {SYSTEM_FILE} if it exists)",
    )
    parser.add_argument(
        "--data",
        dest="data_folder",
        type=Path,
        metavar="DIR",
        default=default,
        help="folder of databases, certificates and tokens (default: from the settings)",
    )
    parser.add_argument(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="DIR",
        default=default,
        help="folder of the sockets between processes (default: from the settings)",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add what makes a command print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_id_option(parser: argparse.ArgumentParser, about: str) -> None:
    """Add an optional ID, which may have the word `show` before it."""
    parser.add_argument("words", nargs="*", metavar="ID", help=about)


def id_of(arguments: argparse.Namespace) -> str | None:
    """Return the ID asked for, None where none is; raises LocalError for anything else."""
    words: list[str] = arguments.words
    if words[:1] == ["show"]:
        words = words[1:] or [""]
    if len(words) > 1 or words == [""] or len("".join(words)) > LONGEST_ID:
        raise LocalError("name one ID, e.g. `show 4f2c1a`")
    return words[0] if words else None


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add where `pcap ID` writes."""
    parser.add_argument(
        "-o",
        "--output",
        type=new_file,
        metavar="FILE",
        help="with `pcap ID`: the new file (default: holdfast-call-ID.pcapng)",
    )


def check_output(arguments: argparse.Namespace) -> None:
    """Refuse a file that nothing would be written to."""
    if arguments.output is not None and arguments.words[:1] != ["pcap"]:
        raise LocalError("--output: only `pcap ID` writes a file; leave it out, or say pcap")


def new_parser(subparsers: Any, name: str, about: str, **more: Any) -> argparse.ArgumentParser:
    """Add a command with a help page of its own, which takes the global options as well."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,
    )
    add_global_options(parser, argparse.SUPPRESS)
    return parser


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the options, the environment and the file make together.

    Raises LocalError that names the key that is wrong.
    """
    settings = load_settings(file_of(arguments.settings_file), dict(os.environ))
    changes = {}
    if arguments.data_folder is not None:
        changes["data"] = arguments.data_folder.absolute()
    if arguments.run_folder is not None:
        changes["run"] = arguments.run_folder.absolute()
    settings = msgspec.structs.replace(settings, **changes)
    check_sockets(settings)
    return settings


def global_words(arguments: argparse.Namespace) -> list[str]:
    """Return the global options as words, for a process of ours that is to get the same."""
    named = {
        "--settings": arguments.settings_file,
        "--data": arguments.data_folder,
        "--run": arguments.run_folder,
    }
    return [word for name, value in named.items() if value for word in (name, str(value))]


def file_of(named: Path | None) -> Path | None:
    """Return the settings file in use: the one that is named, else where there is one."""
    if named is not None:
        return named
    if from_environment := os.environ.get("HOLDFAST_SETTINGS"):
        return Path(from_environment)
    return SYSTEM_FILE if SYSTEM_FILE.exists() else None
