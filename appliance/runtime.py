"""Runs the core: hands it what happens, performs what it asks, in order, and keeps its one timer.

Here is the only `except Exception`: a bug met by one message costs that message, never the service.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Protocol

import msgspec

from appliance.adapters.ipc import IpcPeer
from appliance.adapters.journal import Journal
from appliance.adapters.store import Store
from appliance.bundle import Bundle
from appliance.call.actions import (
    Action,
    Close,
    DropAlert,
    DropBinding,
    DropCallback,
    DropRelay,
    LocateGateway,
    Notice,
    ProbeZone,
    PutRelay,
    SaveAlert,
    SaveBinding,
    SaveCall,
    SaveCallback,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    SaveSighting,
    SaveStop,
    Send,
    TrustGateways,
)
from appliance.call.events import GatewayLocated, MediaEvent, ZoneAnswer
from appliance.errors import HoldfastError, LocalError
from appliance.inquiries import INQUIRIES
from appliance.ports import Certificates, GatewayLocator, MediaPlane, Wire, ZoneProber
from appliance.sip.flow import Flow
from appliance.sounds.preparation import without_audio

TRACEBACKS = 100
"""Tracebacks written since the start; what comes after is only counted, or it would fill the disk.
"""
SHORTEST_SLEEP = 0.001
"""Seconds; the loop's clock has milliseconds only."""


class Decider(Protocol):
    """The core as the runtime knows it; `core.Core` fulfils it."""

    def start(self, now: float) -> list[Action]:
        """Begin."""
        ...

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """Take one whole message."""
        ...

    def lost(self, flow: Flow, now: float, reason: str = "") -> list[Action]:
        """Take the end of a stream connection."""
        ...

    def expire(self, now: float) -> list[Action]:
        """Do what is due."""
        ...

    def deadline(self) -> float | None:
        """Return when something is due next."""
        ...

    def zone_answered(self, answer: ZoneAnswer, now: float) -> list[Action]:
        """Take the outcome of a `ProbeZone`."""
        ...

    def gateway_located(self, event: GatewayLocated, now: float) -> list[Action]:
        """Take the outcome of a `LocateGateway`."""
        ...

    def media_event(self, event: MediaEvent, now: float) -> list[Action]:
        """Take what the media plane tells."""
        ...

    def apply(self, bundle: Bundle, now: float) -> list[Action]:
        """Serve this bundle from now on."""
        ...

    @property
    def left(self) -> int:
        """How many calls of the last process have not been taken up yet."""
        ...

    def take_up(self, now: float) -> list[Action]:
        """Go on with one of them, or end it."""
        ...

    def command(self, name: str, arguments: dict[str, Any], now: float) -> tuple[Any, list[Action]]:
        """Carry out one command; raises LocalError for an unknown one."""
        ...


class Runtime:
    """Join one core with the world; fulfils `ports.Inbox`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        core: Decider,
        store: Store,
        media: MediaPlane,
        prober: ZoneProber,
        outside: tuple[GatewayLocator, Certificates],
        journal: Journal,
    ) -> None:
        self._loop = loop
        self._core = core
        self.store = store
        self.journal = journal
        self.certificates = outside[1]
        self.media = media
        self._send: Callable[[Flow, bytes], None] = _nowhere
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf
        self.bundle: Bundle | None = None
        self.statistics: Callable[[], dict[str, Any]] = dict
        self._followers: list[Callable[[Bundle], None]] = []
        self.messages = 0
        """SIP messages received since the start."""
        self.faults = 0
        """Bugs met since the start."""
        self._performers: dict[type[Any], Callable[[Any], None]] = {
            Send: lambda action: self._send(action.flow, action.data),
            PutRelay: lambda action: media.put(action.relay),
            DropRelay: lambda action: media.drop(action.key),
            SaveBinding: store.save,
            DropBinding: store.save,
            SaveForwarding: store.save,
            SaveStop: store.save,
            SaveSighting: store.save,
            SaveCall: store.save,
            SaveRecord: journal.telling(store.save),
            SaveMode: store.save,
            SaveCallback: store.save_now,
            DropCallback: store.save,
            SaveAlert: lambda action: (store.save_now if action.waits else store.save)(action),
            DropAlert: store.save,
            ProbeZone: lambda a: prober.probe(a.zone, a.timeout, self._zone_answered),
            LocateGateway: lambda a: outside[0].locate(a, self._gateway_located),
            TrustGateways: lambda a: outside[1].trust(a.trusts),
            Notice: journal.notice,
        }
        media.on_event(self._media_event)

    def start(self, wire: Wire, statistics: Callable[[], dict[str, Any]] = dict) -> None:
        """Begin to run the core; `statistics` is added to the answer to `status`."""
        self._send = wire.send
        self._performers[Close] = lambda action: wire.close(action.flow)
        self.statistics = statistics
        self._act("start", self._core.start)

    def stop(self) -> None:
        """Let no timer fire any more."""
        self._disarm()

    def on_bundle(self, follow: Callable[[Bundle], None]) -> None:
        """Name who is told of each bundle from now on, once the core serves it."""
        self._followers.append(follow)

    def apply(self, bundle: Bundle) -> None:
        """Serve this bundle from now on; raises LocalError when the core refuses it."""
        # Recordings may be most of a bundle, and the core never listens to them.
        lean = without_audio(bundle)
        self._perform(self._core.apply(lean, monotonic()))
        while self._core.left:
            self._act("a call of the last process", self._core.take_up)
        self.bundle = lean
        for follow in self._followers:
            self._tell(follow, bundle)
        self.settled()

    # What happens. Every entry looks at the timer when it is done; messages do once per batch.

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram or one whole message of a stream."""
        self.messages += 1
        try:
            # The way of nearly every message, kept free of calls: see benchmarks/adapter_udp.py.
            for action in self._core.receive(data, flow, now):
                if type(action) is Send:
                    self._send(action.flow, action.data)
                else:
                    self._do(action)
        except Exception:
            self._fault(f"a message from {flow}: {data[:200]!r}")

    def lost(self, flow: Flow, reason: str = "") -> None:
        """Learn that a stream connection ended, or could not be made, and why."""
        self._act(f"lost {flow}", lambda now: self._core.lost(flow, now, reason))

    def settled(self) -> None:
        """Look when the core wants to be called next."""
        deadline = self._core.deadline()
        if deadline is not None and deadline < self._armed:
            self._disarm()
            self._armed = deadline
            wait = max(SHORTEST_SLEEP, deadline - monotonic())
            self._timer = self._loop.call_later(wait, self._expire)

    def _expire(self) -> None:
        self._timer, self._armed = None, math.inf
        self._act("expire", self._core.expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed = None, math.inf

    def _zone_answered(self, answer: ZoneAnswer) -> None:
        self._act(f"{answer}", lambda now: self._core.zone_answered(answer, now))

    def _gateway_located(self, event: GatewayLocated) -> None:
        self._act(f"{event}", lambda now: self._core.gateway_located(event, now))

    def _media_event(self, event: MediaEvent) -> None:
        self._act(f"{event}", lambda now: self._core.media_event(event, now))

    def _act(self, what: str, act: Callable[[float], Iterable[Action]]) -> None:
        try:
            self._perform(act(monotonic()))
        except Exception:
            self._fault(what)
        self.settled()

    def _perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        """Perform one action; what goes wrong with it does not keep the next from happening."""
        try:
            self._performers[type(action)](action)
        except Exception:
            self._fault(f"the action {type(action).__name__}")

    def _tell(self, follow: Callable[[Bundle], None], bundle: Bundle) -> None:
        try:
            follow(bundle)
        except Exception:
            self._fault(f"what follows bundle version {bundle.version}")

    def _fault(self, where: str) -> None:
        self.faults += 1
        if self.faults <= TRACEBACKS:
            self.journal.fault(where, traceback.format_exc())

    # What our other processes ask.

    async def command(self, name: str, arguments: dict[str, Any], peer: IpcPeer) -> Any:
        """Carry out one command; raises LocalError or Unavailable with what to tell."""
        try:
            act = INQUIRIES.get(name)
            if act is not None:
                return await act(self, arguments)
            return self.ask_core(name, arguments)
        except HoldfastError:
            raise
        except msgspec.ValidationError as error:
            raise LocalError(f"{name}: {error}") from error
        except Exception as error:
            self._fault(f"the command {name}")
            raise LocalError(f"{name} met a bug of ours; the journal tells more") from error

    def ask_core(self, name: str, arguments: dict[str, Any]) -> Any:
        """Have the core answer, and do what it wants done for that."""
        result, actions = self._core.command(name, arguments, monotonic())
        self._perform(actions)
        self.settled()
        return result


def _nowhere(flow: Flow, data: bytes) -> None:
    """Stand for the wire until there is one."""
