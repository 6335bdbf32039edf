"""What is wrong with a bundle, and where."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import LocalError

PROBLEM_LIMIT = 10_000
"""Problems kept of one bundle; a file that is no bundle at all has one for every value in it."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend."""

    path: str
    """Where, as in `users[3].extension`; empty for the file as a whole."""
    text: str
    """What is wrong and what to do."""

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


class BundleError(LocalError):
    """Report a bundle that must not be used, with everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"bundle refused: {problems[0]}{rest}")
        self.problems = problems
        """Never empty; in the order of the file."""
