"""What commands print: for people with colour on a terminal, or JSON."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TextIO

import msgspec

from appliance.web.words import age as age

COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Colour a text when a person is looking at it and has not asked otherwise (NO_COLOR)."""
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not stream.isatty():
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def clean(value: Any) -> str:
    """Write a value without characters that would command the terminal.

    User agents and addresses come from phones, and anybody can be a phone.
    """
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def print_json(content: Any) -> None:
    """Print JSON with one key a line."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print columns as wide as their widest cell."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(headings, *cells, strict=True)]
    print(coloured(_line(headings, widths), "bold"))
    for row in cells:
        print(_line(row, widths))


def moment(seconds: float | None) -> str:
    """Write a time (Unix) with its zone."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def milliseconds(seconds: float | None) -> str:
    """Write a round-trip time."""
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Count terminal columns: none for combining marks, two for wide letters."""
    marks = sum(unicodedata.combining(letter) > 0 for letter in text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) - marks + wide
