"""Time what the transaction layer adds to one message, and what an answered request weighs.

    python -m benchmarks.sip_transaction [--phones 2000] [--rounds 20]

Every phone sends another request, so no cache can help; what a step costs is the difference
between a round with it and one without. Prints microseconds of CPU, the best round and the median.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator

from appliance.sip.arrival import note_source
from appliance.sip.flow import Flow, Transport
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.matching import ServerTransaction, Transactions, server_key
from appliance.sip.message import Request, Response
from appliance.sip.timers import TIMEOUT, TimerQueue
from benchmarks.sip_parse import register

BUDGET = 3.0
"""Microseconds to begin, answer and keep a request for 32 s (writing the answer not counted)."""


class Written:
    """An answer that costs nothing to write."""

    status = 200

    def encode(self) -> bytes:
        """Return an answer of usual length."""
        return _OCTETS


_OCTETS = b"x" * 450
ANSWER: Response = Written()  # type: ignore[assignment]  # what the layer needs of an answer


class Rig:
    """A transaction layer that sends nowhere."""

    def __init__(self, transport: Transport) -> None:
        self.timers = TimerQueue()
        self.flow = Flow(transport, ("10.0.0.1", 5060), ("10.0.9.9", 40000), 1)
        self.transactions = Transactions(
            self.timers, lambda flow, data: None, CountedIdentifiers(), most_servers=1 << 30
        )

    def begin(self, request: Request) -> ServerTransaction:
        """Note, match and begin, as the core does for a request it will answer with state."""
        self.transactions.seen(request, self.flow, 1.0)
        tx = self.transactions.receive_request(request, self.flow, 1.0)
        assert tx is not None
        return tx


def requests(data: list[bytes]) -> list[Request]:
    """Parse afresh: noting the source changes a request."""
    parsed = [parse(octets) for octets in data]
    return [request for request in parsed if isinstance(request, Request) and request.via]


def rounds(
    data: list[bytes], count: int, prepare: Callable[[], Callable[[Request], object]]
) -> list[float]:
    """Return what one request cost in each round, in microseconds."""
    costs = []
    for _ in range(count):
        work, waiting = prepare(), requests(data)
        gc.collect()
        gc.disable()
        start = time.process_time_ns()
        for request in waiting:
            work(request)
        costs.append((time.process_time_ns() - start) / len(waiting) / 1000)
        gc.enable()
    return costs


def steps(transport: Transport) -> Iterator[tuple[str, Callable[[], Callable[[Request], object]]]]:
    """Yield each thing to measure."""

    def answering() -> Callable[[Request], object]:
        rig = Rig(transport)
        return lambda request: rig.begin(request).respond(ANSWER, 1.0)

    def repeating() -> Callable[[Request], object]:
        rig = Rig(transport)

        def work(request: Request) -> None:
            rig.begin(request).respond(ANSWER, 1.0)
            rig.transactions.seen(request, rig.flow, 1.0)

        return work

    flow = Rig(transport).flow
    yield "source noted", lambda: lambda request: note_source(request, flow)
    yield "transaction named", lambda: server_key
    yield "noted, looked up (stateless answer)", lambda: _looking_up(Rig(transport))
    yield "... and begun", lambda: Rig(transport).begin
    yield "... and answered, kept", answering
    yield "... and asked again", repeating


def _looking_up(rig: Rig) -> Callable[[Request], object]:
    return lambda request: rig.transactions.seen(request, rig.flow, 1.0)


def weigh(data: list[bytes], transport: Transport) -> tuple[float, float]:
    """Return octets kept per answered request at once, and after timer J."""
    rig = Rig(transport)
    waiting = requests(data)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number, request in enumerate(waiting):
        flow = rig.flow._replace(remote=("10.0.9.9", number))
        rig.flow = flow
        answer = request.response(200, to_tag=f"{number:016x}")
        rig.begin(request).respond(answer, 1.0)
    waiting.clear()
    del request, answer
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    rig.timers.expire(1.0 + 2 * TIMEOUT)
    gc.collect()
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return kept / len(data), left / len(data)


def main() -> None:
    """Measure UDP and TLS."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--phones", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=20)
    chosen = options.parse_args()
    data = [register(n) for n in range(chosen.phones)]
    for transport in ("UDP", "TLS"):
        print(transport)
        for name, prepare in steps(transport):
            costs = rounds(data, chosen.rounds, prepare)
            print(f"  {name:38}{min(costs):6.2f} us best {statistics.median(costs):6.2f} median")
        kept, left = weigh(data, transport)
        print(f"  {'octets kept per answered request':38}{kept:6.0f}, after timer J {left:.0f}")


if __name__ == "__main__":
    main()
