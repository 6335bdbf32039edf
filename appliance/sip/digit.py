"""Digits in the body of an INFO, as phones sent them before RFC 4733 and some still do."""

from __future__ import annotations

DIGITS = frozenset("0123456789*#ABCD")
_EVENTS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some phones write the number of RFC 4733's event."""


def digit_of(content_type: str, body: bytes) -> str:
    """Return the digit of an INFO's body; empty: it is none.

    `application/dtmf-relay` has lines, one of them `Signal=5`; `application/dtmf` has the digit.
    """
    kind = content_type.partition(";")[0].strip().lower()
    text = body[:256].decode("latin-1")
    if kind == "application/dtmf-relay":
        lines = (line.partition("=") for line in text.splitlines())
        text = next((value for name, _, value in lines if name.strip().lower() == "signal"), "")
    elif kind != "application/dtmf":
        return ""
    word = text.strip().upper()
    word = _EVENTS.get(word, word)
    return word if word in DIGITS else ""
