"""`holdfast run`: what dies is started again, and everything ends together."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from appliance.cli import run as run_module
from appliance.cli.run import supervise

STEADY = "import time; open({file!r}, 'a').write('x'); time.sleep(60)"
SHORT = "open({file!r}, 'a').write('x')"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open({file!r}, 'a').write('x'); time.sleep(60)"
)


def words(script: str, file: Path) -> list[str]:
    return [sys.executable, "-S", "-c", script.format(file=str(file))]


def run(commands: dict[str, list[str]], done: list[tuple[Path, int]], kill: str = "") -> None:
    """Supervise until each file has so many marks, then end it with SIGTERM."""

    async def whole() -> None:
        task = asyncio.create_task(supervise(commands))
        async with asyncio.timeout(20):
            while not all(file.exists() and len(file.read_text()) >= n for file, n in done):
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            await task

    asyncio.run(whole())


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(run_module, "GRACE", 0.3)


def test_all_run_and_all_end_together(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ab"]
    run({file.name: words(STEADY, file) for file in files}, [(file, 1) for file in files])
    assert _children() == []


def test_one_that_dies_is_started_again_and_the_other_is_left_alone(tmp_path: Path) -> None:
    steady, short = tmp_path / "steady", tmp_path / "short"
    run({"a": words(STEADY, steady), "b": words(SHORT, short)}, [(short, 4)])
    assert steady.read_text() == "x"


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    run({"a": words(STUBBORN, tmp_path / "a")}, [(tmp_path / "a", 1)])
    assert _children() == []


def _children() -> list[str]:
    """List children that live; one that ended while it was being started waits for us to end."""
    children = (Path("/proc/self/task") / str(os.getpid()) / "children").read_text().split()
    return [child for child in children if _state(child) != "Z"]


def _state(process: str) -> str:
    return (Path("/proc") / process / "stat").read_text().rpartition(")")[2].split()[0]
