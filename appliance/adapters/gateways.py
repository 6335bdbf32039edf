"""Find SBCs and other sites: names to addresses, and our own address on the way there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import dns.asyncresolver

from appliance.adapters.addresses import family_of
from appliance.adapters.zone_address import ZoneAddresses
from appliance.call.actions import LocateGateway
from appliance.call.events import GatewayLocated
from appliance.errors import Unavailable
from appliance.sip.flow import Address

DEFAULT_PORTS = {"TLS": 5061, "TCP": 5060, "UDP": 5060}
"""RFC 3261, section 19.1.2."""

Answer = Callable[[GatewayLocated], None]


class Locator:
    """Look SBCs up; what was found once counts until something newer is found."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        resolver: dns.asyncresolver.Resolver | None = None,
        memory: Path | None = None,
    ) -> None:
        self._loop = loop
        self._addresses = ZoneAddresses(loop, resolver, memory, DEFAULT_PORTS)
        self._asking: set[asyncio.Task[None]] = set()

    def locate(self, asked: LocateGateway, answer: Answer) -> None:
        """Call `answer` once, soon, never now."""
        task = self._loop.create_task(self._locate(asked, answer))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def close(self) -> None:
        """Ask nobody any more."""
        for task in self._asking:
            task.cancel()
        self._addresses.close()

    async def _locate(self, asked: LocateGateway, answer: Answer) -> None:
        try:
            servers = await self._addresses.servers(asked)
        except Unavailable as error:
            answer(GatewayLocated(asked.key, failure=str(error)))
            return
        found = [(one, local) for one in servers if (local := local_address(one.address))]
        ways = tuple([(one.address, local) for one, local in found])
        shares = tuple([(one.priority, one.weight) for one, _ in found])
        failure = "" if ways else "there is no route to it"
        answer(GatewayLocated(asked.key, ways, failure, shares))


def local_address(remote: Address) -> str:
    """Return our own address on the way to another, as the kernel would choose it; or nothing."""
    with socket.socket(family_of(remote[0]), socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(remote)
        except OSError:
            return ""
        host: str = sock.getsockname()[0]
        return host
