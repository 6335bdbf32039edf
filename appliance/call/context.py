"""What every call needs of the core, handed in once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from appliance.bundle import Policies
from appliance.call.actions import Action
from appliance.call.line import Lines
from appliance.call.party import Party
from appliance.call.ports import PortPool
from appliance.call.reach import Reach
from appliance.call.steps import Park, Plan
from appliance.sip.dialog import Dialog, Dialogs
from appliance.sip.flow import Flow, host_port
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import ServerTransaction, Transactions
from appliance.sip.message import Request, Response
from appliance.sip.timers import TimerQueue
from appliance.sip.traces import Traces

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REGISTER, REFER, MESSAGE"
"""Methods we take from a phone (RFC 3261, 20.5)."""


class InDialog(Protocol):
    """Takes what comes inside its dialog; `leg.Leg` fulfils it."""

    dialog: Dialog | None

    def learn(self, message: Request | Response, flow: Flow | None = None) -> None:
        """Note what the phone says it can do, and the flow it says it on."""
        ...

    def take(self, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request, in order and new."""
        ...

    def acknowledged(self, ack: Request, now: float) -> None:
        """Take the ACK of a 2xx."""
        ...

    def acknowledge_lost(self, response: Response, now: float) -> None:
        """Take a 2xx to an INVITE that an earlier process has sent."""
        ...


class Exchange(Protocol):
    """Knows the site, for calls that go on to somebody else; `pbx.exchange.Exchange` fulfils it."""

    def plan(self, extension: str, dialled: str, now: float, at: Flow | None = None) -> Plan:
        """Return the plan of what a user's phone, on flow `at`, has asked for: by its rights."""
        ...

    def wait_on(self, extension: str, waits: Park, now: float) -> Plan:
        """Return the plan of somebody whom a user has parked, as an earlier process knew it."""
        ...

    def party(self, extension: str) -> Party:
        """Return how a user is shown to others."""
        ...


@dataclass(slots=True)
class CallContext:
    """The rooms a call works with, and the site's policies."""

    timers: TimerQueue
    transactions: Transactions
    identifiers: Identifiers
    ports: PortPool
    emit: Callable[[Action], None]
    """Adds one action to what the core returns."""
    wall: Callable[[float], float]
    """Turns monotonic seconds into Unix time, for records."""
    policies: Policies
    domain: str
    site: str
    reach: Reach
    """Where phones are whose connection has ended."""
    exchange: Exchange
    """Who finds the way for calls that are handed on."""
    lines: Lines = field(default_factory=Lines)
    """Which legs lead out of the site, and on which line."""
    traces: Traces = field(default_factory=Traces)
    """What is said in calls, for whoever looks into one."""
    legs: Dialogs[InDialog] = field(default_factory=Dialogs)
    """Every dialog of every leg: where in-dialog requests find their call."""


def contact_uri(flow: Flow) -> str:
    """Return our own Contact as the peer on `flow` reaches us."""
    address = host_port(flow.local)
    if flow.transport == "UDP":
        return f"<sip:holdfast@{address}>"
    return f"<sip:holdfast@{address};transport={flow.transport.lower()}>"


def decremented_max_forwards(request: Request) -> int:
    """Return the Max-Forwards to send on (RFC 3261, 16.6); 70 where the request had none."""
    value = request.max_forwards
    return 70 if value is None else value - 1
