"""`holdfast media`: carry RTP between phones until told to stop."""

from __future__ import annotations

import argparse
from typing import Any

from appliance.cli.options import OK, new_parser, settings_of
from appliance.media.process import serve
from appliance.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Add `media`."""
    parser = new_parser(subparsers, "media", "run the media process: RTP between phones")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    return run_media(settings_of(arguments))


def run_media(settings: Settings) -> int:
    """Serve in the foreground and return the exit status; raises LocalError if it cannot begin."""
    serve(settings)
    return OK
