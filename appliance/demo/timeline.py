"""What the demo prints: one line for each thing that happened, with the second it happened in."""

from __future__ import annotations

import time
from typing import TextIO

BAR = 30
"""Characters of the progress bar."""
PULSE = 2.0
"""Seconds between two progress lines where there is no terminal."""
COLOURS = {"good": "32", "bad": "31;1", "head": "1", "dim": "2", "": ""}


class Timeline:
    """Print to a terminal with colour and a moving bar, or to a file in plain lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._began = time.monotonic()
        self._pulsed = 0.0
        self._open = False
        encoding = (out.encoding or "").lower()
        self._marks = ("✓", "✗", "█", "░") if encoding.startswith("utf") else ("ok", "!!", "#", ".")

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began

    def head(self, text: str) -> None:
        """Print a heading."""
        self._write("\n" + self._coloured(text, "head"))

    def tell(self, text: str) -> None:
        """Print something that happened."""
        self._write(f"{self._stamp()}   {text}")

    def good(self, text: str) -> None:
        """Print something that was checked and holds."""
        self._write(f"{self._stamp()} {self._coloured(self._marks[0], 'good')} {text}")

    def bad(self, text: str) -> None:
        """Print something that should have been otherwise."""
        self._write(f"{self._stamp()} {self._coloured(self._marks[1] + ' ' + text, 'bad')}")

    def plain(self, text: str) -> None:
        """Print a line without a time."""
        self._write(text)

    def progress(self, label: str, done: int, total: int) -> None:
        """Show how far something has come: a bar that moves, or a line every two seconds."""
        filled = BAR * done // total if total else BAR
        bar = self._marks[2] * filled + self._marks[3] * (BAR - filled)
        line = f"{self._stamp()}   {label} {bar} {done}/{total}"
        if self._terminal:
            self._out.write(f"\r{line}\x1b[K")
            self._out.flush()
            self._open = True
        elif done == total or self.seconds() - self._pulsed >= PULSE:
            self._pulsed = self.seconds()
            self._write(line)

    def _stamp(self) -> str:
        return f"{self.seconds():6.1f} s"

    def _write(self, line: str) -> None:
        if self._open:
            self._out.write("\r\x1b[K")
            self._open = False
        self._out.write(line + "\n")
        self._out.flush()

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._terminal else text
