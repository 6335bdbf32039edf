"""What every check is and tells: a verdict, the evidence, one sentence of advice, and how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from appliance.bundle import Bundle
from appliance.settings import Settings

Verdict = Literal["ok", "warn", "fail", "not_applicable"]
WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "ok", "not_applicable")


class Outcome(msgspec.Struct, frozen=True):
    """What a check has found."""

    verdict: Verdict
    text: str
    """What is so, in one line."""
    advice: str = ""
    """What to do, in one sentence; empty where there is nothing to do."""
    evidence: tuple[str, ...] = ()
    """What that rests on, a line each."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with the check it is of."""

    check: str
    title: str
    verdict: Verdict
    text: str
    advice: str
    evidence: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What checks know. Whom they ask comes from here alone, and never from who asks for them."""

    settings: Settings
    bundle: Bundle | None
    ask: Callable[..., Awaitable[Any]]
    """Asks core a command; raises Unavailable or LocalError."""
    sync: dict[str, Any] = field(default_factory=dict)
    """How the configuration came, as the API's status tells it; empty: that is not known."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be looked at."""

    name: str
    title: str
    about: str
    """What it looks at, in one sentence."""
    limit: float
    """Seconds it may take."""
    run: Callable[[Surroundings], Awaitable[Outcome]]


def ok(text: str, *evidence: str) -> Outcome:
    """Tell that all is well."""
    return Outcome("ok", text, "", evidence)


def warn(text: str, advice: str, *evidence: str) -> Outcome:
    """Tell what ought to be seen to."""
    return Outcome("warn", text, advice, evidence)


def fail(text: str, advice: str, *evidence: str) -> Outcome:
    """Tell what is wrong."""
    return Outcome("fail", text, advice, evidence)


def not_applicable(text: str, advice: str = "") -> Outcome:
    """Tell why there is nothing to look at, or no way to."""
    return Outcome("not_applicable", text, advice)


def together(outcomes: Sequence[Outcome], well: str) -> Outcome:
    """Make one of several: the worst speaks, and each is a line of the evidence."""
    if not outcomes:
        return not_applicable("there is nothing to look at")
    worst = min(outcomes, key=lambda one: WORST_FIRST.index(one.verdict))
    lines = tuple(line for one in outcomes for line in (one.text, *one.evidence))
    text = well if worst.verdict == "ok" else worst.text
    return Outcome(worst.verdict, text, worst.advice, lines)
