"""A minute of garbage on every transport, while somebody makes a call."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.baresip import Baresip
from tests.system.desk import desk_phone
from tests.system.network import APPLIANCE
from tests.system.sip import PORTS, Line
from tests.system.site import DOMAIN, System, site_in_outage
from tests.system.waiting import until

SECONDS = 60
GROWTH = 50 << 20
"""Octets that the signalling process may grow by in the minute."""
DATA = Path(__file__).parent.parent / "torture" / "data"
FILES = [entry["file"] for entry in json.loads((DATA / "manifest.json").read_text())["messages"]]
TORTURE = [(DATA / name).read_bytes() for name in FILES]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    policies = {"digest_algorithms": ["MD5"], "max_expires": 300}
    with site_in_outage(tmp_path, 5, policies=policies) as system:
        yield system


def torture(dice: random.Random) -> bytes:
    return dice.choice(TORTURE)


def truncated(dice: random.Random) -> bytes:
    data = dice.choice(TORTURE)
    return data[: dice.randrange(len(data))]


def mangled(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(TORTURE))
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


def oversized(dice: random.Random) -> bytes:
    head = dice.choice(TORTURE).partition(b"\r\n\r\n")[0]
    return head + b"\r\nX-Long: " + b"a" * dice.randint(10_000, 60_000) + b"\r\n\r\n"


def binary(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(1, 4000))


def liar(dice: random.Random) -> bytes:
    length = dice.choice(["-1", "99999999999", "1, 2", "0x10", "", "4294967296"])
    start = f"OPTIONS sip:{DOMAIN} SIP/2.0\r\nContent-Length: {length}\r\n"
    return start.encode() + b"Content-Length: 7\r\n\r\n" + dice.randbytes(20)


KINDS: list[Callable[[random.Random], bytes]] = [
    torture, truncated, mangled, oversized, binary, liar
]  # fmt: skip


class Vandal(threading.Thread):
    """Sends garbage over one transport until told to stop."""

    def __init__(self, site: System, host: int, transport: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._host, self._transport, self._stop_asked = site.phone(host), transport, stop
        self._dice = random.Random(f"{transport} 4475")
        self.sent = 0

    def run(self) -> None:
        while not self._stop_asked.is_set():
            with suppress(OSError):
                self._one_connection()

    def _one_connection(self) -> None:
        line = Line(self._host, self._transport, (APPLIANCE, PORTS[self._transport]))
        line.socket.settimeout(0.5)
        try:
            for _ in range(self._dice.randint(1, 30)):
                line.send(self._dice.choice(KINDS)(self._dice)[:65000])
                self.sent += 1
                time.sleep(0.002)
        finally:
            line.reset()


def memory(pid: int) -> int:
    """Give a process's resident memory, octets."""
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024


def good_call(one: Baresip, other: Baresip) -> None:
    seen, there = len(one.events), len(other.events)
    one.dial(f"sip:{other.name}@{DOMAIN}")
    one.wait("CALL_ESTABLISHED", 10, seen)
    until(lambda: one.hears(other.tone), 10, "the callee's tone", one.trace)
    until(lambda: other.hears(one.tone), 10, "the caller's tone", other.trace)
    one.do("hangup")
    other.wait("CALL_CLOSED", 10, there)


def test_garbage_harms_nobody(site: System) -> None:
    one, other = (desk_phone(site, number, "tls", expires=30) for number in (0, 1))
    (core,) = site.processes("core")
    good_call(one, other)
    stop = threading.Event()
    vandals = [Vandal(site, 2 + n, kind, stop) for n, kind in enumerate(("UDP", "TCP", "TLS"))]
    for vandal in vandals:
        vandal.start()
    began = time.monotonic()
    time.sleep(10)
    settled = memory(core)
    calls = 0
    while time.monotonic() - began < SECONDS - 5:
        good_call(one, other)
        calls += 1
        time.sleep(5)
    stop.set()
    for vandal in vandals:
        vandal.join(10)
    assert calls >= 3
    assert all(vandal.sent > 300 for vandal in vandals), [vandal.sent for vandal in vandals]
    assert site.processes("core") == [core], site.evidence()
    assert memory(core) - settled < GROWTH
    assert site.holdfast("status")["faults"] == 0, site.evidence()
    good_call(one, other)


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_a_half_message_is_cut_off(site: System, transport: str) -> None:
    line = Line(site.phone(2), transport, (APPLIANCE, PORTS[transport]))
    line.send(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 50000\r\n")
    line.socket.settimeout(12)
    began = time.monotonic()
    with suppress(ConnectionResetError):
        assert line.socket.recv(100) == b""
    assert 5 < time.monotonic() - began < 12
    assert isinstance(line.socket, socket.socket)
