"""A call's outcome in words: for its plan, its record and the header fields that carry it."""

from __future__ import annotations


def better(best: int, status: int) -> int:
    """Return which of two failures tells the caller more (RFC 3261, 16.7, step 6)."""
    if status >= 600 or best >= 600:
        return max(best, status)
    if status in (486, 600):
        return status
    if best == 480 and status in (404, 410, 415, 420, 484, 488):
        return status
    return best


def word_of(status: int) -> str:
    """Return the plan's word for a failure of all phones."""
    if status in (486, 600):
        return "busy"
    return "rejected" if status >= 600 or status in (403, 488) else "unavailable"


def quoted(text: str) -> str:
    """Write a display name as a quoted string (RFC 3261, 25.1)."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c for c in plain if c >= " " and c != "\x7f") + '"'


def ascii_text(text: str) -> str:
    """Reduce text to what a Warning's quoted string may hold."""
    kept = (c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:120])
    return "".join(kept)
