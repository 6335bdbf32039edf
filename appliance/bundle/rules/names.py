"""Ids: unique within their section; and what the other rules share."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem

Part = TypeVar("Part")

SECTIONS = (
    "zones",
    "users",
    "devices",
    "locations",
    "groups",
    "pickup_groups",
    "route_groups",
    "prompts",
    "hours",
    "drills",
)


def ids_are_unique(bundle: Bundle) -> Iterator[Problem]:
    """Refuse two parts of a section with one id."""
    for section in SECTIONS:
        named = ((f"{path}.id", part.id) for path, part in rows(section, getattr(bundle, section)))
        yield from repeated(named, "give each its own id")


def rows(path: str, parts: Sequence[Part]) -> list[tuple[str, Part]]:
    """Return each part of a list with its own path."""
    return [(f"{path}[{index}]", part) for index, part in enumerate(parts)]


def extensions(bundle: Bundle) -> set[str]:
    """Return every extension of the site."""
    users = {user.extension for user in bundle.users}
    return users | {group.extension for group in bundle.groups}


def repeated(named: Iterable[tuple[str, Hashable]], advice: str) -> Iterator[Problem]:
    """Yield a problem for each name that an earlier path has already."""
    first: dict[Hashable, str] = {}
    for path, name in named:
        if name in first:
            yield Problem(path, f"`{shown(name)}` is also at {first[name]}; {advice}")
        else:
            first[name] = path


def shown(name: Hashable) -> str:
    """Write a name, or the parts of one, for a human."""
    return " ".join(str(part) for part in name if part) if isinstance(name, tuple) else str(name)
