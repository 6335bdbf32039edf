"""One slapd process, which only our own door can reach: it listens on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
from collections import deque
from pathlib import Path
from urllib.parse import quote

from appliance.adapters.ldap.build import SETTINGS, program
from appliance.errors import Unavailable

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""
FILES = 4096
"""Descriptors slapd may have: it makes room for all of them at once."""
NICENESS = 10
"""Below everything that calls need; a search may take a whole processor."""
START_TIMEOUT = 15.0
"""Seconds until it answers; it takes 0.1 on a quiet machine."""
GRACE = 5.0
"""Seconds it has to end by itself."""


class Slapd:
    """Serve one database."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder
        self.socket = socket
        self._process: asyncio.subprocess.Process | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and wait until it answers; raises Unavailable with what it says else."""
        name = program("slapd")
        if name is None:
            raise Unavailable("slapd is not installed, so phones have no directory over LDAP")
        self.socket.unlink(missing_ok=True)
        url = f"ldapi://{quote(str(self.socket), safe='')}/"
        words = [name, "-h", url, "-f", str(self.folder / SETTINGS), "-d", "none"]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                preexec_fn=_prepare,
            )
        except OSError as error:
            raise Unavailable(f"{name} cannot be started: {error.strerror}") from error
        self._listening = asyncio.create_task(self._listen(self._process))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._answers()
        except TimeoutError:
            await self.stop()
            raise Unavailable(f"slapd does not answer: {self.said}") from None

    async def _answers(self) -> None:
        while True:
            if self._process is None or self._process.returncode is not None:
                await asyncio.sleep(0)
                raise Unavailable(f"slapd ended at once: {self.said}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(self.socket)
                writer.close()
                return
            await asyncio.sleep(0.05)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, and not because we wanted it."""
        return self._process is not None and self._process.returncode is not None

    async def stop(self) -> None:
        """End the process; its database stays."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), GRACE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._listening is not None:
            await self._listening
        self.socket.unlink(missing_ok=True)

    @property
    def said(self) -> str:
        """What it has written, the last lines of it."""
        return "; ".join(self._said) or "it says nothing"

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is not None:
            while line := await process.stderr.readline():
                self._said.append(line.decode(errors="replace").strip())


def _prepare() -> None:
    """Bind the child to us, in the child: it ends with us, and steps back for calls."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    with contextlib.suppress(OSError):  # a sandbox may refuse it, having set it itself
        os.nice(NICENESS)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    with contextlib.suppress(OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
