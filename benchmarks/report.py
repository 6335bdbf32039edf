"""Tables for people and one JSON file for machines."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def table(title: str, rows: list[Row], unit: str) -> str:
    """Write rows as text; `times` compares a row's CPU with Holdfast's row of the same kind."""
    heads = ["", "server", f"{unit}/s", "CPU µs", "x Holdfast", "p50 ms", "p99 ms", "peak MB"]
    heads += ["left out", "notes"]
    lines = [heads, *(cells(row, own_cost(rows, row["kind"])) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    text = [title]
    for line in lines:
        padded = (
            word.ljust(width) if column in (0, 1, 9) else word.rjust(width)
            for column, (word, width) in enumerate(zip(line, widths, strict=True))
        )
        text.append("  ".join(padded).rstrip())
    return "\n".join(text)


def own_cost(rows: list[Row], kind: str) -> float | None:
    """Give Holdfast's CPU for one kind of work, None if it was not measured."""
    own = [row["cpu_us"] for row in rows if row["kind"] == kind and row["server"] == "Holdfast"]
    return own[0] if own and own[0] else None


def cells(row: Row, own: float | None) -> list[str]:
    """Write one row's cells."""
    cost = row["cpu_us"]
    return [
        row["kind"],
        row["server"] + (f" ({row['variant']})" if row.get("variant") else ""),
        f"{row['rate']:,.0f}",
        f"{cost:,.0f}" if cost else "-",
        f"{cost / own:.2f}" if cost and own else "-",
        f"{row['p50'] * 1000:,.1f}",
        f"{row['p99'] * 1000:,.1f}",
        f"{row['peak'] / 1e6:,.0f}",
        f"{row.get('left_out', row.get('failed', 0)):,}",
        notes(row),
    ]


def notes(row: Row) -> str:
    """Say what else happened in a run."""
    said = []
    if row.get("crashed"):
        said.append("server crashed")
    for key, words in (
        ("retransmissions", "sent again"),
        ("told_to_wait", "told to wait"),
        ("broken", "connections lost"),
        ("refused", "refused"),
        ("answers_repeated", "answers repeated"),
    ):
        if row.get(key):
            said.append(f"{row[key]:,} {words}")
    if row.get("busy", 0) > 0.1:
        said.append(f"machine {row['busy']:.0%} busy with other work")
    return ", ".join(said)


def save(file: Path, rows: list[Row]) -> None:
    """Write all figures with the time of the run."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    file.write_text(json.dumps({"when": stamp, "rows": rows}, indent=1) + "\n")
