"""The way of a call from one plan to the next, where a plan says `Goto` (D5)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from appliance.call.steps import Diverted, Goto, Note, Outcome, Plan, Reject, Ring, Step
from appliance.call.wording import word_of

DEPTH = 8
"""Plans that a call goes on to by itself, one after another, before it counts as going round."""
CHOICES = 64
"""Plans that a caller may choose to go on to, in a menu: a key that is stuck ends, too."""

LOOP = Reject(482, f"the call went round: {DEPTH} times on without an answer", "failed")
RESTLESS = Reject(480, f"{CHOICES} choices without an answer", "failed")

Resolve = Callable[[str, float, tuple[Diverted, ...]], Plan]
"""Return the plan of what is dialled at a time, after these forwardings."""


def follow(first: Plan, resolve: Resolve, now: float) -> Plan:
    """Run a plan and those it leads to as one; what comes out is never a `Goto`.

    A plan that was entered with `Goto.back` and ends with a rejection hands its outcome to the plan
    that said so. Every `Ring` tells the forwardings before it.
    """
    plans = [first]
    ways: list[tuple[Diverted, ...]] = [()]
    alone = chosen = 0
    outcome: Outcome | None = None
    while True:
        step = _advance(plans[-1], outcome)
        if isinstance(step, Goto) and _goes_round(step, ways[-1]):
            outcome = Outcome("loop", 482, now)
        elif isinstance(step, Goto):
            alone, chosen = (0, chosen + 1) if step.chosen else (alone + 1, chosen)
            if alone > DEPTH or chosen > CHOICES:
                yield LOOP if alone > DEPTH else RESTLESS
                return
            way = ways[-1] if step.diverted is None else (*ways[-1], step.diverted)
            if not step.back:
                plans.pop().close()
                ways.pop()
            plans.append(resolve(step.dialled, now, way))
            ways.append(way)
            outcome = None
        elif isinstance(step, Reject) and len(plans) > 1:
            plans.pop().close()
            ways.pop()
            yield Note(f"{step.reason}; back to where it came from")
            outcome = Outcome(step.word or word_of(step.status), step.status, now)
        elif isinstance(step, Reject):
            yield step
            return
        else:
            if isinstance(step, Ring) and ways[-1]:
                step = replace(step, diverted=ways[-1])
            outcome = yield step
            now = outcome.at


def _goes_round(step: Goto, way: tuple[Diverted, ...]) -> bool:
    """Tell whether whoever forwards the call has done so before."""
    by = step.diverted
    return by is not None and any(by.extension == earlier.extension for earlier in way)


def _advance(plan: Plan, outcome: Outcome | None) -> Step:
    """Return a plan's next step; one that ends without a word has nobody for the caller."""
    try:
        return next(plan) if outcome is None else plan.send(outcome)
    except StopIteration:
        return Reject(480, "nobody takes the call")
