"""Waiting for the real world: with a limit, and with the evidence when it is passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    true: Callable[[], T | None],
    seconds: float,
    what: str,
    evidence: Callable[[], object] | None = None,
    step: float = 0.05,
) -> T:
    """Ask until the answer is something, and give it; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > end:
            shown = f"\n{evidence()}" if evidence else ""
            raise AssertionError(f"not within {seconds:g} s: {what}{shown}")
        time.sleep(step)
