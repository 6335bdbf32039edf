"""Where a zone is: SRV and addresses from DNS, and the last good answer when DNS is dead.

An outage often takes DNS with it, and a name that can't be looked up says nothing about the zone
behind it. So what was found once is used until something newer is found, also after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import dns.asyncresolver
import dns.exception
import dns.resolver
import msgspec

from appliance.adapters.addresses import is_numeric
from appliance.errors import Unavailable
from appliance.files import write_durably
from appliance.sip.flow import Address, Transport

SERVICES = {"TLS": "_sips._tcp", "TCP": "_sip._tcp", "UDP": "_sip._udp"}
"""RFC 3263, section 4.1."""
DEFAULT_PORTS = {"TLS": 5091, "TCP": 5060, "UDP": 5060}
SHORTEST, LONGEST = 5.0, 3600.0
"""Seconds an answer is used before DNS is asked again, whatever its TTL says."""
PATIENCE = 5.0
"""Seconds DNS may take for one question, other name servers included."""
MOST = 8
"""Addresses kept of a zone; a cloud has two or four."""


class Server(NamedTuple):
    """One address of a place, with its share by SRV (RFC 2782)."""

    address: Address
    priority: int = 0
    """Lower is tried first."""
    weight: int = 1
    """Share among equals."""


Found = tuple[list[Server], float]


class Place(Protocol):
    """What is looked for: a zone, an SBC, another site."""

    @property
    def host(self) -> str:
        """SRV name, host name or address."""
        ...

    @property
    def port(self) -> int | None:
        """None: SRV decides."""
        ...

    @property
    def transport(self) -> Transport:
        """By which it is spoken to."""
        ...


class ZoneAddresses:
    """Find zones; `memory` is a file that keeps the last good answers over restarts."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        resolver: dns.asyncresolver.Resolver | None = None,
        memory: Path | None = None,
        ports: Mapping[str, int] = DEFAULT_PORTS,
    ) -> None:
        """`ports` are by transport, for places that neither name one nor have SRV records."""
        self._loop = loop
        self._ports = ports
        self._resolver = resolver
        self._memory = memory
        self._known = _remembered(memory)
        self._fresh_until: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[list[Server]]] = {}

    async def find(self, zone: Place) -> list[Address]:
        """Return a zone's addresses, the preferred first; raises Unavailable when none is known."""
        return [server.address for server in await self.servers(zone)]

    async def servers(self, zone: Place) -> list[Server]:
        """Return the same with their shares.

        An answer that is out of date is used at once and renewed behind the caller's back.
        """
        if is_numeric(zone.host):
            return [Server((zone.host, zone.port or self._ports[zone.transport]))]
        key = f"{zone.transport} {zone.host} {zone.port or ''}"
        known = self._known.get(key)
        if known and self._loop.time() < self._fresh_until.get(key, 0.0):
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = self._loop.create_task(self._renew(key, zone))
            asking.add_done_callback(_heard)
        return known if known else await asyncio.shield(asking)

    def close(self) -> None:
        """Ask nobody any more."""
        for asking in self._asking.values():
            asking.cancel()

    async def _renew(self, key: str, zone: Place) -> list[Server]:
        try:
            addresses, seconds = await self._look_up(zone)
        except (dns.exception.DNSException, OSError) as error:
            self._fresh_until[key] = self._loop.time() + SHORTEST
            if key in self._known:
                return self._known[key]
            raise Unavailable(_words(error, zone.host)) from error
        finally:
            del self._asking[key]
        self._fresh_until[key] = self._loop.time() + min(max(seconds, SHORTEST), LONGEST)
        if sorted(addresses) != sorted(self._known.get(key, [])):
            self._known[key] = addresses
            self._remember()
        return addresses

    async def _look_up(self, zone: Place) -> Found:
        # A new one reads resolv.conf again: the site's name servers may have changed.
        resolver = self._resolver or dns.asyncresolver.Resolver()
        if zone.port is not None:
            return await _addresses(resolver, zone.host, zone.port)
        try:
            name = f"{SERVICES[zone.transport]}.{zone.host}"
            answer = await resolver.resolve(name, "SRV", search=False, lifetime=PATIENCE)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return await _addresses(resolver, zone.host, self._ports[zone.transport])
        servers = sorted(answer, key=lambda record: (record.priority, -record.weight))[:MOST]
        found, seconds = await _together(
            [
                _addresses(resolver, str(one.target), one.port, one.priority, one.weight)
                for one in servers
            ]
        )
        return found[:MOST], min(seconds, float(answer.rrset.ttl) if answer.rrset else SHORTEST)

    def _remember(self) -> None:
        if self._memory is not None:
            try:
                write_durably(self._memory, msgspec.json.encode(self._known))
            except Unavailable:
                return  # Without the file a restart needs DNS, no more; `store` tells of the disk.


async def _addresses(
    resolver: dns.asyncresolver.Resolver, name: str, port: int, priority: int = 0, weight: int = 1
) -> Found:
    questions = [_records(resolver, name, kind) for kind in ("A", "AAAA")]
    hosts, seconds = await _together(questions)
    return [Server((one.address[0], port), priority, weight) for one in hosts], seconds


async def _records(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> Found:
    answer = await resolver.resolve(name, kind, search=False, lifetime=PATIENCE)
    seconds = float(answer.rrset.ttl) if answer.rrset else SHORTEST
    return [Server((record.address, 0)) for record in answer], seconds


async def _together(questions: list[Coroutine[Any, Any, Found]]) -> Found:
    """Ask at once and put the answers in order; one good answer is enough."""
    found: list[Server] = []
    seconds = LONGEST
    failure: BaseException | None = None
    for answer in await asyncio.gather(*questions, return_exceptions=True):
        if isinstance(answer, BaseException):
            failure = failure or answer
            continue
        known = {server.address for server in found}
        found += [server for server in answer[0] if server.address not in known]
        seconds = min(seconds, answer[1])
    if failure is not None and not found:
        raise failure
    return found, seconds


def _heard(asking: asyncio.Task[list[Server]]) -> None:
    """Take a failure that nobody waits for any more; the next question meets it again."""
    if not asking.cancelled():
        asking.exception()


def _words(error: Exception, name: str) -> str:
    if isinstance(error, dns.resolver.NXDOMAIN):
        return f"the name {name} does not exist"
    if isinstance(error, dns.resolver.NoAnswer):
        return f"the name {name} has no address"
    if isinstance(error, dns.resolver.NoNameservers):
        return f"the name servers refuse to look up {name}"
    if isinstance(error, dns.resolver.NoResolverConfiguration):
        return "no name server is set up"
    if isinstance(error, dns.exception.Timeout):
        return f"no name server answers for {name}"
    return f"{name} cannot be looked up: {error}"


def _remembered(memory: Path | None) -> dict[str, list[Server]]:
    if memory is None:
        return {}
    try:
        return msgspec.json.decode(memory.read_bytes(), type=dict[str, list[Server]])
    except (OSError, msgspec.MsgspecError):
        return {}
