"""Where a group may lead: one file each, with a `plan` that yields steps."""

from __future__ import annotations

from collections.abc import Callable

from sdg.targets import group, members, menu, number, prompt, user
from sdg.visit import Part, Visit

TARGETS: dict[str, Callable[[Visit], Part]] = {
    "user": user.plan,
    "members": members.plan,
    "menu": menu.plan,
    "number": number.plan,
    "group": group.plan,
    "prompt": prompt.plan,
}
"""By `Group.kind`."""
