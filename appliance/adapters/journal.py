"""Notices to the journal."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from appliance.call.actions import Notice, SaveRecord
from appliance.call.record import CallRecord
from appliance.journald import Journald

PRIORITIES = {"info": 6, "warning": 4, "alarm": 1, "error": 3}
"""syslog's numbers (RFC 5424, 6.2.1): an alarm wants a human at once."""
KEPT = 500
"""Notices kept in memory for admins; the journal keeps them all."""
LONGEST = 2000
"""Characters of one line; a longer one is text from the wire, not ours."""


class Journal:
    """Write each notice as an entry for journald, or as a line to standard error; thread-safe."""

    def __init__(
        self,
        write: Callable[[str], object] = sys.stderr.write,
        journald: Journald | None = None,
    ) -> None:
        """Without `journald`, or where it takes nothing, lines go to `write`."""
        self._write = write
        self._journald = journald
        # systemd names the device and inode of the socket it reads from; only then is a priority
        # prefix understood (sd-daemon(3)).
        self._prefixed = "JOURNAL_STREAM" in os.environ
        self.counts = dict.fromkeys(PRIORITIES, 0)
        """Notices by severity since the start."""
        self.latest: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """For admins, the oldest first: `at` (Unix seconds), `severity`, `topic`, `text`."""

    def notice(self, notice: Notice) -> None:
        """Write `<4>WARNING topic text`, or the same in fields."""
        severity = notice.severity if notice.severity in PRIORITIES else "error"
        self.counts[severity] += 1
        fields = {"HOLDFAST_TOPIC": notice.topic, "CALL_ID": notice.call}
        text = self._line(severity, f"{notice.topic} {notice.text}", fields)
        kept = {"at": time.time(), "severity": severity, "topic": notice.topic}
        self.latest.append({**kept, "text": text.partition(" ")[2]})

    def fault(self, where: str, trace: str) -> None:
        """Write a bug of ours with its traceback, a line each so that priorities hold."""
        self.counts["error"] += 1
        for line in (where, *trace.rstrip().splitlines()):
            self._line("error", f"runtime.bug {line}", {"HOLDFAST_TOPIC": "runtime.bug"})

    def telling(self, save: Callable[[SaveRecord], None]) -> Callable[[SaveRecord], None]:
        """Return what keeps a record by `save` and then tells of it."""

        def keep(action: SaveRecord) -> None:
            save(action)
            self.ended(action)

        return keep

    def ended(self, saved: SaveRecord) -> None:
        """Write that a call has ended, for whoever looks for it by `CALL_ID`; in journald only."""
        record = saved.record
        if self._journald is not None and record.sealed:
            fields = {"HOLDFAST_TOPIC": "call.ended", "OUTCOME": record.outcome}
            self._journald.send(6, _shown(summary(record)), CALL_ID=record.id, **fields)

    def _line(self, severity: str, text: str, fields: dict[str, str]) -> str:
        # Text may quote the wire: a line break there must not forge a line here.
        shown = _shown(text)
        if self._journald is not None:
            whole = f"{severity.upper()} {shown}"
            if self._journald.send(PRIORITIES[severity], whole, **fields):
                return shown
        prefix = f"<{PRIORITIES[severity]}>" if self._prefixed else ""
        self._write(f"{prefix}{severity.upper()} {shown}\n")
        return shown


def summary(record: CallRecord) -> str:
    """Return a call in one line, as `101 to 102: answered by 102, 34 s`."""
    by = f" by {record.answered_by}" if record.answered_by else ""
    talked = (record.ended or 0) - record.answered if record.answered is not None else 0
    lasted = f", {max(0, talked):.0f} s" if talked else ""
    return f"call.ended {record.caller} to {record.callee}: {record.outcome}{by}{lasted}"


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:LONGEST])
