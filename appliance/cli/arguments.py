"""What one word of a command may be: each says what to write when it is anything else."""

from __future__ import annotations

import math
import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.errors import LocalError

SHOWN = 40
"""Characters of a wrong word that are said again."""
LONGEST_ID = 256
"""Characters; no id of ours comes near, and a line of HTTP may have 8,190 bytes."""
LAST_SECOND = 253402300799
"""Unix seconds of the end of the year 9999, the last that dates can be written of."""


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Make a kind of argument: whole numbers within these bounds."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def read(text: str) -> int:
        digits = text.removeprefix("-")
        # More digits than any bound has: Python itself refuses 4,300, in words for programmers.
        if digits.isascii() and digits.isdigit() and len(digits) <= 18:
            number = int(text)
            if least <= number and (most is None or number <= most):
                return number
        raise ArgumentTypeError(f"write a whole number, {bounds}, not {text[:SHOWN]!r}")

    return read


def amount(most: float) -> Callable[[str], float]:
    """Make a kind of argument: numbers above zero, with a fraction or not, up to a bound."""

    def read(text: str) -> float:
        number = _finite(text)
        if number is not None and 0 < number <= most:
            return number
        raise ArgumentTypeError(f"write a number above 0, up to {most:g}, not {text[:SHOWN]!r}")

    return read


def unix_time(text: str) -> float:
    """Read a time; one that is not finite would find nothing without a word."""
    seconds = _finite(text)
    if seconds is not None and 0 <= seconds <= LAST_SECOND:
        return seconds
    raise ArgumentTypeError(f"write Unix seconds, as `date +%s` does, not {text[:SHOWN]!r}")


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def identifier(text: str) -> str:
    """Read the id of something; raises for none and for what is none."""
    if 0 < len(text) <= LONGEST_ID:
        return text
    raise ArgumentTypeError(f"write an id, 1 to {LONGEST_ID} characters, not {text[:SHOWN]!r}")


def new_file(text: str) -> Path:
    """Read where to write, before anything is done that would have no place afterwards."""
    file = Path(text)
    folder = file.parent
    if not text:
        raise ArgumentTypeError("write the name of a new file")
    try:
        if os.path.lexists(file):
            raise ArgumentTypeError(f"{file} is there already; name a new file")
        if not folder.is_dir():
            raise ArgumentTypeError(f"there is no folder {folder}; make it, or name another")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ArgumentTypeError(f"nothing can be written to the folder {folder}")
        os.lstat(file)
    except FileNotFoundError:
        return file
    except OSError as error:
        raise ArgumentTypeError(f"{text[:SHOWN]}: {error.strerror}") from None
    return file


def check_words(words: Sequence[str]) -> None:
    """Refuse words that no file, process or answer could carry: not UTF-8, or with a zero octet."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            text = "is not UTF-8; write it anew, or give the file another name"
            raise LocalError(f"the word {word[:SHOWN]!r} {text}") from None
        if "\0" in word:
            raise LocalError(f"the word {word[:SHOWN]!r} has a zero octet; write it without")
