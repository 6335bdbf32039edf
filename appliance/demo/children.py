"""The demo's own child processes: each with a log file, all ended at the end, whatever happens."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 8.0
"""Seconds a child gets to end by itself before it is killed."""
SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
TAIL = 12
"""Lines of a log worth showing."""


@dataclass(frozen=True, slots=True)
class Child:
    """One `holdfast` process."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    @property
    def alive(self) -> bool:
        """Tell whether it is still running."""
        return self.process.returncode is None

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL:])


class Children:
    """Start `holdfast` processes and end them; call `end` on every way out."""

    def __init__(self, logs: Path, environment: dict[str, str]) -> None:
        self._logs = logs
        # Settings of another Holdfast in our caller's environment are not for these.
        ours = {key: value for key, value in os.environ.items() if not key.startswith("HOLDFAST_")}
        self._environment = {**ours, **environment, "PYTHONUNBUFFERED": "1"}
        self.running: list[Child] = []

    async def start(self, name: str, *arguments: str) -> Child:
        """Start `holdfast <arguments>`, its output going to a log of its own."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "appliance.cli.command",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                # Ctrl-C is the demo's to handle: it takes the children down in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        child = Child(name, process, log)
        self.running.append(child)
        return child

    def fallen(self) -> list[Child]:
        """Return the children that have ended though nobody asked them to."""
        return [child for child in self.running if not child.alive]

    async def end(self) -> None:
        """End all, the last one started first; kill what does not listen."""
        for child in reversed(self.running):
            if child.alive:
                child.process.send_signal(signal.SIGTERM)
        for child in reversed(self.running):
            try:
                # Not asyncio.timeout, which misreads a cancelled task before Python 3.11.3.
                await asyncio.wait_for(child.process.wait(), PATIENCE)
            except TimeoutError:
                child.process.kill()
                await child.process.wait()
        self.running.clear()


def _end_with_parent() -> None:
    """Ask the kernel to end this child should the demo itself be killed."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
