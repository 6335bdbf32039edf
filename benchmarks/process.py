"""Servers under measurement: started on one core, counted, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SERVER_CORE = 0
"""Everything that serves runs here; everything that asks runs on the other one."""
CLIENT_CORE = 1

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
"""Descriptors a server may open: as many as we may give."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a set of processes had used up at one moment."""

    cpu: float
    """Seconds on a core, summed over all threads, from the scheduler's nanosecond counters."""
    peak: int
    """Bytes of resident memory at the highest, summed over processes (shared pages once)."""
    parts: dict[str, float]
    """`cpu` by the last word of each process's command line."""


@dataclass
class Server:
    """A server's processes; those that it starts itself belong to it."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on the servers' core in a process group of its own."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["prlimit", f"--nofile={FILES}", "taskset", "-c", str(SERVER_CORE), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def stop(self) -> None:
        """End the whole group: ask, wait a little, then insist."""
        if self.process is None:
            return
        for sent, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            for pid in self.members():
                signal_one(pid, sent)
            if wait_until(lambda: not self.members(), patience):
                break
        self.process.wait(10)
        self.process = None

    def members(self) -> list[int]:
        """Give the ids of all live processes: those of the session and all descendants."""
        if self.process is None:
            return []
        self.process.poll()
        known = {pid: facts for pid in all_processes() if (facts := parent_and_session(pid))}
        root = self.process.pid
        return [pid for pid in known if known[pid][1] == root or root in ancestors(pid, known)]

    def usage(self) -> Usage:
        """Read what the group has used so far."""
        members = self.members()
        parts: dict[str, float] = {}
        for pid in members:
            parts[last_word(pid)] = parts.get(last_word(pid), 0.0) + cpu_of(pid)
        return Usage(sum(parts.values()), peak_of(members), parts)

    def settle(self, patience: float = 30.0) -> None:
        """Wait until what a start brings with it is done: half a second with next to no work."""
        before = self.usage().cpu
        end = time.monotonic() + patience
        while time.monotonic() < end:
            time.sleep(0.5)
            now = self.usage().cpu
            if now - before < 0.01:
                return
            before = now

    def alive(self) -> bool:
        """Tell whether the first process still runs."""
        return self.process is not None and self.process.poll() is None

    def tail(self) -> str:
        """Give the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def wait_until(true: Callable[[], object], patience: float, step: float = 0.02) -> bool:
    """Ask the callable `true` until it says yes or `patience` seconds have passed."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(step)
    return bool(true())


def signal_one(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def all_processes() -> list[int]:
    """Give the ids of all processes."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def parent_and_session(pid: int) -> tuple[int, int] | None:
    """Give parent and session of a process; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent, _group, session = text.rpartition(")")[2].split()[:4]
    return None if state == "Z" else (int(parent), int(session))


def ancestors(pid: int, known: dict[int, tuple[int, int]]) -> set[int]:
    """Give the processes above one."""
    found: set[int] = set()
    while pid in known and pid not in found:
        found.add(pid)
        pid = known[pid][0]
    return found | {pid}


def last_word(pid: int) -> str:
    """Give the last word of a process's command line: `core`, `media`, ..."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[-1].decode()
    except OSError:
        return ""


def cpu_of(pid: int) -> float:
    """Seconds that a process' living threads have run."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text().split()[0])
        except (OSError, IndexError):
            continue
    return total / 1e9


def peak_of(pids: list[int]) -> int:
    """Peak memory of processes; pages shared among them are counted once, at their largest."""
    own, shared = 0, 0
    for pid in pids:
        fields = memory_fields(pid)
        common = fields.get("RssShmem", 0)
        own += max(fields.get("VmHWM", 0) - common, 0)
        shared = max(shared, common)
    return own + shared


def memory_fields(pid: int) -> dict[str, int]:
    """Read the sizes in /proc/PID/status, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in pairs}
