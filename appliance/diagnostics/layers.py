"""Probe the layers on the way to a zone, one after the other: cable, gateway, DNS, TCP, TLS, SIP.

Everything is asked anew, over a connection of its own. The gateway is looked at beside the others:
whoever answers from beyond it proves that it passes packets, and its silence takes time to judge.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import dns.exception
import dns.resolver

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.link import carriers
from appliance.adapters.zone_address import ZoneAddresses
from appliance.adapters.zone_channel import (
    Channel,
    Failed,
    open_datagrams,
    open_streams,
    zone_context,
)
from appliance.adapters.zone_probe import options_to
from appliance.bundle import Zone
from appliance.diagnostics.gateway import gateway_answers
from appliance.diagnostics.ground import ANYWHERE, Way, way_to
from appliance.errors import LocalError, RemoteError, Unavailable
from appliance.evidence import Layer, Step
from appliance.pbx.zones import NO_LIFE
from appliance.sip.flow import Address, host_port
from appliance.sip.framing import BadMessage, parse
from appliance.sip.identifiers import MAGIC_COOKIE
from appliance.sip.message import Response

CONNECTING = 6.0
"""Seconds for TCP and TLS: a lost SYN is sent again after one second and after three."""
ANSWERING = 4.0
"""Seconds for the answer to OPTIONS."""
CERTIFICATE_KINDS = {9: "not_yet", 10: "expired", 62: "name", 64: "name"}
"""By the verify codes of OpenSSL (x509_vfy.h); all others mean that nobody trusted has signed."""
DNS_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (dns.resolver.NXDOMAIN, "no_name"),
    (dns.resolver.NoAnswer, "no_name"),
    (dns.resolver.NoNameservers, "refused"),
    (dns.resolver.NoResolverConfiguration, "no_server"),
    (dns.exception.Timeout, "silence"),
)
BEYOND = frozenset({"tcp", "tls", "certificate", "sip"})
"""Layers whose answer came through the gateway."""

Link = Callable[[], dict[str, bool]]
Gateway = Callable[[str, Way], Awaitable[bool | None]]


async def probe_layers(
    zone: Zone,
    memory: Path | None = None,
    link: Link = carriers,
    gateway: Gateway = gateway_answers,
) -> list[Step]:
    """Return what each layer tells; `memory` is the file of zones' last good addresses."""
    begun = monotonic()
    cable = _look_at_link(link)
    if cable.verdict == "fail":
        return [cable]
    names, addresses = await _look_up(zone, memory)
    router = asyncio.create_task(_look_at_gateway(addresses, gateway))
    try:
        reached = await _reach(zone, addresses) if addresses else []
        if any(step.layer in BEYOND and _answered(step) for step in reached):
            router.cancel()
            text = "passes packets: somebody beyond it has answered"
            passed = Step(layer="gateway", verdict="ok", text=text, seconds=monotonic() - begun)
        else:
            passed = await router
    finally:
        router.cancel()
    return [cable, passed, names, *reached]


def _answered(step: Step) -> bool:
    return step.verdict == "ok" or step.kind not in ("silence", "unreachable")


def _look_at_link(link: Link) -> Step:
    try:
        found = link()
    except OSError as error:
        return Step(layer="link", verdict="unknown", text=f"the kernel does not tell: {error}")
    if found and not any(found.values()):
        text = f"{', '.join(found)} has no signal"
        return Step(layer="link", verdict="fail", kind="no_signal", text=text)
    up = ", ".join(name for name, signal in found.items() if signal) or "no card is known"
    return Step(layer="link", verdict="ok", text=f"signal on {up}")


async def _look_up(zone: Zone, memory: Path | None) -> tuple[Step, list[Address]]:
    """Ask DNS anew; what was known before serves where it does not answer."""
    begun = monotonic()
    loop = asyncio.get_running_loop()
    fresh = ZoneAddresses(loop)
    try:
        addresses = await fresh.find(zone)
    except Unavailable as error:
        kind = next((kind for kinds, kind in DNS_KINDS if isinstance(error.__cause__, kinds)), "")
        known = await _remembered(zone, memory)
        last = f"; it was at {host_port(known[0])} before" if known else ""
        text, spent = f"{error}{last}", monotonic() - begun
        step = Step(layer="dns", verdict="fail", kind=kind or "other", text=text, seconds=spent)
        return step, known
    finally:
        fresh.close()
    found = ", ".join(host_port(address) for address in addresses)
    if addresses and addresses[0][0] == zone.host:
        return Step(layer="dns", verdict="skipped", text=f"{zone.host} is an address"), addresses
    text = f"{zone.host} is {found}"
    return Step(layer="dns", verdict="ok", text=text, seconds=monotonic() - begun), addresses


async def _remembered(zone: Zone, memory: Path | None) -> list[Address]:
    if memory is None or not memory.exists():
        return []
    kept = ZoneAddresses(asyncio.get_running_loop(), memory=memory)
    try:
        return list(await kept.find(zone))
    except Unavailable:
        return []
    finally:
        kept.close()


async def _look_at_gateway(addresses: list[Address], gateway: Gateway) -> Step:
    begun = monotonic()
    somewhere = addresses[0][0] if addresses else ANYWHERE[4]
    try:
        way = await asyncio.to_thread(way_to, somewhere)
    except LocalError as error:
        return Step(layer="gateway", verdict="unknown", text=str(error))
    if way is None:
        text = f"no route leads to {somewhere}"
        return Step(layer="gateway", verdict="fail", kind="no_route", text=text)
    if not way.gateway:
        text = f"{somewhere} is on our own network ({way.card})"
        return Step(layer="gateway", verdict="skipped", text=text)
    answers = await gateway(way.gateway, way)
    spent = monotonic() - begun
    place = f"{way.gateway} on {way.card}"
    if answers is None:
        text = f"{place} says nothing, which may be its habit"
        return Step(layer="gateway", verdict="unknown", text=text, seconds=spent)
    if answers:
        return Step(layer="gateway", verdict="ok", text=f"{place} is alive", seconds=spent)
    return Step(layer="gateway", verdict="fail", kind="silence", text=place, seconds=spent)


class _Stages:
    """What has been waited for while connecting."""

    def __init__(self) -> None:
        self.layer: Layer = "tcp"
        self.place = ""
        self.begun = monotonic()
        self.connected = 0.0

    def reached(self, layer: str, address: Address) -> None:
        self.place = self.place if self.layer == "tls" and layer == "tcp" else host_port(address)
        if layer == "tls" and self.layer == "tcp":
            self.layer, self.connected = "tls", monotonic()


class Listening:
    """Takes the answer to OPTIONS."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def heard(self, data: bytes) -> None:
        """Keep the first final answer."""
        with suppress(BadMessage, RemoteError):
            message = parse(data)
            if isinstance(message, Response) and message.status >= 200 and not self.answer.done():
                self.answer.set_result(message)

    def lost(self, channel: Channel, failure: Failed) -> None:
        """Give up: the connection has ended."""
        self.troubled(failure)

    def troubled(self, failure: Failed) -> None:
        """Give up: ICMP says that there will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(failure)


async def _reach(zone: Zone, addresses: list[Address]) -> list[Step]:
    """Connect and ask; return a step for each layer that was reached."""
    stages, listener = _Stages(), Listening()
    try:
        async with asyncio.timeout(CONNECTING):
            channel = await _connect(zone, addresses, stages, listener)
    except TimeoutError:
        quiet = {"tcp": "does not answer", "tls": "does not begin TLS"}[stages.layer]
        text = f"{stages.place} {quiet} within {CONNECTING:g} s"
        return _failed(stages, stages.layer, "silence", text)
    except Failed as failure:
        layer, kind = _kind(failure)
        return _failed(stages, layer, kind, failure.text)
    finally:
        if listener.answer.done():
            listener.answer.exception()
    try:
        return [*_passed(zone, stages), await _ask(zone, channel, listener)]
    finally:
        channel.close()


async def _connect(
    zone: Zone, addresses: list[Address], stages: _Stages, listener: Listening
) -> Channel:
    if zone.transport == "UDP":
        return await open_datagrams(addresses, listener)
    tls = (zone_context(zone), zone.host) if zone.transport == "TLS" else None
    return await open_streams(addresses, listener, tls, stages.reached)


def _kind(failure: Failed) -> tuple[Layer, str]:
    """Return layer and kind of a failure to connect."""
    cause = failure.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "certificate", CERTIFICATE_KINDS.get(cause.verify_code, "untrusted")
    if failure.layer == "certificate":
        return "certificate", "untrusted"
    layer: Layer = "tls" if failure.layer == "tls" else "sip" if failure.layer == "sip" else "tcp"
    if isinstance(cause, ConnectionError):
        return layer, "reset"
    number = cause.errno if isinstance(cause, OSError) else None
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return layer, "unreachable"
    return layer, "silence" if number == errno.ETIMEDOUT else "other"


def _failed(stages: _Stages, layer: Layer, kind: str, text: str) -> list[Step]:
    steps: list[Step] = []
    now = monotonic()
    if layer in ("tls", "certificate") and stages.connected:
        steps.append(_tcp(stages))
    if layer == "certificate":
        text_of_tls = "the handshake went as far as the certificate"
        steps.append(Step(layer="tls", verdict="ok", text=text_of_tls))
    spent = now - (stages.connected or stages.begun)
    return [*steps, Step(layer=layer, verdict="fail", kind=kind, text=text, seconds=spent)]


def _passed(zone: Zone, stages: _Stages) -> list[Step]:
    if zone.transport == "UDP":
        return []
    if zone.transport == "TCP":
        stages.connected = monotonic()
        return [_tcp(stages)]
    spent = monotonic() - stages.connected
    return [
        _tcp(stages),
        Step(layer="tls", verdict="ok", text="the handshake is done", seconds=spent),
        Step(layer="certificate", verdict="ok", text=f"good for {zone.host}"),
    ]


def _tcp(stages: _Stages) -> Step:
    spent = stages.connected - stages.begun
    return Step(layer="tcp", verdict="ok", text=f"{stages.place} connects", seconds=spent)


async def _ask(zone: Zone, channel: Channel, listener: Listening) -> Step:
    """Ask OPTIONS once, and judge the answer as the mode does."""
    identifiers, begun = RandomIdentifiers(), monotonic()
    branch = MAGIC_COOKIE + identifiers.token()
    channel.send(options_to(zone, channel.local, branch, identifiers).encode())
    try:
        async with asyncio.timeout(ANSWERING):
            answer = await listener.answer
    except TimeoutError:
        text = f"no answer to OPTIONS within {ANSWERING:g} s"
        return Step(layer="sip", verdict="fail", kind="silence", text=text, seconds=ANSWERING)
    except Failed as failure:
        spent = monotonic() - begun
        return Step(layer="sip", verdict="fail", kind="reset", text=failure.text, seconds=spent)
    text = f"it answers {answer.status} to OPTIONS"
    spent = monotonic() - begun
    if answer.status in NO_LIFE:
        return Step(layer="sip", verdict="fail", kind="refusing", text=text, seconds=spent)
    return Step(layer="sip", verdict="ok", text=text, seconds=spent)
