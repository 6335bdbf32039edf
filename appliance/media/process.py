"""`holdfast media`: the process that carries RTP, alone or with workers that share the relays."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress

from appliance.media.carried import Share
from appliance.media.control import Listener
from appliance.media.end_system import Studio
from appliance.media.gate import abandon
from appliance.media.kernel_plane import open_plane
from appliance.media.kernel_table import open_table
from appliance.media.loop import Loop, log, open_loop
from appliance.media.relay import DESCRIPTORS
from appliance.media.shards import Shards
from appliance.media.sounds import Sounds
from appliance.media.worker import Worker
from appliance.settings import Settings
from appliance.supervision import tell_systemd, watchdog_interval

SPARE_DESCRIPTORS = 128
"""For control connections and everything else that is not a relay."""


def serve(settings: Settings) -> None:
    """Carry media until SIGTERM or SIGINT; raises LocalError when it cannot begin."""
    workers = max(1, settings.media_workers)
    io_uring = settings.media_io_uring == "auto"
    # With several workers they alone have packets.
    loop = open_loop(io_uring and workers == 1)
    restore = _on_signal(loop)
    wanted = -(-relays_by_ports(settings.media_ports) // workers)
    capacity = min(wanted, raise_descriptor_limit(wanted * DESCRIPTORS) // DESCRIPTORS)
    table = open_table(settings, workers)
    if table is None or not table.arrays:
        abandon()
    server: Shards | Worker
    if workers > 1:
        arrays = table.arrays if table is not None else None
        server = Shards(loop, workers, capacity, arrays, settings.data, io_uring)
    else:
        studio = Studio(loop, Sounds(settings.sounds_folder), settings.data)
        plane = open_plane(loop, Share(), table.arrays) if table is not None else None
        server = Worker(loop, capacity, studio, plane)
    if table is not None:
        loop.every_second(table.watch)
        server.marked = table.mark
    try:
        listener = Listener(loop, settings.media_socket, server.receive, server.gone)
        log(f"up to {capacity * workers} relays in {workers} worker(s)")
        tell_systemd("READY=1")
        if watchdog_interval(os.environ) is not None:
            loop.every_second(lambda: tell_systemd("WATCHDOG=1"))
        loop.run()
        tell_systemd("STOPPING=1")
        server.close()
        listener.close()
        log("stopped")
    finally:
        if table is not None:
            table.close()
        restore()
        loop.close()


def relays_by_ports(ports: tuple[int, int]) -> int:
    """Return how many relays a range of ports is enough for: two legs, RTP and RTCP each."""
    first, last = ports
    return max(0, (last - first + 1) // 4)


def raise_descriptor_limit(wanted: int) -> int:
    """Raise RLIMIT_NOFILE as far as allowed and return how many descriptors relays may use."""
    wanted += SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The hard limit too, where we may; then as far as it goes.
    for limits in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
        if soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, soft - SPARE_DESCRIPTORS)


def _on_signal(loop: Loop) -> Callable[[], None]:
    """End the loop on SIGTERM and SIGINT; the returned function undoes it."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    loop.add(reader, lambda _events: loop.stop())
    wakeup = signal.set_wakeup_fd(writer)
    before = {
        number: signal.signal(number, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT)
    }

    def restore() -> None:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        loop.remove(reader)
        os.close(reader)
        os.close(writer)

    return restore
