"""A call's path as a ladder: a column for each leg, a row for each line of the path."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from appliance.call.record import CALLER_LEG
from appliance.cli.output import clean

WIDTH = 80
"""Columns of a terminal that nobody has made wider."""
LANE = 10
"""Columns from one leg to the next."""
TIME = 9
"""Columns for the seconds since the call began."""
PHONES = 3
"""Phones with a column of their own; any further ones share the last column."""
OTHERS = "others"


class Rung(NamedTuple):
    """One row of a ladder."""

    after: float | None
    """Seconds since the call began; None: an older version did not write it down."""
    source: str
    """`caller`, an extension, or empty for Holdfast."""
    to: tuple[str, ...]
    """The same; empty: nothing passed between legs, or it went to Holdfast."""
    text: str


def ladder(call: Mapping[str, Any]) -> list[str]:
    """Return the lines that show a call or a record of the API, at most 80 columns wide."""
    return drawn(list(rungs_of(call)), call["caller"])


def drawn(rungs: Sequence[Rung], caller: str) -> list[str]:
    """Return the lines of any ladder; `caller` is what stands above the caller's column."""
    lanes = _lanes(rungs)
    lines = [_heading(caller, lanes)]
    for rung in rungs:
        lines += _draw(rung, lanes)
    return lines


def print_ladder(call: Mapping[str, Any]) -> None:
    """Print a call's path; its times are seconds since it began."""
    print("\nseconds since it began:")
    print("\n".join(ladder(call)))


def rungs_of(call: Mapping[str, Any]) -> Iterator[Rung]:
    """Yield what happened, from the caller's INVITE to the end."""
    started = call["started"]
    yield Rung(0.0, CALLER_LEG, (), f"calls {call['callee']}")
    stamps = call.get("stamps") or ()
    for index, text in enumerate(call.get("steps") or ()):
        if index < len(stamps):
            stamp = stamps[index]
            source, *legs = (
                _leg(leg, call) for leg in (stamp.get("source", ""), *stamp.get("to", ()))
            )
            yield Rung(stamp["at"] - started, source, tuple(legs), text)
        else:
            yield Rung(None, "", (), text)
    if call.get("ended") is not None:
        yield _end(call)


def _leg(leg: str, call: Mapping[str, Any]) -> str:
    """Return a leg's column: the caller, where it acts later on, is still the caller."""
    return CALLER_LEG if leg == call["caller"] else leg


def _end(call: Mapping[str, Any]) -> Rung:
    answered, who = call.get("answered") is not None, call.get("ended_by")
    callee = call.get("answered_by") or ""
    legs = {"caller": CALLER_LEG, "callee": callee}
    others = tuple(leg for leg in (CALLER_LEG, callee) if leg and leg != legs.get(who or ""))
    text = f"ended: {call.get('reason') or call['outcome']}"
    return Rung(call["ended"] - call["started"], legs.get(who or "", ""), others * answered, text)


def _lanes(rungs: Sequence[Rung]) -> list[str]:
    """Return the legs in the order of their columns; Holdfast is the empty one."""
    found = dict.fromkeys(leg for rung in rungs for leg in (rung.source, *rung.to) if leg)
    phones = [leg for leg in found if leg != CALLER_LEG]
    shown = phones if len(phones) <= PHONES else [*phones[: PHONES - 1], OTHERS]
    return [CALLER_LEG, "", *shown]


def _heading(caller: str, lanes: Sequence[str]) -> str:
    names = {CALLER_LEG: clean(caller), "": "Holdfast"}
    cells = [_short(names.get(lane, clean(lane))).center(LANE) for lane in lanes]
    return (" " * (TIME - LANE // 2 + 1) + "".join(cells)).rstrip()


def _short(name: str) -> str:
    return name if len(name) < LANE else f"…{name[2 - LANE :]}"


def _draw(rung: Rung, lanes: Sequence[str]) -> Iterator[str]:
    """Yield a rung with its arrow and text, and a line for each more that the text needs."""
    room = WIDTH - TIME - LANE * (len(lanes) - 1) - 4
    text = textwrap.wrap(clean(rung.text), room) or [""]
    time = f"{rung.after:.3f}" if rung.after is not None else "-"
    yield f"{time:>{TIME - 1}} {_arrow(rung, lanes)}  {text[0]}".rstrip()
    for more in text[1:]:
        yield f"{'':{TIME}}{_still(lanes)}  {more}"


def _still(lanes: Sequence[str]) -> str:
    return (" " * (LANE - 1)).join("|" * len(lanes))


def _arrow(rung: Rung, lanes: Sequence[str]) -> str:
    """Draw from the source over all columns between to those it went to."""
    source = _column(rung.source, lanes)
    if not rung.to and not rung.source:
        return _still(lanes)[:LANE] + "*" + _still(lanes)[LANE + 1 :]
    ends = {_column(leg, lanes) for leg in rung.to} or {1}
    first, last = min(ends | {source}), max(ends | {source})
    drawn = list(_still(lanes))
    for at in range(first * LANE + 1, last * LANE):
        if drawn[at] == " ":
            drawn[at] = "-"
    for end in ends - {source}:
        drawn[end * LANE + (-1 if end > source else 1)] = ">" if end > source else "<"
    return "".join(drawn)


def _column(leg: str, lanes: Sequence[str]) -> int:
    return lanes.index(leg) if leg in lanes else len(lanes) - 1
