"""Calls that leave the site or come from outside, for rooms that are blind to each other."""

from __future__ import annotations

from typing import Protocol

import msgspec

from appliance.bundle import User
from appliance.call.line import Line
from appliance.call.steps import Plan
from appliance.sip.flow import Flow
from appliance.sip.head import Header
from appliance.sip.message import Request


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A call that wants to leave the site."""

    dialled: str
    caller: User
    """Who calls; with an empty id somebody outside."""
    payer: User
    """By whose right: the caller's, or that of the user who sent the call on."""
    passed: tuple[str, ...] = ()
    """Extensions that have sent the call on, here and at other sites, with their site codes."""
    diverted: str = ""
    """Why the payer's calls go on, as `steps.Diverted.reason`; empty: it was not forwarded."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls whom."""

    caller: User
    """Somebody outside has an empty id and may call nobody outside."""
    dialled: str
    """What was called, as somebody here dials it."""
    line: Line | None
    """The line that it came on; None: from a phone here."""
    passed: tuple[str, ...] = ()
    """As in `Leaving`."""


class Outside(Protocol):
    """Everything beyond the site; `sbc_bridge.trunk.Trunk` fulfils it."""

    def knows(self, flow: Flow) -> bool:
        """Tell whether a request on this flow comes from an SBC or another site."""
        ...

    def greeted(self, request: Request, flow: Flow, now: float) -> tuple[Header, ...]:
        """Take an OPTIONS; return what its answer tells besides."""
        ...

    def arrival(self, request: Request, flow: Flow) -> Arrival:
        """Return what an INVITE from there means; raises RemoteError for what is not ours."""
        ...

    def called_back(self, request: Request) -> str:
        """Return the number an INVITE from there is for, if somebody is called back on it (E7)."""
        ...

    def plan(self, leaving: Leaving, now: float) -> Plan | None:
        """Return the plan of a call to the outside; None: what was dialled is nothing there."""
        ...

    def anew(self, flow: Flow) -> Flow | None:
        """Return how to reach whom a flow that has ended led to; None: nobody out there."""
        ...


class Nothing:
    """No outside at all: a site without a trunk."""

    def knows(self, flow: Flow) -> bool:
        """Know nobody."""
        return False

    def greeted(self, request: Request, flow: Flow, now: float) -> tuple[Header, ...]:
        """Tell nobody anything."""
        return ()

    def arrival(self, request: Request, flow: Flow) -> Arrival:
        """Never be asked."""
        raise AssertionError("a call from outside where there is none")

    def called_back(self, request: Request) -> str:
        """Lead back to nobody."""
        return ""

    def plan(self, leaving: Leaving, now: float) -> Plan | None:
        """Lead nowhere."""
        return None

    def anew(self, flow: Flow) -> Flow | None:
        """Find nobody."""
        return None
