"""`holdfast core`: the signalling process."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.cli.options import new_parser, settings_of
from appliance.main import run_core


def add_parser(subparsers: Any) -> None:
    """Add `core`."""
    parser = new_parser(subparsers, "core", "run the signalling process: phones, calls, zones")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    return run_core(settings_of(arguments))
