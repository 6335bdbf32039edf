"""Logs of a process in the foreground: to standard error, as journald and terminals want them."""

from __future__ import annotations

import logging
import os
import sys

FORMAT = "%(levelname)s %(name)s: %(message)s"


def configure_logs() -> None:
    """Log from `info` on; with the time unless journald, which adds its own, is listening."""
    timed = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    logging.basicConfig(level=logging.INFO, format=timed + FORMAT, stream=sys.stderr)
