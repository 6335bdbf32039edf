"""Notices to the journal."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from appliance.call.actions import Notice

PRIORITIES = {"info": 6, "warning": 4, "alarm": 1, "error": 3}
"""syslog's numbers (RFC 5424, 6.2.1): an alarm wants a human at once."""
KEPT = 500
"""Notices kept in memory for admins; the journal keeps them all."""
LONGEST = 2000
"""Characters of one line; a longer one is text from the wire, not ours."""


class Journal:
    """Write one line per notice to standard error; safe in every thread."""

    def __init__(self, write: Callable[[str], object] = sys.stderr.write) -> None:
        self._write = write
        # systemd names the device and inode of the socket it reads from; only then is a priority
        # prefix understood (sd-daemon(3)).
        self._prefixed = "JOURNAL_STREAM" in os.environ
        self.counts = dict.fromkeys(PRIORITIES, 0)
        """Notices by severity since the start."""
        self.latest: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """For admins, the oldest first: `at` (Unix seconds), `severity`, `topic`, `text`."""

    def notice(self, notice: Notice) -> None:
        """Write `<4>WARNING topic text`."""
        severity = notice.severity if notice.severity in PRIORITIES else "error"
        self.counts[severity] += 1
        text = self._line(severity, f"{notice.topic} {notice.text}")
        kept = {"at": time.time(), "severity": severity, "topic": notice.topic}
        self.latest.append({**kept, "text": text.partition(" ")[2]})

    def fault(self, where: str, trace: str) -> None:
        """Write a bug of ours with its traceback, a line each so that priorities hold."""
        self.counts["error"] += 1
        for line in (where, *trace.rstrip().splitlines()):
            self._line("error", f"runtime.bug {line}")

    def _line(self, severity: str, text: str) -> str:
        # Text may quote the wire: a line break there must not forge a line here.
        shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:LONGEST])
        prefix = f"<{PRIORITIES[severity]}>" if self._prefixed else ""
        self._write(f"{prefix}{severity.upper()} {shown}\n")
        return shown
