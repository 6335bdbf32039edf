"""Processor time as systemd shares it out: what the units say, without systemd."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process import Server, last_word, wait_until

UNITS = Path(__file__).parent.parent / "systemd"
GROUPS = Path("/sys/fs/cgroup")
PROCESSES = ("core", "media", "admin", "ldap")


def of_unit(process: str, name: str) -> int:
    """Return a number of a process's unit."""
    text = (UNITS / f"holdfast-{process}.service").read_text()
    found = re.search(rf"^{name}=(-?\d+)$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{process}'s unit has no {name}")
    return int(found[1])


@contextmanager
def weighed(server: Server) -> Iterator[str]:
    """Give each process the weight and niceness of its unit; tell how in a few words."""
    if os.geteuid() != 0:
        yield "no weights without root"
        return
    place = _new_group()
    by_process = {last_word(pid): pid for pid in server.members()}
    try:
        for process in PROCESSES:
            if process in by_process:
                _weigh(place, process, by_process[process])
        yield f"niceness and {'weights' if place else 'no weights'} of the units"
    finally:
        if place is not None:
            wait_until(lambda: not server.members(), 1.0)
            _remove(place)


def _weigh(place: tuple[Path, str] | None, process: str, pid: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), of_unit(process, "Nice"))
    if place is not None:
        folder, file = place
        group = folder / process
        group.mkdir()
        weight = of_unit(process, "CPUWeight")
        # A weight of 100 is as much as 1,024 shares, which is what a group has of itself.
        (group / file).write_text(str(weight if file == "cpu.weight" else weight * 1024 // 100))
        (group / "cgroup.procs").write_text(str(pid))


def _new_group() -> tuple[Path, str] | None:
    """Make a group of our own: its folder, and the file for weights; None where none can be."""
    name = f"holdfast-bench-{os.getpid()}"
    for folder, file in ((GROUPS / "cpu", "cpu.shares"), (GROUPS, "cpu.weight")):
        with contextlib.suppress(OSError):
            (folder / name).mkdir()
            if file == "cpu.weight":
                (folder / name / "cgroup.subtree_control").write_text("+cpu")
            if file == "cpu.weight" or (folder / name / file).exists():
                return folder / name, file
            (folder / name).rmdir()
    return None


def _remove(place: tuple[Path, str]) -> None:
    folder, _ = place
    for group in [*(one for one in folder.iterdir() if one.is_dir()), folder]:
        with contextlib.suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                (folder.parent / "cgroup.procs").write_text(pid)
            group.rmdir()
