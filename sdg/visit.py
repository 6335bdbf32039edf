"""One caller in one group: what a target's plan works with, and what may come of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from appliance.bundle import Bundle, Group, User
from appliance.call.steps import Outcome, Step
from sdg.names import Names
from sdg.presence import Presence
from sdg.turns import Turns

RING_BACK = "ring-back"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a group, when nobody there has answered."""

    word: Literal["no_answer", "busy", "empty", "unavailable", "rejected", "played"]
    reason: str
    """One sentence for the record."""


Part = Generator[Step, Outcome, Result]
"""A target's plan: yields steps like any plan and returns what came of it."""


@dataclass(frozen=True)
class Grounds:
    """What all groups of a site share; built when a bundle is applied."""

    bundle: Bundle
    turns: Turns
    presence: Presence
    users: dict[str, User] = field(init=False)
    """By id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", {user.id: user for user in self.bundle.users})

    @cached_property
    def extensions(self) -> dict[str, str]:
        """What may be dialled from a menu, to a name for the record: our own extensions only."""
        bundle = self.bundle
        groups = {group.extension: group.name for group in bundle.groups}
        return groups | {user.extension: user.name for user in bundle.users}

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Return whatever an extension begins with without being whole."""
        return frozenset(name[:cut] for name in self.extensions for cut in range(1, len(name)))

    @cached_property
    def names(self) -> Names:
        """Users by the keys of their names."""
        return Names(self.bundle.users)


@dataclass(frozen=True)
class Visit:
    """One caller in one group."""

    group: Group
    grounds: Grounds

    @property
    def hears(self) -> str:
        """Return what the caller hears while it rings, as `Ring.hears` has it."""
        return "" if self.group.hears == RING_BACK else self.group.hears
