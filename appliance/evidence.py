"""What was found when a zone failed: the layers that were probed, and what that means (A7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Layer = Literal["link", "gateway", "dns", "tcp", "tls", "certificate", "sip", "https"]
LAYERS: tuple[Layer, ...] = ("link", "gateway", "dns", "tcp", "tls", "certificate", "sip", "https")
"""From the cable upwards; `https` is the cloud's API, asked beside the zone to compare."""

LEADING = 600.0
"""Seconds before an outage within which what was found of a zone belongs to it."""
SLACK = 1.0
"""Seconds by which two readings of one moment may differ."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One layer on the way to a zone."""

    layer: Layer
    verdict: Literal["ok", "fail", "unknown", "skipped"]
    kind: str = ""
    """How it fails, e.g. `reset` or `expired`; empty unless it does."""
    text: str
    seconds: float = 0.0
    """How long it took to find out."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the layers told when a zone failed."""

    at: float
    """Unix seconds at which the zone was found to fail."""
    zone: str
    layer: str
    """The lowest layer that fails; empty when all was well again by then."""
    kind: str
    verdict: str
    """One sentence, e.g. `The certificate of zone a has expired`."""
    advice: str
    """What to do, in one sentence."""
    steps: tuple[Step, ...]


def with_evidence(
    changes: list[dict[str, Any]], findings: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return changes of mode (latest first), each outage with what was found of its zones.

    A finding belongs to the first outage that began with it or soon after it.
    """
    known = sorted(findings, key=lambda one: one["at"])
    told: list[dict[str, Any]] = []
    before = float("-inf")
    for change in reversed(changes):
        begin, end = max(before, change["at"] - LEADING), change["at"] + SLACK
        outage = change["after"] == "survivability"
        fitting = [one for one in known if outage and begin < one["at"] <= end]
        told.append(change | {"evidence": list({one["zone"]: one for one in fitting}.values())})
        before = end
    return told[::-1]
