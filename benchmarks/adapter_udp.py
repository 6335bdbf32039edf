"""CPU per SIP message over UDP that adapter and runtime add to bare system calls.

    python -m benchmarks.adapter_udp [--messages 200000]

One process sends datagrams in bursts, this one echoes them: once with nothing but recvfrom and
sendto, once through Datagrams and Runtime with a core that answers every message with one `Send`.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from appliance.adapters.journal import Journal
from appliance.adapters.store import Store
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.adapters.wire import SipWire
from appliance.call.actions import Action, Send
from appliance.runtime import Runtime
from appliance.settings import Settings
from appliance.sip.flow import Address, Flow

MESSAGE = b"REGISTER sip:example.com SIP/2.0\r\n" + b"X: y\r\n" * 80
WINDOW = 200
"""Messages under way: as many phones as the avalanche paces."""


class EchoCore:
    """Answer every message with itself."""

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """Send it back."""
        return [Send(flow, data)]

    def deadline(self) -> float | None:
        """Wait for nothing."""
        return None

    def start(self, now: float) -> list[Action]:
        """Do nothing."""
        return []

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)


class NoWorld:
    """Media and zones that are never asked."""

    def on_event(self, receive: Any) -> None:
        """Tell nobody anything."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def bare(messages: int) -> float:
    """Echo with system calls only; return CPU seconds per message."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        with load(server.getsockname(), messages):
            data, source = server.recvfrom(65_535)
            begun = time.process_time()
            server.sendto(data, source)
            for _ in range(messages - 1):
                data, source = server.recvfrom(65_535)
                server.sendto(data, source)
            return (time.process_time() - begun) / messages


@contextmanager
def serving(core: EchoCore, encrypted: bool = False) -> Iterator[tuple[Runtime, SipWire]]:
    """Have runtime and sockets around a core, in a loop that runs, at ports the kernel picks."""
    loop, journal, nothing = asyncio.get_running_loop(), Journal(), NoWorld()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "core.db", journal.notice)
        store.start()
        runtime = Runtime(loop, core, store, nothing, nothing, (nothing, nothing), journal)
        settings = Settings(sip_port=0, sips_port=0, addresses=("127.0.0.1",))
        own = ensure_certificate(Path(folder), ["localhost"]) if encrypted else None
        context = server_context(*own) if own else None
        wire = SipWire(loop, runtime, journal.notice, settings, context)
        runtime.start(wire)
        wire.start()
        yield runtime, wire
        wire.stop()
        store.stop()


async def adapted(messages: int) -> float:
    """Echo through adapter and runtime; return CPU seconds per message."""
    with serving(EchoCore()) as (runtime, wire), load(wire.served["UDP"][0], messages):
        while runtime.messages == 0:
            await asyncio.sleep(0.001)
        begun, first = time.process_time(), runtime.messages
        while runtime.messages < messages:
            await asyncio.sleep(0.01)
        return (time.process_time() - begun) / (messages - first)


def load(address: Address, messages: int) -> subprocess.Popen[bytes]:
    """Start the process that sends."""
    command = [sys.executable, "-m", "benchmarks.adapter_udp", "--send-to", str(address[1])]
    return subprocess.Popen([*command, "--messages", str(messages)])


def send(port: int, messages: int) -> None:
    """Send `messages`, `WINDOW` at a time, waiting for their echoes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        client.settimeout(5)
        for _ in range(WINDOW):
            client.send(MESSAGE)
        for _ in range(messages - WINDOW):
            client.recv(2000)
            client.send(MESSAGE)
        for _ in range(WINDOW):
            client.recv(2000)


def main() -> None:
    """Measure both in turn, three times, and print the smallest of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--send-to", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.send_to:
        send(asked.send_to, asked.messages)
        return
    floor, cost = [], []
    for _ in range(3):
        floor.append(bare(asked.messages) * 1e6)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            cost.append(runner.run(adapted(asked.messages)) * 1e6)
    print(f"system calls alone    {min(floor):6.2f} µs per message")
    print(f"adapter and runtime   {min(cost):6.2f} µs per message")
    print(f"they add              {min(cost) - min(floor):6.2f} µs")


if __name__ == "__main__":
    main()
