"""The four transaction machines as tables (RFC 3261, section 17, as mended by RFC 6026).

The rules they live by:

- `TABLE[state][input]` is the next state and what is done on the way. An input without a row is
  ignored: the state stays and nothing is sent.
- A timer runs only as long as the state has a row for it; entering any other state stops it.
- Entering `terminated` makes the transaction forgotten before its user is told anything.
- A user is told of a failure at most once, and never after a final response: a broken transport
  in `completed` ends the transaction silently.
- A server transaction outlives a broken transport (RFC 6026, section 7.1), so that a
  retransmitted request is not taken for a new one.

Beyond the RFCs: a client transaction in `proceeding` fails when its connection is lost (the phone
is gone, and nobody opens a new connection to tell us), and one that was cancelled fails when no
final response follows within 64*T1, as section 9.1 wants. A non-INVITE server transaction that
its user leaves unanswered for 64*T1 may be abandoned (RFC 4320, section 4.2: no answer helps then).

`docs/state-machines.md` is drawn from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

State = Literal[
    "initial",
    "calling",
    "trying",
    "proceeding",
    "completed",
    "confirmed",
    "accepted",
    "terminated",
]
Input = Literal[
    "start",
    "request",
    "ACK",
    "cancel",
    "1xx",
    "2xx",
    "300-699",
    "200-699",
    "transport error",
    "cancel unanswered",
    "abandoned",
    "timer A",
    "timer B",
    "timer D",
    "timer E",
    "timer F",
    "timer G",
    "timer H",
    "timer I",
    "timer J",
    "timer K",
    "timer L",
    "timer M",
]
Do = Literal[
    "send",
    "send again",
    "send 100",
    "send ACK",
    "send CANCEL",
    "send CANCEL if remembered",
    "remember CANCEL",
    "pass up",
    "fail 408",
    "fail 503",
    "pass ACK up",
    "report missing ACK",
    "start A",
    "start B",
    "start D",
    "start E",
    "start E at T2",
    "start F",
    "start G",
    "start H",
    "start I",
    "start J",
    "start K",
    "start L",
    "start M",
]
Row = tuple[State, tuple[Do, ...]]
Table = Mapping[State, Mapping[Input, Row]]

INVITE_CLIENT: Table = {
    "initial": {
        "start": ("calling", ("send", "start A", "start B")),
    },
    "calling": {
        "timer A": ("calling", ("send", "start A")),
        "timer B": ("terminated", ("fail 408",)),
        "cancel": ("calling", ("remember CANCEL",)),
        "1xx": ("proceeding", ("pass up", "send CANCEL if remembered")),
        "2xx": ("accepted", ("start M", "pass up")),
        "300-699": ("completed", ("send ACK", "start D", "pass up")),
        "transport error": ("terminated", ("fail 503",)),
    },
    "proceeding": {
        "cancel": ("proceeding", ("send CANCEL",)),
        "cancel unanswered": ("terminated", ("fail 408",)),
        "1xx": ("proceeding", ("pass up",)),
        "2xx": ("accepted", ("start M", "pass up")),
        "300-699": ("completed", ("send ACK", "start D", "pass up")),
        "transport error": ("terminated", ("fail 503",)),
    },
    "completed": {
        "300-699": ("completed", ("send ACK",)),
        "timer D": ("terminated", ()),
        "transport error": ("terminated", ()),
    },
    "accepted": {
        "2xx": ("accepted", ("pass up",)),
        "timer M": ("terminated", ()),
    },
    "terminated": {},
}

CLIENT: Table = {
    "initial": {
        "start": ("trying", ("send", "start E", "start F")),
    },
    "trying": {
        "timer E": ("trying", ("send", "start E")),
        "timer F": ("terminated", ("fail 408",)),
        "1xx": ("proceeding", ("pass up",)),
        "200-699": ("completed", ("start K", "pass up")),
        "transport error": ("terminated", ("fail 503",)),
    },
    "proceeding": {
        "timer E": ("proceeding", ("send", "start E at T2")),
        "timer F": ("terminated", ("fail 408",)),
        "1xx": ("proceeding", ("pass up",)),
        "200-699": ("completed", ("start K", "pass up")),
        "transport error": ("terminated", ("fail 503",)),
    },
    "completed": {
        "timer K": ("terminated", ()),
    },
    "terminated": {},
}

INVITE_SERVER: Table = {
    "initial": {
        "start": ("proceeding", ("send 100",)),
    },
    "proceeding": {
        "request": ("proceeding", ("send again",)),
        "1xx": ("proceeding", ("send",)),
        "2xx": ("accepted", ("send", "start L")),
        "300-699": ("completed", ("send", "start G", "start H")),
    },
    "completed": {
        "request": ("completed", ("send again",)),
        "timer G": ("completed", ("send again", "start G")),
        "timer H": ("terminated", ("report missing ACK",)),
        "ACK": ("confirmed", ("start I", "pass ACK up")),
    },
    "confirmed": {
        "ACK": ("confirmed", ()),
        "timer I": ("terminated", ()),
    },
    "accepted": {
        "request": ("accepted", ()),
        "2xx": ("accepted", ("send",)),
        "timer L": ("terminated", ()),
    },
    "terminated": {},
}

SERVER: Table = {
    "initial": {
        "start": ("trying", ()),
    },
    "trying": {
        "1xx": ("proceeding", ("send",)),
        "200-699": ("completed", ("send", "start J")),
        "abandoned": ("terminated", ()),
    },
    "proceeding": {
        "request": ("proceeding", ("send again",)),
        "1xx": ("proceeding", ("send",)),
        "200-699": ("completed", ("send", "start J")),
        "abandoned": ("terminated", ()),
    },
    "completed": {
        "request": ("completed", ("send again",)),
        "timer J": ("terminated", ()),
    },
    "terminated": {},
}

MACHINES: Mapping[str, Table] = {
    "INVITE client": INVITE_CLIENT,
    "non-INVITE client": CLIENT,
    "INVITE server": INVITE_SERVER,
    "non-INVITE server": SERVER,
}

_RESPONSES: tuple[Input, ...] = (
    "1xx",
    "1xx",
    "200-699",
    "200-699",
    "200-699",
    "200-699",
    "200-699",
)
_TO_INVITE: tuple[Input, ...] = ("1xx", "1xx", "2xx", "300-699", "300-699", "300-699", "300-699")


def response_input(method: str, status: int) -> Input:
    """Return which input a response to a request of that method is."""
    return (_TO_INVITE if method == "INVITE" else _RESPONSES)[status // 100]
