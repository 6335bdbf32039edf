"""Whose turn it is in groups that ring round robin: kept outside plans, for all calls (D2)."""

from __future__ import annotations

from collections.abc import Iterable


class Turns:
    """Remember who of each group was rung last; one entry for each group of the site."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._last)

    def rung(self, group: str, member: str) -> None:
        """Note that a member of a group is rung now."""
        self._last[group] = member

    def in_turn(self, group: str, members: tuple[str, ...]) -> tuple[str, ...]:
        """Return the members, beginning with the one after whoever was rung last."""
        last = self._last.get(group)
        if last not in members:
            return members
        cut = members.index(last) + 1
        return members[cut:] + members[:cut]

    def keep(self, groups: Iterable[str]) -> None:
        """Forget every group but these."""
        kept = set(groups)
        self._last = {group: member for group, member in self._last.items() if group in kept}
