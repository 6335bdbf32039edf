"""One caller in one group: what a target's plan works with, and what may come of it."""

from __future__ import annotations

from collections.abc import Generator
from copy import copy
from dataclasses import dataclass
from typing import Literal

from appliance.bundle import Bundle, Group
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


class Grounds:
    """What all groups of a site share; made with the bundle, so that no call has to wait for it."""

    def __init__(self, bundle: Bundle, turns: Turns, presence: Presence) -> None:
        self.turns = turns
        self.presence = presence
        self.users = {user.id: user for user in bundle.users}
        """By id."""
        self.by_extension = {user.extension: user for user in bundle.users}
        groups = {group.extension: group.name for group in bundle.groups}
        self.extensions = groups | {user.extension: user.name for user in bundle.users}
        """What may be dialled from a menu, to a name for the record: our own extensions only."""
        self.beginnings = frozenset(
            name[:cut] for name in self.extensions for cut in range(1, len(name))
        )
        """Whatever an extension begins with without being whole."""
        spelled = any(group.names_key is not None for group in bundle.groups)
        self.names = Names(bundle.users if spelled else ())
        """Users by the keys of their names; empty where no menu asks for them: 12 us each."""

    def among(self, presence: Presence, turns: Turns) -> Grounds:
        """Return the same for other people."""
        others = copy(self)
        others.presence, others.turns = presence, turns
        return others


@dataclass(frozen=True)
class Visit:
    """One caller in one group."""

    group: Group
    grounds: Grounds

    @property
    def hears(self) -> str:
        """Return what the caller hears while it rings, as `Ring.hears` has it."""
        return "" if self.group.hears == RING_BACK else self.group.hears
