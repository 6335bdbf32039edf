"""The command `holdfast`: one module per family of commands, listed below.

Only the module that is asked for is imported: all of them take 0.5 s and 60 MB, which `status`
would make people wait for, `core` would add to every restart and `media` would never give back.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from appliance import __version__
from appliance.cli.arguments import check_words
from appliance.cli.options import EXIT_STATUS, UNREACHABLE, USAGE, add_global_options
from appliance.cli.output import clean, coloured
from appliance.errors import HoldfastError, LocalError, Unavailable


class Family(NamedTuple):
    """A module of commands."""

    module: str
    """Has `add_parser(subparsers)`, which sets `run` to what does it: arguments in, status out."""
    about: str
    """What the help page says of it."""


FAMILIES = {
    "run": Family("appliance.cli.run", "run core, media, admin and ldap in the foreground"),
    "core": Family("appliance.cli.core", "run the signalling process: phones, calls, zones"),
    "media": Family("appliance.cli.media", "run the media process: RTP between phones"),
    "admin": Family("appliance.cli.admin", "run the admin process: HTTPS API and cloud"),
    "ldap": Family("appliance.cli.ldap", "run the directory for desk phones: LDAP by slapd"),
    "status": Family("appliance.cli.status", "show whether all is well"),
    "health": Family("appliance.cli.health", "show what is wrong and its cure, and the box"),
    "notices": Family("appliance.cli.notices", "show the latest notices"),
    "events": Family("appliance.cli.events", "follow what changes as it changes"),
    "mode": Family("appliance.cli.mode", "show the mode and its history with reasons"),
    "diagnose": Family("appliance.cli.diagnose", "check the way to the cloud, machine and network"),
    "capture": Family("appliance.cli.capture", "capture packets of signalling, without keys"),
    "test": Family("appliance.cli.testing", "serve phones on purpose for a time"),
    "zones": Family("appliance.cli.zones", "show the cloud's zones with round-trip times"),
    "phones": Family("appliance.cli.phones", "list registered phones and users without one"),
    "calls": Family("appliance.cli.calls", "list the calls that are up now"),
    "park": Family("appliance.cli.park", "list parked calls, and give one back"),
    "forwarding": Family("appliance.cli.forwarding", "show and undo what was forwarded"),
    "emergency": Family("appliance.cli.emergency", "show and try what calls for help do"),
    "trunk": Family("appliance.cli.trunk", "show the SBCs, take one out, release who is stopped"),
    "peers": Family("appliance.cli.peers", "show the other sites, and take one out"),
    "dial": Family("appliance.cli.dial", "try what dialled digits would do"),
    "qos": Family("appliance.cli.qos", "show how packets are marked (DSCP)"),
    "records": Family("appliance.cli.records", "list call records, or show one"),
    "bundle": Family("appliance.cli.bundle", "check, show, apply or make up a site's bundle"),
    "directory": Family("appliance.cli.directory", "find people by name, number or keys"),
    "sdg": Family("appliance.cli.sdg", "list, check and try distribution groups"),
    "sounds": Family("appliance.cli.sounds", "list prompts and music, or try a recording"),
    "account": Family("appliance.cli.account", "list, add, change or remove who may log in"),
    "token": Family("appliance.cli.token", "list, make or remove API tokens"),
    "audit": Family("appliance.cli.audit", "show who changed what"),
    "enrol": Family("appliance.cli.enrol", "make this appliance known at its cloud"),
    "backup": Family("appliance.cli.backup", "write everything to one encrypted file"),
    "restore": Family("appliance.cli.restore", "put back what a backup holds"),
    "cloud": Family("appliance.cli.cloud", "run the reference cloud, for trials and tests"),
    "console": Family("appliance.cli.console", "show the appliance's console menu"),
    "machine": Family("appliance.cli.machine", "set up the appliance's network"),
    "completion": Family("appliance.cli.completion", "print what a shell completes commands with"),
    "manual": Family("appliance.cli.manual", "print the man page"),
    "demo": Family("appliance.cli.demo", "watch a site lose its cloud and keep its calls"),
}
"""In the order of the help page."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing fails with where the place for it is full or broken."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit status."""
    words = sys.argv[1:] if words is None else words
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that this terminal has no letters for
    try:
        check_words(words)
        arguments = make_parser(_chosen(words)).parse_args(words)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except Unavailable as error:
        return _complain(error, UNREACHABLE)
    except HoldfastError as error:
        return _complain(error, USAGE)
    except EOFError:
        text = "nobody is at the keyboard to type it; give it in a file, see --help"
        return _complain(LocalError(text), USAGE)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        _leave_unwritten()
        return 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        _leave_unwritten()
        text = f"what was to be written is not there whole: {error.strerror}"
        return _complain(Unavailable(text), UNREACHABLE)
    except KeyboardInterrupt:
        return 130


def make_parser(chosen: str | None) -> argparse.ArgumentParser:
    """Build the command's parser, complete for the chosen family and in outline for the others."""
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="Voice survivability: phones keep working when their cloud is gone.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"holdfast {__version__}")
    add_global_options(parser)
    subparsers = parser.add_subparsers(dest="family", metavar="COMMAND", required=True)
    for name, family in FAMILIES.items():
        if name == chosen:
            import_module(family.module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=family.about)
    return parser


def _chosen(words: Sequence[str] | None) -> str | None:
    """Return the family that is asked for, whatever options stand before it."""
    parser = argparse.ArgumentParser(prog="holdfast", add_help=False)
    add_global_options(parser)
    parser.add_argument("family", nargs="?")
    family: str | None = parser.parse_known_args(words)[0].family
    return family


def _leave_unwritten() -> None:
    """Forget what is left of our output; Python would try again at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: HoldfastError, status: int) -> int:
    print(coloured("holdfast: ", "red", sys.stderr) + clean(error), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
