"""The relays of a call: their two sides, and what becomes of one when a side changes."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.call.actions import Relay, RelaySide
from appliance.call.codecs import PLAYABLE

EVENTS = "TELEPHONE-EVENT"
CALLER, CALLEE = 0, 1
"""Sides of a call: that of the caller, or who has taken its part; and the other."""


def opposite(side: int) -> int:
    """Return the other side."""
    return CALLEE if side == CALLER else CALLER


def with_us(before: Relay | None, key: str, revision: int, us: RelaySide, side: int) -> Relay:
    """Return a relay in which only the phone on one side is heard and hears: us.

    The other end of one that was there stays open, with nobody there: no port has to be moved.
    """
    if before is None or before.b is None:
        return Relay(key, revision, us, None)
    other = before.b if side == CALLER else before.a
    nobody = replace(other, remote=None, remote_rtcp=None, learn=False, hears=None, record="")
    sides = (us, nobody) if side == CALLER else (nobody, us)
    return Relay(key, revision, *sides)


def moved(relay: Relay, side: int, port: int, revision: int) -> Relay:
    """Return a relay with another port of ours on one side."""
    end = relay.a if side == CALLER else relay.b
    if end is None:
        return relay
    end = replace(end, local=(end.local[0], port))
    if side == CALLER:
        return replace(relay, revision=revision, a=end)
    return replace(relay, revision=revision, b=end)


def has_events(side: RelaySide) -> bool:
    """Tell whether a phone has telephone events (RFC 4733)."""
    return any(codec.name == EVENTS for codec in side.codecs)


def is_deaf(side: RelaySide | None) -> bool:
    """Tell whether keys have to be tones here: no telephone events, and a codec that has sounds."""
    if side is None or side.remote is None or has_events(side):
        return False
    return any(codec.name in PLAYABLE for codec in side.codecs)


def with_keys(side: RelaySide, other: RelaySide, is_outside: bool) -> RelaySide:
    """Return a side whose keys are told to us where the other, outside, needs them as tones."""
    if is_outside and is_deaf(other) and has_events(side):
        return replace(side, digits=True)
    return side


def protection_of(relay: Relay) -> str:
    """Return how a relay's two legs are protected, for the record; empty: clear RTP."""
    a, b = relay.a, relay.b
    suites = [side.sends.suite if side and side.sends else "RTP" for side in (a, b)]
    if suites == ["RTP", "RTP"] or b is None:
        return "" if suites[0] == "RTP" else f"SRTP: caller {suites[0]}"
    passes = a.sends == b.receives and b.sends == a.receives
    way = "passed" if passes else "bridged"
    return f"SRTP: caller {suites[0]}, callee {suites[1]}, {way}"
