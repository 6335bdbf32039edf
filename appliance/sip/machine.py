"""What runs a transaction's table: the state it is in, its timers, the shelf it is found on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from appliance.sip.flow import Flow
from appliance.sip.message import Message
from appliance.sip.timers import T1, T2, T4, TIMEOUT, TIMER_D, Lane, Timer, TimerQueue
from appliance.sip.transaction import Do, Input, State, Table

Act = Callable[[Any, float, Any], None]
"""What a `Do` stands for: called with the transaction, now and the message that came, if any."""
Rows = dict[Input, tuple[State, "Rows", tuple[Act, ...]]]
Program = Mapping[State, Rows]
MergeKey = tuple[str, str, int]
"""From tag, Call-ID and CSeq number: equal where one request came on two ways (8.2.2.2)."""

_LINGERING: Mapping[Input, tuple[float, bool]] = {
    "timer D": (TIMER_D, False),
    "timer I": (T4, False),
    "timer J": (TIMEOUT, False),
    "timer K": (T4, False),
    "timer L": (TIMEOUT, True),
    "timer M": (TIMEOUT, True),
}
"""Timers that only forget a transaction: seconds, and whether they run on reliable transports."""


def program(table: Table, acts: Mapping[Do, Act]) -> Program:
    """Bind a table's words to what they do, so that a step costs one look-up."""
    known = {**_TIMER_ACTS, **acts}
    states: dict[State, Rows] = {state: {} for state in table}
    for state, rows in table.items():
        for event, (after, todo) in rows.items():
            states[state][event] = (after, states[after], tuple([known[do] for do in todo]))
    return states


class Room:
    """What all transactions of one core share."""

    __slots__ = ("answered", "clients", "invited", "lanes", "on_flow", "send", "servers", "timers")

    def __init__(self, timers: TimerQueue, send: Callable[[Flow, bytes], None]) -> None:
        self.timers = timers
        self.send = send
        self.lanes = {event: _lane(timers, event) for event in _LINGERING}
        """Where transactions wait that have nothing left to do but be forgotten."""
        self.clients: dict[str, Transaction] = {}
        self.on_flow: dict[Flow, dict[str, Transaction]] = {}
        """The clients on each stream flow: those that fail when it is lost."""
        self.servers: dict[str, Transaction] = {}
        self.invited: dict[MergeKey, Transaction] = {}
        """The INVITEs outside dialogs among `servers`."""
        self.answered: dict[str, Transaction] = {}
        """Non-INVITE server transactions that only repeat their answer now."""


def _lane(timers: TimerQueue, event: Input) -> Lane[Transaction]:
    def expire(transaction: Transaction, now: float) -> None:
        transaction.step(event, now)

    return Lane(timers, _LINGERING[event][0], expire)


class Transaction:
    """Move through one table; `step` is the only way its state changes."""

    __slots__ = (
        "_first",
        "_interval",
        "_key",
        "_room",
        "_rows",
        "_shelf",
        "_timers",
        "flow",
        "state",
    )

    def __init__(
        self, room: Room, program: Program, flow: Flow, key: str, shelf: dict[str, Any]
    ) -> None:
        self._room = room
        self.state, self._rows, self._first = program["initial"]["start"]
        self._key = key
        self._shelf = shelf
        self._timers: dict[Input, Timer] | None = None
        self._interval = 0.0
        self.flow = flow
        """The way the request came or went."""
        shelf[key] = self

    def begin(self, now: float) -> None:
        """Do what the table wants at the start; call it once, when the transaction is complete."""
        for act in self._first:
            act(self, now, None)

    def step(self, event: Input, now: float, message: Message | None = None) -> bool:
        """Take one input; False, and nothing done, where the state has no row for it."""
        row = self._rows.get(event)
        if row is None:
            return False
        state, rows, acts = row
        if rows is not self._rows:
            self.state = state
            self._rows = rows
            if self._timers:
                self._stop_foreign_timers()
            if not rows:
                self._forget()
        for act in acts:
            act(self, now, message)
        return True

    def _forget(self) -> None:
        self._shelf.pop(self._key, None)

    def _arm(self, event: Input, when: float) -> None:
        if self._timers is None:
            self._timers = {}
        self._timers[event] = self._room.timers.arm(when, partial(self.step, event))

    def _stop_foreign_timers(self) -> None:
        """Stop every timer that the state just entered has no row for."""
        timers = self._timers or {}
        for event in [event for event in timers if event not in self._rows]:
            timers.pop(event).cancel()

    def _retransmit_later(self, event: Input, now: float, longest: float) -> None:
        """Wait T1 first, then each time twice as long up to `longest`."""
        if not self.flow.reliable:
            self._interval = min(2 * self._interval or T1, longest)
            self._arm(event, now + self._interval)

    def _linger(self, event: Input, now: float) -> None:
        if self.flow.reliable and not _LINGERING[event][1]:
            self.step(event, now)
        else:
            self._room.lanes[event].add(self, now)


def _waiting_once(event: Input) -> Act:
    """Return the act that gives up after 64*T1."""

    def act(transaction: Transaction, now: float, message: object) -> None:
        transaction._arm(event, now + TIMEOUT)

    return act


def _retransmitting(event: Input, longest: float) -> Act:
    def act(transaction: Transaction, now: float, message: object) -> None:
        transaction._retransmit_later(event, now, longest)

    return act


def _retransmitting_slowly(transaction: Transaction, now: float, message: object) -> None:
    transaction._interval = T2
    transaction._retransmit_later("timer E", now, T2)


def _lingering(event: Input) -> Act:
    def act(transaction: Transaction, now: float, message: object) -> None:
        transaction._linger(event, now)

    return act


_TIMER_ACTS: Mapping[Do, Act] = {
    "start A": _retransmitting("timer A", math.inf),
    "start B": _waiting_once("timer B"),
    "start D": _lingering("timer D"),
    "start E": _retransmitting("timer E", T2),
    "start E at T2": _retransmitting_slowly,
    "start F": _waiting_once("timer F"),
    "start G": _retransmitting("timer G", T2),
    "start H": _waiting_once("timer H"),
    "start I": _lingering("timer I"),
    "start J": _lingering("timer J"),
    "start K": _lingering("timer K"),
    "start L": _lingering("timer L"),
    "start M": _lingering("timer M"),
}
