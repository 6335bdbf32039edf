"""Entries with fields of their own for journald: its native protocol, one datagram for each.

`journalctl CALL_ID=...` then finds all that was said of a call. As with sd_notify(3) the protocol
(systemd's "Native Journal Protocol") is small enough to need no library.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"
LONGEST = 32_768
"""Octets of one value: a traceback fits, and the entry into one datagram."""
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""syslog's numbers (RFC 5424, 6.2.1) by the names of Python's levels."""
FORMATTER = logging.Formatter("%(message)s")


def entry(fields: Mapping[str, str]) -> bytes:
    """Return the datagram of one entry; fields without a value are left out.

    A value with line breaks is sent with its length, so that nothing in it can begin another field.
    """
    parts = []
    for name, text in fields.items():
        value = text.encode(errors="replace")[:LONGEST]
        if b"\n" in value:
            parts.append(b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(value)), value))
        elif value:
            parts.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(parts)


class Journald:
    """One process's way to journald; safe in every thread."""

    def __init__(self, identifier: str, path: str = SOCKET) -> None:
        self._identifier = identifier
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A journal that does not keep up costs entries, never a call.
        self._socket.setblocking(False)

    def send(self, priority: int, text: str, **fields: str) -> bool:
        """Write one entry; False where journald did not take it."""
        own = {"PRIORITY": str(priority), "SYSLOG_IDENTIFIER": self._identifier}
        try:
            self._socket.sendto(entry({"MESSAGE": text, **own, **fields}), self._path)
        except OSError:
            return False
        return True


class JournaldHandler(logging.Handler):
    """Give the log records of Python's `logging` to journald."""

    def __init__(self, journald: Journald) -> None:
        super().__init__()
        self._journald = journald
        self.setFormatter(FORMATTER)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one entry, or a line to standard error where journald does not take it."""
        priority, text = PRIORITIES.get(record.levelname, 6), self.format(record)
        if not self._journald.send(priority, text, LOGGER=record.name):
            os.write(2, f"<{priority}>{text}\n".encode(errors="replace"))


def connect_journald(
    name: str, environment: Mapping[str, str] = os.environ, path: str = SOCKET
) -> Journald | None:
    """Return the way to journald for a process that it already listens to; None: nobody listens.

    systemd names the socket that it reads standard error from (sd-daemon(3)).
    """
    if "JOURNAL_STREAM" not in environment or not os.path.exists(path):
        return None
    return Journald(f"holdfast-{name}", path)
