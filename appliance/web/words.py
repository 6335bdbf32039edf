"""How pages write durations, times, sizes and forwardings."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def age(seconds: float | None) -> str:
    """Write a duration as people say it: `42 s`, `5 min`, `3 h 20 min`, `4 d 2 h`."""
    if seconds is None:
        return "never"
    left = max(0, int(seconds))
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if left >= size:
            rest = left % size // small
            return f"{left // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{left // 60} min" if left >= 60 else f"{left} s"


def moment(seconds: float | None) -> str:
    """Write a time (Unix) with its zone, as the appliance's clock has it."""
    if seconds is None:
        return "–"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def milliseconds(seconds: float | None) -> str:
    """Write a round-trip time."""
    return "–" if seconds is None else f"{seconds * 1000:.1f} ms"


def size(octets: float | None) -> str:
    """Write a size in the unit that fits."""
    if octets is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if octets < 1024:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1024
    return f"{octets:.1f} TiB"


def ways(forwarding: dict[str, Any]) -> str:
    """Write a forwarding in words."""
    found = []
    for name, value in forwarding.items():
        words = name.replace("_", " ")
        if name == "do_not_disturb":
            found.append(words if value else f"{words} off")
        elif name != "no_answer_after":
            found.append(f"{words} to {value}" if value else f"{words} off")
    if "no_answer_after" in forwarding:
        found.append(f"after {forwarding['no_answer_after']:g} s")
    return ", ".join(found) or "calls ring"
