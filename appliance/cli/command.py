"""The command `holdfast`: one module per family of commands, listed below."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from appliance import __version__
from appliance.bundle import BundleError
from appliance.cli import (
    admin,
    bundle,
    calls,
    cloud,
    core,
    demo,
    media,
    mode,
    phones,
    records,
    run,
    status,
    zones,
)
from appliance.cli.options import EXIT_STATUS, UNREACHABLE, USAGE, add_global_options
from appliance.cli.output import clean, coloured
from appliance.errors import HoldfastError, Unavailable


class Family(Protocol):
    """A module of commands."""

    def add_parser(self, subparsers: Any, /) -> None:
        """Add the family's parser, with `run` set to what does it: arguments in, status out."""
        ...


FAMILIES: tuple[Family, ...] = (
    run,
    core,
    media,
    admin,
    status,
    mode,
    zones,
    phones,
    calls,
    records,
    bundle,
    cloud,
    demo,
)
"""In the order of the help page."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit status."""
    arguments = make_parser().parse_args(words)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except Unavailable as error:
        return _complain(error, UNREACHABLE)
    except HoldfastError as error:
        return _complain(error, USAGE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain at exit otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Build the whole command's parser."""
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="Voice survivability: phones keep working when their cloud is gone.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"holdfast {__version__}")
    add_global_options(parser)
    subparsers = parser.add_subparsers(dest="family", metavar="COMMAND", required=True)
    for family in FAMILIES:
        family.add_parser(subparsers)
    return parser


def _complain(error: HoldfastError, status: int) -> int:
    found = error.problems if isinstance(error, BundleError) else [error]
    for problem in found:
        print(coloured("holdfast: ", "red", sys.stderr) + clean(problem), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
