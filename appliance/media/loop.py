"""The media process's event loop: epoll, callables by descriptor, jobs in slices, one sweep.

Plain epoll rather than asyncio: a relayed packet costs two system calls, and asyncio's handles
would cost about as much again.
"""

from __future__ import annotations

import gc
import select
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from appliance.media.batch import Batch
from appliance.media.lane import Lane, serve

Ready = Callable[[int], None]
"""Called with the epoll events of its descriptor."""

EVENTS_PER_ROUND = 256
"""Descriptors served before anything else gets its turn: 2 ms of packets, 3 with SRTP."""
JOBS_PER_ROUND = 16
"""Jobs done between two rounds of packets at most."""
JOBS_TIME = 0.0005
"""Seconds after which no other job begins before the next round; opening a relay takes 0.3 ms."""
ROUND_INTERVAL = 0.001
"""Seconds between the begins of two rounds with packets: at 500 streams this makes rounds of 25
packets instead of 2 and saves a third of the processor, for half a millisecond of delay."""
COLLECTED_QUIETLY = 2000
"""Descriptors up to which all objects may be searched for circles: 20 ms then, 200 at most."""
COLLECTED_ANYWAY = 3600.0
"""Seconds after which they are searched whatever waits."""
SWEEP_INTERVAL = 1.0
"""Seconds between two looks at what only time brings."""


class Loop:
    """Serve descriptors until `stop`; nothing that happens in a callable ends it."""

    def __init__(self, batch: Batch | None = None) -> None:
        """`batch` serves what need not be served one by one; None: everything is."""
        self._epoll = select.epoll()
        self._batch = batch
        self._batched: dict[int, Lane] = {}
        """By descriptor: the lanes that the batch serves, unless they rest."""
        self._more = False
        """Whether the batch may have more than one turn could take."""
        self._ready: dict[int, Ready] = {}
        self._lanes: list[Lane | None] = []
        """By descriptor; None: `_ready` is called instead."""
        self._resting: dict[int, float] = {}
        self._jobs: deque[Callable[[], None]] = deque()
        self._sweeps: list[Callable[[], None]] = []
        self._running = False
        self._ring: Callable[[float], float | None] | None = None
        self._wake_at: float | None = None
        self.time = time.monotonic
        """Monotonic seconds right now."""
        self.now = time.monotonic()
        """Monotonic seconds at the begin of this round."""
        self._collected_at = self.now
        if batch is not None:
            self._epoll.register(batch.wake, select.EPOLLIN | select.EPOLLET)
            self._lanes += [None] * (batch.wake + 1)

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def jobs(self) -> int:
        """Jobs still to be done."""
        return len(self._jobs)

    def add(self, descriptor: int, ready: Ready, events: int = select.EPOLLIN) -> None:
        """Call `ready` whenever one of `events` is there."""
        self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready
        self._lanes += [None] * (descriptor + 1 - len(self._lanes))

    def serve(self, descriptor: int, lane: Lane | None, in_batch: bool = False) -> None:
        """Pass on by a lane what comes to a descriptor added before; None: call `ready` again.

        `in_batch`: it is a connected socket that many packets come to.
        """
        if self._batch is None or not in_batch:
            self._lanes[descriptor] = lane
        elif self._batched.get(descriptor) is not lane:
            self._change_lane(descriptor, lane)

    def _change_lane(self, descriptor: int, lane: Lane | None) -> None:
        """Move a descriptor to another lane of the batch, or between the batch and epoll."""
        resting = descriptor in self._resting
        self._let_go(descriptor, self._batched.pop(descriptor, None), resting)
        if lane is not None:
            self._batched[descriptor] = lane
        if lane is None:
            self._epoll.register(descriptor, 0 if resting else select.EPOLLIN)
        elif not resting and self._batch is not None:
            self._batch.add(descriptor, lane)

    def _let_go(
        self, descriptor: int, lane: Lane | None, resting: bool, lost: bool = False
    ) -> None:
        """Take a descriptor from epoll, or from the batch if it had this lane there."""
        if lane is None:
            self._epoll.unregister(descriptor)
        elif not resting and self._batch is not None:
            self._batch.remove(descriptor, None if lost else lane)
            self._more = True

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events on a descriptor added before."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor; must be called before it is closed."""
        if self._ready.pop(descriptor, None) is not None:
            resting = self._resting.pop(descriptor, None) is not None
            self._lanes[descriptor] = None
            self._let_go(descriptor, self._batched.pop(descriptor, None), resting, lost=True)

    def rest(self, descriptor: int, until: float) -> None:
        """Do not read a descriptor until then; the kernel drops what its buffer cannot hold."""
        if descriptor in self._resting:
            return
        self._resting[descriptor] = until
        lane = self._batched.get(descriptor)
        if lane is not None and self._batch is not None:
            self._batch.remove(descriptor, lane)
            self._more = True
        else:
            self._epoll.modify(descriptor, 0)

    def later(self, job: Callable[[], None]) -> None:
        """Do this after all jobs before it, a few of them between two rounds of packets."""
        self._jobs.append(job)

    def every_second(self, sweep: Callable[[], None]) -> None:
        """Call this about once a second."""
        self._sweeps.append(sweep)

    def on_timer(self, ring: Callable[[float], float | None]) -> None:
        """Name who is called when `wake_at` has come; it returns the next time, None: no more."""
        self._ring = ring

    def wake_at(self, at: float) -> None:
        """Set the one timer to this monotonic second."""
        self._wake_at = at

    def stop(self) -> None:
        """Return from `run` after this round."""
        self._running = False

    def run(self) -> None:
        """Serve until `stop` is called."""
        self._running = True
        # What lives since the start need never be looked at.
        gc.collect()
        gc.freeze()
        gc.disable()
        sweep_at = time.monotonic() + SWEEP_INTERVAL
        while self._running:
            had_packets = self.turn(max(0.0, sweep_at - self.now))
            if self.now >= sweep_at:
                sweep_at = self.now + SWEEP_INTERVAL
                self.sweep()
            rest = self.now + ROUND_INTERVAL - time.monotonic()
            if had_packets and not self._jobs and rest > 0:
                time.sleep(rest)

    def turn(self, timeout: float) -> bool:
        """Serve what is ready, waiting for it at most so long, and do some jobs.

        Returns whether any descriptor was ready.
        """
        if self._wake_at is not None:
            timeout = max(0.0, min(timeout, self._wake_at - time.monotonic()))
        waits = 0.0 if self._jobs or self._more else timeout
        events = self._epoll.poll(waits, EVENTS_PER_ROUND)
        self.now = time.monotonic()
        had_packets = bool(events)
        if self._batch is not None and (events or self._more):
            had_packets |= self._more
            self._more = self._batch.turn(self._report)
        if self._wake_at is not None and self.now >= self._wake_at:
            self._guarded(self._wake)
        table = self._ready
        for descriptor, mask in serve(events, self._lanes, self._report):
            ready = table.get(descriptor)
            if ready is not None:
                try:
                    ready(mask)
                except Exception:
                    self._report(descriptor)
        if self._jobs:
            self._do_jobs()
        return had_packets or self._more

    def sweep(self) -> None:
        """Do what is done every second."""
        for descriptor, until in list(self._resting.items()):
            if self.now >= until:
                del self._resting[descriptor]
                self._wake_up(descriptor)
        for sweep in self._sweeps:
            self._guarded(sweep)
        if not gc.isenabled():
            self._collect()

    def close(self) -> None:
        """Let go of the descriptors; their owners close them."""
        self._epoll.close()
        if self._batch is not None:
            self._batch.close()

    def _wake_up(self, descriptor: int) -> None:
        lane = self._batched.get(descriptor)
        if lane is not None and self._batch is not None:
            self._batch.add(descriptor, lane)
        else:
            self._epoll.modify(descriptor, select.EPOLLIN)

    def _collect(self) -> None:
        """Do what the collector would have done in the middle of packets, had it not been off."""
        gc.collect(0)
        due = self.now - self._collected_at
        if due > COLLECTED_ANYWAY or (due > 60 and len(self) < COLLECTED_QUIETLY):
            gc.collect()
            self._collected_at = time.monotonic()

    def _do_jobs(self) -> None:
        end = time.monotonic() + JOBS_TIME
        for _ in range(min(JOBS_PER_ROUND, len(self._jobs))):
            self._guarded(self._jobs.popleft())
            if time.monotonic() >= end:
                return

    def _wake(self) -> None:
        # Not before it has returned: what fails once must not ring for ever.
        self._wake_at = None
        if self._ring is not None:
            self._wake_at = self._ring(self.now)

    def _guarded(self, job: Callable[[], None]) -> None:
        # Like `runtime` for core, this is where a bug must not end every call on the site.
        try:
            job()
        except Exception:
            log(f"a job failed: {traceback.format_exc()}")

    def _report(self, descriptor: int) -> None:
        log(f"descriptor {descriptor} given up: {traceback.format_exc()}")
        # Left in place it would be ready again at once, for ever.
        self.remove(descriptor)


def open_loop(io_uring: bool) -> Loop:
    """Return a loop that serves packets in batches where io_uring is wanted and can be had."""
    batch = None
    if io_uring:
        try:
            batch = Batch()
        except OSError as error:
            log(f"no io_uring here ({error.strerror}): each packet is read and sent by itself")
    return Loop(batch)


def log(text: str) -> None:
    """Write one line for the journal; without a journal calls still go on."""
    with suppress(OSError, ValueError):
        print(f"media: {text}", file=sys.stderr, flush=True)
