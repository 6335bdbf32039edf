"""Logs of a process: entries for journald where it listens, lines on standard error elsewhere."""

from __future__ import annotations

import logging
import os
import sys

from appliance.journald import JournaldHandler, connect_journald

FORMAT = "%(levelname)s %(name)s: %(message)s"


def configure_logs(name: str) -> None:
    """Log from `info` on, as this process; with the time unless journald adds its own."""
    journald = connect_journald(name)
    if journald is not None:
        logging.basicConfig(level=logging.INFO, handlers=[JournaldHandler(journald)])
        return
    timed = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(level=logging.INFO, format=timed + FORMAT, stream=sys.stderr)
