"""What comes is read into room that is there: no message has 64 KB allocated and given back."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.adapters.tls import TlsSession, ensure_certificate, server_context
from appliance.adapters.wire import SipWire
from tests.adapters.serving import LOOPS, REGISTER, Echo, place, serve, until

LITTLE = 12_000
"""Octets that one message may take meanwhile, with all that Python does around it."""


@contextmanager
def little() -> Iterator[None]:
    """Check that at no moment much is allocated."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ["UDP", "TCP"])
def test_a_message_takes_what_it_has(loop: str, kind: str, tmp_path: Path) -> None:
    async def scenario(wire: SipWire, echo: Echo) -> None:
        number = socket.SOCK_DGRAM if kind == "UDP" else socket.SOCK_STREAM
        here = place(wire, "UDP" if kind == "UDP" else "TCP")
        with socket.socket(socket.AF_INET, number) as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, here)
            client.send(REGISTER)
            await until(lambda: len(echo.received) == 1)
            with little():
                client.send(REGISTER)
                await until(lambda: len(echo.received) == 2)
        assert [data for data, _ in echo.received] == [REGISTER] * 2

    serve(loop, tmp_path, scenario)


def talking(folder: Path) -> tuple[TlsSession, TlsSession]:
    """Let a phone and us finish their handshake."""
    ours = TlsSession(server_context(*ensure_certificate(folder, ["localhost"])))
    context = ssl.create_default_context(cafile=folder / "sip.crt")
    phone = TlsSession(context, "localhost")
    phone.shake()
    while not (phone.established and ours.established):
        ours.shake(phone.take())
        phone.shake(ours.take())
    return phone, ours


def test_a_record_takes_what_it_has(tmp_path: Path) -> None:
    phone, ours = talking(tmp_path)
    record = phone.encrypt(REGISTER)
    assert ours.decrypt(record) == REGISTER
    record = phone.encrypt(REGISTER)
    with little():
        plain = ours.decrypt(record)
    assert plain == REGISTER


@pytest.mark.parametrize("cut", [1, 21, 16_384 + 21, 16_384 + 60, 40_000])
def test_records_of_all_lengths_are_whole_however_they_are_cut(tmp_path: Path, cut: int) -> None:
    phone, ours = talking(tmp_path)
    said = bytes(range(256)) * 200
    records = phone.encrypt(b"x") + phone.encrypt(said) + phone.encrypt(said[:300])
    plain = ours.decrypt(records[:cut]) + ours.decrypt(records[cut:])
    assert plain == b"x" + said + said[:300] and not ours.ended
