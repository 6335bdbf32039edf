"""Running the programs that a build is made of, and the one time stamp of all its files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The source tree."""
OUT = ROOT / "var" / "image"
"""Where everything that is built goes."""


class BuildError(Exception):
    """Report a program that a build needs and that failed, with what it said."""


def run(*words: str | Path, text: str | None = None, extra: Mapping[str, str] = {}) -> str:
    """Run a program to its end and return what it printed; raises BuildError."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(stamp()), "LC_ALL": "C.UTF-8", **extra}
    command = [str(word) for word in words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, input=text, env=environment)
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is missing; `make image` installs it as root") from None
    if done.returncode:
        raise BuildError(f"{' '.join(command)}:\n{(done.stderr or done.stdout)[-4000:]}")
    return done.stdout


def stamp() -> int:
    """Return the Unix time that every built file bears: that of the last commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    words = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    told = subprocess.run(words, capture_output=True, text=True).stdout.strip()
    return int(told or 1_767_225_600)


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)
