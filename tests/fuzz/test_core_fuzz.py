"""Hostile SIP into the whole core: nothing is raised, nothing grows, a good call still works."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from appliance.errors import RemoteError
from appliance.sip.framing import StreamFramer
from tests.call.test_basic_call import talking
from tests.fuzz.mutation import hostile
from tests.phones import Bench, sdp

TORTURE = Path(__file__).parents[1] / "torture" / "data"


def corpus(bench: Bench) -> list[bytes]:
    """Collect RFC 4475's messages and what a phone of this bench would really send."""
    messages = [file.read_bytes() for file in sorted(TORTURE.glob("*.dat"))]
    phone = bench.phone("1003")
    for method in ("REGISTER", "INVITE", "OPTIONS", "BYE", "UPDATE", "INFO", "PRACK", "CANCEL"):
        body = sdp(phone.host) if method == "INVITE" else b""
        messages.append(phone.request(method, "sip:1002@example.com", body=body).encode())
    request = phone.request("REGISTER", "sip:example.com", to="<sip:1003@example.com>")
    phone.send(request)
    challenged = phone.take()[0]
    messages.append(phone.with_digest(request, challenged).encode())  # type: ignore[arg-type]
    messages.append(challenged.encode())
    return messages


def test_hostile_messages_raise_nothing_and_leave_nothing() -> None:
    bench = Bench.in_outage()
    alice, bob = bench.registered("1001", "1002")
    invite, answer, _ = talking(bench, alice, bob)
    messages = [*corpus(bench), invite.encode(), alice.within(invite, answer, "BYE").encode()]
    mallory = bench.phone("666")
    del bench.phones[mallory.flow]  # nobody reads what she is answered
    size = 0
    for number, data in hostile(1, messages):
        try:
            bench.perform(bench.core.receive(data, mallory.flow, bench.now))
        except Exception as error:
            raise AssertionError(f"message {number}: {data!r}") from error
        bench.unsent.clear()
        bench.notices.clear()
        if number % 2000 == 0:
            bench.advance(5)
        if number == 10_000:
            bench.advance(100)
            gc.collect()
            tracemalloc.start()
            size = tracemalloc.get_traced_memory()[0]
    for phone in (alice, bob):
        phone.take()
        assert phone.register().status == 200
    talking(bench, bench.registered("1004")[0], bench.registered("1005")[0])
    if size:
        bench.advance(100)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - size
        tracemalloc.stop()
        assert grown < 20_000_000, f"{grown} bytes more"


def test_the_framer_survives_any_stream_in_any_pieces() -> None:
    messages = corpus(Bench.in_outage())
    framer = StreamFramer()
    for number, data in hostile(2, messages):
        try:
            for start in range(0, len(data), 700):
                framer.feed(data[start : start + 700])
        except RemoteError as error:
            raise AssertionError(f"message {number}: {data!r}") from error
        if framer.broken or number % 10 == 0:
            framer = StreamFramer()
