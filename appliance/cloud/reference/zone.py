"""One SIP zone of the reference cloud, and the states it can be commanded into."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from itertools import cycle
from typing import Any

from appliance.cloud.reference.faults import EFFECTS, Effect, State, ZoneOrder
from appliance.cloud.reference.zone_registrar import ZoneRegistrar
from appliance.cloud.reference.zone_sockets import Reply, ZoneSockets
from appliance.errors import RemoteError
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.message import Request, Response

UP_AND_DOWN: tuple[State, ...] = ("up", "down")
"""What a flapping zone does in turn."""


class Zone:
    """Answer OPTIONS, register phones, and fail on command."""

    def __init__(
        self,
        zone_id: str,
        address: str,
        port: int,
        registrar: ZoneRegistrar,
        tls: ssl.SSLContext,
        broken_tls: ssl.SSLContext,
        misnamed_tls: ssl.SSLContext,
    ) -> None:
        self.id = zone_id
        self.registrar = registrar
        self.order = ZoneOrder(state="up")
        self.requests: Counter[str] = Counter()
        """Requests answered, by method."""
        self._tls = tls
        self._broken_tls = broken_tls
        self._misnamed_tls = misnamed_tls
        self._sockets = ZoneSockets(address, port, self._receive)
        self._effect = EFFECTS["down"]
        self._delay = 0.0
        self._flapping: asyncio.Task[None] | None = None
        self._steady = asyncio.Event()

    @property
    def port(self) -> int:
        """The port of every transport."""
        return self._sockets.port

    async def start(self) -> None:
        """Open the sockets; LocalError when the port is taken."""
        await self._become("up")

    async def stop(self) -> None:
        """Close everything; harmless when stopped already."""
        await self._stop_flapping()
        await self._become("down")

    async def command(self, order: ZoneOrder) -> None:
        """Go into a state and stay there until the next command."""
        await self._stop_flapping()
        self.order = order
        if order.state == "flapping":
            await self._become("down")
            self._steady = asyncio.Event()
            self._flapping = asyncio.create_task(self._flap(order.period, self._steady))
        else:
            await self._become(order.state)

    def status(self) -> dict[str, Any]:
        """Return what an admin wants to know of the zone."""
        users = self.registrar.registered(time.monotonic())
        return {
            "id": self.id,
            "state": self.order.state,
            "listening": self._effect.listening,
            "port": self.port,
            "connections": self._sockets.connections,
            "registered": len(users),
            "users": users,
            "requests": dict(self.requests),
        }

    async def _flap(self, period: float, steady: asyncio.Event) -> None:
        """Go up and down until it is to be steady; never cancelled, as that may be half-way."""
        for state in cycle(UP_AND_DOWN):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await steady.wait()
            if steady.is_set():
                return
            await self._become(state)

    async def _stop_flapping(self) -> None:
        if self._flapping is not None:
            self._steady.set()
            await self._flapping
            self._flapping = None

    async def _become(self, state: State) -> None:
        before, effect = self._effect, EFFECTS[state]
        self._effect = effect
        self._delay = effect.delay if self.order.delay is None else self.order.delay
        self._sockets.mute = not effect.speaking
        self._sockets.tls = self._shown(effect)
        if not effect.listening:
            # A server that died has forgotten its phones.
            self.registrar.clear()
            await self._sockets.close()
        elif not before.listening:
            await self._sockets.open()
        elif _needs_new_connections(before, effect):
            self._sockets.cut()

    def _shown(self, effect: Effect) -> ssl.SSLContext:
        if effect.misnamed:
            return self._misnamed_tls
        return self._broken_tls if effect.tls_broken else self._tls

    def _receive(self, data: bytes, flow: Flow, reply: Reply) -> None:
        if not self._effect.speaking:
            return
        response = self._answer(data, flow)
        if response is None:
            return
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, reply, response.encode())
        else:
            reply(response.encode())

    def _answer(self, data: bytes, flow: Flow) -> Response | None:
        try:
            request = parse(data)
            if not isinstance(request, Request) or request.method == "ACK":
                return None
            self.requests[request.method] += 1
            if self._effect.refusing:
                return request.response(503, to_tag="busy", headers=[("Retry-After", "5")])
            return self.registrar.answer(request, flow, time.monotonic())
        except RemoteError:
            # What cannot be parsed gets no answer here; Holdfast is the careful one, not this.
            return None


def _needs_new_connections(before: Effect, after: Effect) -> bool:
    """Tell whether connections made so far would hide the new state."""
    return (before.speaking, before.tls_broken, before.misnamed) != (
        after.speaking,
        after.tls_broken,
        after.misnamed,
    )
