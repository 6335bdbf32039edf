"""Walk a plan without a call: what would happen to a caller who presses these keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance.call.steps import Collect, Note, Outcome, Plan, Play, Reject, Ring, Step

STEPS_LIMIT = 500
"""Steps that are walked; the bounds on loops end a plan long before."""


class Walked(NamedTuple):
    """One step and what came of it."""

    after: float
    """Seconds since the call began; prompts are taken to last no time."""
    step: str
    outcome: str


@dataclass
class Script:
    """What the caller does, and who would answer."""

    keys: list[str] = field(default_factory=list)
    """What is pressed, once for each time that keys are asked for; then nothing is."""
    answers: frozenset[str] = frozenset()
    """Extensions that answer when they ring; all others let it ring."""
    busy: frozenset[str] = frozenset()
    """Extensions whose phones say that they are busy."""


def walk(plan: Plan, script: Script, now: float) -> Iterator[Walked]:
    """Yield each step of a plan that began at `now`, to its end or to an answer."""
    caller = _Caller(script, now)
    outcome: Outcome | None = None
    for _ in range(STEPS_LIMIT):
        try:
            step = next(plan) if outcome is None else plan.send(outcome)
        except StopIteration:
            return
        after = caller.now - now
        if isinstance(step, Reject):
            said = f"play {step.says}, then " if step.says else ""
            yield Walked(after, f"{said}end with {step.status}", step.reason)
            return
        outcome, shown = caller.perform(step)
        if isinstance(step, Note):
            yield Walked(after, step.text, "")
        else:
            yield Walked(after, describe(step), shown)
        if outcome.word == "answered":
            return


def describe(step: Step) -> str:
    """Write a step in words."""
    if isinstance(step, Ring):
        extensions = list(dict.fromkeys(target.extension for target in step.targets))
        shown = ", ".join(extensions[:20]) + (" ..." if len(extensions) > 20 else "")
        together = " together" if len(extensions) > 1 else ""
        hears = f", the caller hears {step.hears}" if step.hears else ""
        return f"ring {shown}{together} for {step.timeout:g} s{hears}"
    if isinstance(step, Play):
        return f"play {', '.join(step.sounds)}"
    if isinstance(step, Collect):
        return f"play {', '.join(step.sounds)} and wait for keys"
    return str(step)


class _Caller:
    def __init__(self, script: Script, now: float) -> None:
        self.now = now
        self._keys = list(script.keys)
        self._script = script

    def perform(self, step: Step) -> tuple[Outcome, str]:
        """Return how a step ends, and that in words; time passes."""
        if isinstance(step, Ring):
            return self._ring(step)
        if isinstance(step, Collect):
            return self._press(step.wait)
        if isinstance(step, Play):
            return Outcome("played", 200, self.now), "played"
        return Outcome("noted", at=self.now), ""

    def _ring(self, step: Ring) -> tuple[Outcome, str]:
        extensions = [target.extension for target in step.targets]
        for extension in extensions:
            if extension in self._script.answers:
                return Outcome("answered", 200, self.now), f"answered by {extension}"
        if extensions and all(extension in self._script.busy for extension in extensions):
            return Outcome("busy", 486, self.now), "busy"
        self.now += step.timeout
        return Outcome("no_answer", 480, self.now), "no answer"

    def _press(self, wait: Callable[[str], float]) -> tuple[Outcome, str]:
        wanted = self._keys.pop(0) if self._keys else ""
        pressed = ""
        while wait(pressed) > 0:
            if len(pressed) == len(wanted):
                self.now += wait(pressed)
                break
            pressed += wanted[len(pressed)]
        if not pressed:
            return Outcome("no_key", 408, self.now), "no key"
        left = wanted[len(pressed) :]
        told = f"keys {pressed}" + (f" ({left} comes too late)" if left else "")
        return Outcome("keys", 200, self.now, pressed), told
