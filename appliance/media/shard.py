r"""One worker process of several.

    python -m appliance.media.shard <descriptor> <capacity> <number> <sharers of the kernel> \
        <the short cut's arrays> <data> <1: io_uring is wanted, 0: not>

Started by `media.shards` with one end of a socket pair, and ends when the other end is closed.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from appliance.media.carried import Share
from appliance.media.control import Connection
from appliance.media.end_system import Studio
from appliance.media.kernel_plane import open_plane
from appliance.media.loop import open_loop
from appliance.media.process import raise_descriptor_limit
from appliance.media.relay import DESCRIPTORS
from appliance.media.shortcut import read
from appliance.media.sounds import Sounds
from appliance.media.worker import Worker
from appliance.settings import Settings


def work(
    stream: socket.socket,
    capacity: int,
    share: Share | None,
    arrays: Mapping[int, int],
    settings: Settings,
) -> None:
    """Serve the one connection until it ends; `share`: of the relays in the kernel."""
    loop = open_loop(settings.media_io_uring == "auto")
    studio = Studio(loop, Sounds(settings.sounds_folder), settings.data)
    worker = Worker(loop, capacity, studio, open_plane(loop, share, arrays) if share else None)

    def ended(_connection: Connection) -> None:
        loop.stop()

    Connection(loop, stream, worker.receive, ended)
    loop.run()
    worker.close()
    loop.close()


def main(arguments: list[str]) -> None:
    """Work as the arguments say; a share of none means that the kernel is not used."""
    # systemd and Ctrl-C signal all processes; only the first one decides when to end.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    descriptor, capacity, number, count = (int(argument) for argument in arguments[:4])
    raise_descriptor_limit(capacity * DESCRIPTORS)
    data = Path(arguments[5]) if arguments[5] else Settings().data
    settings = Settings(data=data, media_io_uring="auto" if arguments[6] == "1" else "off")
    share = Share(number, count) if count else None
    arrays = read(arguments[4])
    work(socket.socket(fileno=descriptor), capacity, share, arrays, settings)


if __name__ == "__main__":
    main(sys.argv[1:])
