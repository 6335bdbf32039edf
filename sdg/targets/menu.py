"""A menu: callers press a key, dial an extension, or spell a name (D3)."""

from __future__ import annotations

from collections.abc import Generator

from appliance.call.steps import Collect, Goto, Note, Outcome, Step
from sdg.targets import by_name
from sdg.visit import Part, Result, Visit

BETWEEN = 3.0
"""Seconds between two keys, while more of them could follow."""
DEFAULT_PROMPT = "menu"
ENDS = "#"
"""Ends what is dialled, wherever it is no choice itself."""

SILENT = Result(word="no_answer", reason="no key was pressed")
WRONG = Result(word="unavailable", reason="no valid key was pressed")


def plan(visit: Visit) -> Part:
    """Say the menu until a caller has chosen, as often as the group allows."""
    group = visit.group
    prompt = group.prompt or DEFAULT_PROMPT
    apology: tuple[str, ...] = ()
    result = SILENT
    for _ in range(group.retries + 1):
        outcome = yield Collect((*apology, prompt), lambda keys: patience(visit, keys))
        keys = outcome.keys
        if keys and keys == group.names_key:
            extension = yield from by_name.find(visit)
            if extension:
                yield Goto(extension, chosen=True)
            result, apology = WRONG, ()
        elif target := destination(visit, keys):
            yield from _go(visit, keys, target)
        elif keys:
            result, apology = WRONG, ("invalid-choice",)
            yield Note(f"{keys} leads nowhere")
        else:
            result, apology = SILENT, ("nothing-entered",)
    return result


def destination(visit: Visit, keys: str) -> str:
    """Return where keys lead: a choice of the menu first, then an extension; empty: nowhere."""
    group = visit.group
    if keys in group.keys:
        return group.keys[keys]
    dialled = keys.removesuffix(ENDS)
    if group.dial_extension and dialled in visit.grounds.extensions:
        return dialled
    return group.keys.get(dialled, "")


def patience(visit: Visit, keys: str) -> float:
    """Return how many seconds to wait for a key after these; 0: they are enough."""
    group = visit.group
    if not keys:
        return group.key_time
    more = group.dial_extension and keys in visit.grounds.beginnings
    return BETWEEN if more else 0.0


def _go(visit: Visit, keys: str, target: str) -> Generator[Step, Outcome, None]:
    name = visit.grounds.extensions.get(target, "")
    yield Note(f"{keys} leads to {target}" + (f" ({name})" if name else ""))
    yield Goto(target, chosen=True)
