"""CPU per phone over TCP and TLS that adapter and runtime need, step by step.

    python -m benchmarks.adapter_streams

Client and server share the process, but only the server's steps are timed, and the smallest time
of many rounds counts: so other programs on the machine hardly show. The core only echoes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable

import uvloop

from appliance.adapters.listener import Listener
from appliance.adapters.wire import SipWire
from appliance.call.actions import Action
from appliance.sip.flow import Flow, Transport
from benchmarks.adapter_udp import EchoCore, serving

HEAD = b"REGISTER sip:example.com SIP/2.0\r\n" + b"X-Header: some value\r\n" * 16
REGISTER = HEAD + b"Content-Length: 0\r\n\r\n"
ROUNDS = 40
PHONES: dict[Transport, int] = {"TCP": 64, "TLS": 8}
"""As many as one turn of the loop accepts, or begins handshakes with."""


class Echo(EchoCore):
    """Answer every message with itself, and do not mind who leaves."""

    def lost(self, flow: Flow, now: float, reason: str = "") -> list[Action]:
        """Do nothing."""
        return []


class Bench:
    """One wire and the best time of every step."""

    def __init__(self, wire: SipWire) -> None:
        self.streams = wire._streams
        held = [item for item in wire._served.values() if isinstance(item, Listener)]
        self.listeners = {listener.transport: listener for listener in held}
        self.best: dict[str, float] = {}
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def step(self, name: str, phones: int, act: Callable[[], None]) -> None:
        """Time one step of the server for all phones."""
        begun = time.process_time_ns()
        act()
        cost = (time.process_time_ns() - begun) / 1000 / phones
        self.best[name] = min(cost, self.best.get(name, cost))

    def dial(self, transport: Transport) -> list[socket.socket]:
        """Connect phones."""
        phones = []
        for _ in range(PHONES[transport]):
            phone = socket.create_connection(self.listeners[transport].local)
            phone.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            phones.append(phone)
        return phones

    async def tcp(self) -> None:
        """Let phones connect, register, and leave."""
        phones, count = self.dial("TCP"), PHONES["TCP"]
        self.step("TCP accept", count, self.listeners["TCP"]._accept)
        for name in ("TCP first message", "TCP second message"):
            for phone in phones:
                phone.sendall(REGISTER)
            self.step(name, count, self.streams._serve)
            for phone in phones:
                assert phone.recv(2000) == REGISTER
        for phone in phones:
            phone.close()
        self.step("TCP end", count, self.streams._serve)
        await asyncio.sleep(0)

    async def tls(self) -> None:
        """Let phones connect, shake hands, register, and leave."""
        plain, count = self.dial("TLS"), PHONES["TLS"]
        phones = []
        for phone in plain:
            phone.setblocking(False)
            phones.append(self.context.wrap_socket(phone, do_handshake_on_connect=False))
        self.step("TLS accept", count, self.listeners["TLS"]._accept)
        for phone in phones:
            shake(phone)
        self.step("TLS handshake", count, self.streams._welcome)
        for phone in phones:
            shake(phone)
        self.step("TLS end of handshake and first message", count, self.streams._serve)
        for phone in phones:
            assert phone.recv(2000) == REGISTER
            phone.send(REGISTER)
        self.step("TLS second message", count, self.streams._serve)
        for phone in phones:
            assert phone.recv(2000) == REGISTER
            phone.close()
        self.step("TLS end", count, self.streams._serve)
        await asyncio.sleep(0)


def shake(phone: ssl.SSLSocket) -> None:
    """Go on with a phone's handshake, and register behind it."""
    try:
        phone.do_handshake()
    except ssl.SSLWantReadError:
        return
    phone.send(REGISTER)


async def measure() -> None:
    """Run all rounds and print the steps and their sums."""
    with serving(Echo(), encrypted=True) as (_, wire):
        bench = Bench(wire)
        for _ in range(ROUNDS):
            await bench.tcp()
            await bench.tls()
    for transport in PHONES:
        steps = {name: cost for name, cost in bench.best.items() if name.startswith(transport)}
        for name, cost in steps.items():
            print(f"{name:40} {cost:7.1f} µs")
        total = sum(cost for name, cost in steps.items() if name != f"{transport} end")
        print(f"{transport + ' registration, without the core':40} {total:7.1f} µs")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure())
