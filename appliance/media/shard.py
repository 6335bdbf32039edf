"""One worker process of several: `python -m appliance.media.shard <descriptor> <capacity>`.

Started by `media.shards` with one end of a socket pair, and ends when the other end is closed.
"""

from __future__ import annotations

import signal
import socket
import sys

from appliance.media.control import Connection
from appliance.media.loop import Loop
from appliance.media.process import raise_descriptor_limit
from appliance.media.relay import DESCRIPTORS
from appliance.media.worker import Worker


def work(stream: socket.socket, capacity: int) -> None:
    """Serve the one connection until it ends."""
    loop = Loop()
    worker = Worker(loop, capacity)

    def ended(_connection: Connection) -> None:
        loop.stop()

    Connection(loop, stream, worker.receive, ended)
    loop.run()
    worker.close()
    loop.close()


def main(arguments: list[str]) -> None:
    """Work on the descriptor named first, with as many relays as named second."""
    # systemd and Ctrl-C signal all processes; only the first one decides when to end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    descriptor, capacity = (int(argument) for argument in arguments)
    raise_descriptor_limit(capacity * DESCRIPTORS)
    work(socket.socket(fileno=descriptor), capacity)


if __name__ == "__main__":
    main(sys.argv[1:])
