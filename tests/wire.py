"""A network in memory: endpoints on one wire that delays, loses, doubles and reorders datagrams.

    clock = Clock()
    wire = Wire(clock, seed=7, loss=0.1)
    wire.attach(("192.0.2.1", 5060), core_receive)
    wire.attach(("192.0.2.2", 5060), phone_receive)

`wire.send(flow, data)` is what an endpoint sends with. Streams (TCP, TLS) lose and reorder
nothing. The same seed gives the same weather.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from appliance.sip.flow import Address, Flow
from appliance.sip.timers import TimerQueue
from tests.clock import Clock

Receive = Callable[[bytes, Flow, float], object]


class Passed(NamedTuple):
    """One message as the wire saw it when it was sent."""

    when: float
    source: Address
    target: Address
    data: bytes
    copies: int
    """0: lost; 2: delivered twice."""

    @property
    def line(self) -> str:
        """Return the start line."""
        return self.data.partition(b"\r\n")[0].decode()


class Wire:
    """Carry what endpoints send to each other."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 1,
        loss: float = 0.0,
        doubled: float = 0.0,
        delay: float = 0.01,
        jitter: float = 0.0,
    ) -> None:
        self.loss = loss
        """Share of datagrams lost, 0 to 1."""
        self.doubled = doubled
        """Share of datagrams that arrive twice."""
        self.delay = delay
        """Seconds every message takes at least."""
        self.jitter = jitter
        """Seconds a datagram may take longer; more than their distance reorders them."""
        self.log: list[Passed] = []
        self._clock = clock
        self._dice = random.Random(seed)
        self._under_way = TimerQueue()
        self._endpoints: dict[Address, Receive] = {}
        self._doomed: list[bytes] = []
        clock.drive(self._under_way)

    def attach(self, address: Address, receive: Receive) -> None:
        """Deliver what is sent to `address`; `receive` gets it with the flow to answer on."""
        self._endpoints[address] = receive

    def detach(self, address: Address) -> None:
        """Unplug an endpoint; what is sent to it is lost."""
        self._endpoints.pop(address, None)

    def lose(self, *starts: bytes) -> None:
        """Lose the next datagram that begins with each of `starts`, whatever the weather."""
        self._doomed += starts

    def send(self, flow: Flow, data: bytes) -> None:
        """Take a message from `flow.local` to `flow.remote`."""
        copies = 1 if flow.reliable else self._copies(data)
        self.log.append(Passed(self._clock.now, flow.local, flow.remote, data, copies))
        arrival = flow._replace(local=flow.remote, remote=flow.local)
        for _ in range(copies):
            late = 0.0 if flow.reliable else self._dice.random() * self.jitter
            when = self._clock.now + self.delay + late
            self._under_way.arm(when, lambda now: self._deliver(arrival, data, now))

    def ladder(self) -> list[str]:
        """Return the start line of everything sent so far, in order."""
        return [passed.line for passed in self.log]

    def _copies(self, data: bytes) -> int:
        for start in self._doomed:
            if data.startswith(start):
                self._doomed.remove(start)
                return 0
        if self._dice.random() < self.loss:
            return 0
        return 2 if self._dice.random() < self.doubled else 1

    def _deliver(self, flow: Flow, data: bytes, now: float) -> None:
        receive = self._endpoints.get(flow.local)
        if receive is not None:
            receive(data, flow, now)
