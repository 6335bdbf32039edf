"""RFC 4475's messages, and what reading and checking one alone says about it.

Whoever sends them over UDP or TCP takes `MESSAGES` from here and compares what comes back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from appliance.errors import RemoteError
from appliance.sip.framing import BadMessage, parse
from appliance.sip.message import Request
from appliance.sip.validate import check_request, check_response

DATA = Path(__file__).parent / "data"

LATER = frozenset(("200", "401", "404", "405", "483"))
"""Answers of rooms behind the check; for reading and checking such a message is acceptable."""


class Torture(NamedTuple):
    """One message and what a server may do with it."""

    file: str
    kind: str
    """`request` or `response`."""
    expect: frozenset[str]
    """`accept`, `drop` or status codes: any of them is right."""
    data: bytes

    @property
    def verdicts(self) -> frozenset[str]:
        """Return what is right where nothing but reading and checking is done."""
        return self.expect | {"accept"} if self.expect & LATER else self.expect


def load() -> list[Torture]:
    """Read the messages, 49 of them, in the RFC's order."""
    listed = json.loads((DATA / "manifest.json").read_text())["messages"]
    return [
        Torture(
            entry["file"],
            entry["kind"],
            frozenset(entry["expect"]),
            (DATA / entry["file"]).read_bytes(),
        )
        for entry in listed
    ]


MESSAGES = load()


def verdict(data: bytes) -> str:
    """Read and check one message: `accept`, `drop` or the status it is refused with."""
    try:
        message = parse(data)
    except BadMessage as error:
        return "drop" if error.request is None else str(error.status)
    if not isinstance(message, Request):
        return "accept" if check_response(message) else "drop"
    try:
        check_request(message)
    except RemoteError as error:
        return str(error.status)
    return "accept"
