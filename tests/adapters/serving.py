"""An inbox that echoes, and real sockets around it, on either event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from appliance.adapters.tls import ensure_certificate, server_context
from appliance.adapters.wire import SipWire
from appliance.call.actions import Notice
from appliance.settings import Settings
from appliance.sip.flow import Address, Flow, Transport

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

REGISTER = (
    b"REGISTER sip:example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Echo:
    """Send back what comes, and remember it."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Flow]] = []
        self.gone: list[Flow] = []
        self.notices: list[Notice] = []
        self.wire: SipWire | None = None
        self.silent = False

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        self.received.append((data, flow))
        if not self.silent and self.wire is not None:
            self.wire.send(flow, data)

    def lost(self, flow: Flow, reason: str = "") -> None:
        self.gone.append(flow)

    def settled(self) -> None:
        pass


Scenario = Callable[[SipWire, Echo], Awaitable[None]]


def serve(loop: str, folder: Path, scenario: Scenario, **settings: Any) -> None:
    """Run `scenario` beside a wire on free ports of 127.0.0.1 and ::1."""

    async def all_of_it() -> None:
        echo = Echo()
        settings.setdefault("addresses", ("127.0.0.1", "::1"))
        chosen = Settings(sip_port=0, sips_port=0, data=folder, **settings)
        context = server_context(*ensure_certificate(folder, ["localhost", "127.0.0.1"]))
        running = asyncio.get_running_loop()
        wire = echo.wire = SipWire(running, echo, echo.notices.append, chosen, context)
        wire.start()
        try:
            await asyncio.wait_for(scenario(wire, echo), 20)
        finally:
            wire.stop()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(all_of_it())


def place(wire: SipWire, transport: Transport, host: str = "127.0.0.1") -> Address:
    """Return where `transport` is served."""
    return next(address for address in wire.served[transport] if address[0] == host)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for something that will happen soon."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)
