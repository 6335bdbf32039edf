"""What systemd does with descriptors that a service leaves with it (FDSTORE of sd_notify(3))."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
from pathlib import Path

_HAND_OVER = """
import os, sys
for at, number in enumerate(n for n in sys.argv[1].split(",") if n):
    os.dup2(int(number), 3 + at)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Puts descriptors where sd_listen_fds(3) has them, and becomes the command."""
_OUT_OF_THE_WAY = 100
"""Ours have higher numbers, so that none is where another is to be put."""


class Keeper:
    """Holds what a service sends until it is removed by name or the test ends."""

    def __init__(self, folder: Path) -> None:
        self._kept: list[tuple[str, int]] = []
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    @property
    def names(self) -> list[str]:
        """Names of what is held."""
        return [name for name, _ in self._kept]

    @property
    def descriptors(self) -> list[int]:
        """What is held."""
        return [number for _, number in self._kept]

    @property
    def environment(self) -> dict[str, str]:
        """What the service is told."""
        told = {"NOTIFY_SOCKET": str(self._path), "LISTEN_FDNAMES": ":".join(self.names)}
        return {**told, "LISTEN_FDS": str(len(self._kept))}

    def command(self, *words: str) -> list[str]:
        """Give the command by which the service gets all that is held."""
        numbers = ",".join(map(str, self.descriptors))
        return [sys.executable, "-c", _HAND_OVER, numbers, *words]

    def close(self) -> None:
        """Let go of everything."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._path))
        self._thread.join()
        self._socket.close()
        self._remove(set(self.names))

    def _hear(self) -> None:
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 128)
            if not message:
                return
            facts = dict(line.split("=", 1) for line in message.decode().splitlines())
            if "FDSTOREREMOVE" in facts:
                self._remove({facts["FDNAME"]})
            for one in descriptors:
                held = fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
                os.close(one)
                self._kept.append((facts["FDNAME"], held))

    def _remove(self, names: set[str]) -> None:
        gone = [(name, one) for name, one in self._kept if name in names]
        self._kept = [pair for pair in self._kept if pair not in gone]
        for _, one in gone:
            os.close(one)
