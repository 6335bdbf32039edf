"""The demo's verdict: which steps there were, what was expected of each and what was seen."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from appliance.demo.timeline import Timeline
from appliance.errors import HoldfastError

Outcome = Literal["verified", "failed", "not reached"]
T = TypeVar("T")


class StepFailed(HoldfastError):
    """Report a step whose claim did not hold."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen: {seen}")
        self.expected = expected
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the summary."""

    title: str
    outcome: Outcome
    seconds: float
    told: str
    """What was seen, in one sentence."""


class Steps:
    """Run the steps in order; after one that failed, those that need it are not reached."""

    def __init__(self, timeline: Timeline, titles: list[str]) -> None:
        self._timeline = timeline
        self._titles = titles
        self.results: list[Result] = []

    async def run(self, title: str, work: Callable[[], Awaitable[str]]) -> bool:
        """Do one step; `work` returns what was seen, or raises. Return whether it was verified."""
        if title not in self._titles:
            raise ValueError(f"step {title!r} is not announced")
        began = time.monotonic()
        self._timeline.head(title)
        try:
            told = await work()
        except HoldfastError as error:
            self._timeline.bad(str(error))
            self.results.append(Result(title, "failed", time.monotonic() - began, str(error)))
            return False
        self.results.append(Result(title, "verified", time.monotonic() - began, told))
        return True

    def summary(self) -> list[Result]:
        """Return a row for each announced step, in order."""
        done = {result.title: result for result in self.results}
        return [
            done.get(title) or Result(title, "not reached", 0.0, "an earlier step failed")
            for title in self._titles
        ]

    @property
    def verified(self) -> bool:
        """Tell whether every step was verified."""
        return all(row.outcome == "verified" for row in self.summary())


def print_summary(timeline: Timeline, rows: list[Result]) -> None:
    """Print the table."""
    width = max(len(row.title) for row in rows)
    timeline.head("Summary")
    for row in rows:
        line = f"{row.title:<{width}}  {row.outcome:<11} {row.seconds:5.1f} s  {row.told}"
        timeline.plain(line)
