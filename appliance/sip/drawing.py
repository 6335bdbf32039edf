"""The transaction tables as Markdown; run as a module it prints docs/state-machines.md."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.sip import transaction
from appliance.sip.transaction import MACHINES, Table

_HEAD = """\
# SIP transaction machines

Drawn from the tables in `appliance/sip/transaction.py` by `python -m appliance.sip.drawing`; a test
fails when this page is not what the tables say. Change the tables, then draw it again.
"""


def draw() -> str:
    """Return a page that shows every machine as a diagram and as a table."""
    rules = (transaction.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0]
    parts = [_HEAD, f"{rules}\n"]
    for name, table in MACHINES.items():
        parts += [f"## {name}\n", _diagram(table), _rows(table)]
    return "\n".join(parts)


def _diagram(table: Table) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    for state, event, after, todo in _flat(table):
        source = "[*]" if state == "initial" else state
        lines.append(f"    {source} --> {after}: {event}{' / ' if todo else ''}{todo}")
    return "\n".join([*lines, "    terminated --> [*]", "```", ""])


def _rows(table: Table) -> str:
    lines = ["| state | input | next | done on the way |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _flat(table)]
    return "\n".join([*lines, ""])


def _flat(table: Table) -> Iterator[tuple[str, str, str, str]]:
    for state, rows in table.items():
        for event, (after, todo) in rows.items():
            yield state, event, after, ", ".join(todo)


if __name__ == "__main__":
    print(draw(), end="")
