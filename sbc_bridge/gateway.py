"""One SBC at one address: whether it can be used, and why not (E1).

A refusal of one call says little about the SBC, silence and broken connections say much. So states
change by OPTIONS alone, but a call that met silence has OPTIONS asked at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from appliance.call.context import ALLOW, contact_uri
from appliance.call.line import Line
from appliance.sip.flow import Flow, host_port
from appliance.sip.head import Header
from appliance.sip.identifiers import Identifiers
from appliance.sip.message import Request

GatewayState = Literal["unknown", "up", "failing", "down", "rising"]
Input = Literal["answered", "missed", "missed enough", "answered enough"]

TRANSITIONS: Final[dict[GatewayState, dict[Input, GatewayState]]] = {
    "unknown": {"answered": "up", "answered enough": "up", "missed enough": "down"},
    "up": {"missed": "failing", "missed enough": "down"},
    "failing": {"answered": "up", "answered enough": "up", "missed enough": "down"},
    "down": {"answered": "rising", "answered enough": "up"},
    "rising": {"answered enough": "up", "missed": "down", "missed enough": "down"},
}
"""State and outcome of an OPTIONS to the next state; an absent key changes nothing."""

USABLE: Final = frozenset({"unknown", "up", "failing"})
"""States in which calls are tried; `unknown`, so that a start does not wait for OPTIONS."""


class Gateway:
    """Know one SBC."""

    __slots__ = (
        "answers",
        "asked_at",
        "domain",
        "failed_at",
        "failure",
        "flow",
        "line",
        "max_calls",
        "misses",
        "place",
        "priority",
        "reason",
        "refused_until",
        "rtt",
        "since",
        "state",
        "trouble",
        "turn",
        "weight",
    )

    def __init__(self, place: str, line: Line, flow: Flow, domain: str, now: float) -> None:
        self.place = place
        """The SBC in the bundle that this is an address of."""
        self.line = line
        self.flow = flow
        """Where requests go: connection 0, so that one is made or used again."""
        self.domain = domain
        """Host of Request-URIs and To there."""
        self.priority = (0, 0)
        """The SBC's in the bundle, then that of its address by SRV."""
        self.weight = 1
        self.max_calls: int | None = None
        self.state: GatewayState = "unknown"
        self.since = now
        self.reason = "not asked yet"
        self.trouble = ""
        """Why its connection ended last, until it answers again."""
        self.rtt: float | None = None
        self.failed_at: float | None = None
        """When it last owed an answer; None: never since the start."""
        self.failure = ""
        """Why it did."""
        self.misses = self.answers = 0
        """In a row."""
        self.asked_at = now
        self.refused_until = 0.0
        """When it may be asked for calls again: it said so with Retry-After."""
        self.turn = 0
        """What weight has gathered; the largest is next."""

    def answered(self, needed: int, rtt: float, now: float) -> bool:
        """Take an answer to OPTIONS; tell whether it changed the state."""
        self.answers, self.misses = self.answers + 1, 0
        self.trouble, self.rtt = "", rtt
        return self._step("answered enough" if self.answers >= needed else "answered", "", now)

    def missed(self, needed: int, why: str, now: float) -> bool:
        """Take an OPTIONS without answer; tell whether it changed the state."""
        self.misses, self.answers = self.misses + 1, 0
        self.failed_at, self.failure = now, why
        return self._step("missed enough" if self.misses >= needed else "missed", why, now)

    def usable(self, now: float) -> bool:
        """Tell whether calls may be tried here."""
        return self.state in USABLE and self.refused_until <= now

    def options(self, identifiers: Identifiers, more: Iterable[Header]) -> Request:
        """Return the question whether it is well."""
        here = host_port(self.flow.local)
        return Request(
            "OPTIONS",
            f"sip:{self.domain}",
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:holdfast@{here}>;tag={identifiers.token()}"),
                ("To", f"<sip:{self.domain}>"),
                ("Call-ID", identifiers.token()),
                ("CSeq", "1 OPTIONS"),
                ("Contact", contact_uri(self.flow)),
                ("Accept", "application/sdp"),
                ("Allow", ALLOW),
                *more,
            ],
        )

    def _step(self, input: Input, why: str, now: float) -> bool:
        after = TRANSITIONS[self.state].get(input, self.state)
        self.reason = why or "answers"
        if after == self.state:
            return False
        self.state, self.since = after, now
        return True


def came_from(ours: Flow, flow: Flow) -> bool:
    """Tell whether a request came from an SBC without TLS: over UDP its port has to agree too."""
    if ours.transport != flow.transport:
        return False
    return ours.remote == flow.remote or (flow.reliable and ours.remote[0] == flow.remote[0])


def same_way(ours: Flow, flow: Flow) -> bool:
    """Tell whether a connection leads to an SBC."""
    return (ours.transport, ours.remote, ours.identity) == (
        flow.transport,
        flow.remote,
        flow.identity,
    )
