"""`holdfast run`: core, media, admin and ldap in the foreground, for a trial."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.cli.logs import configure_logs
from appliance.cli.options import OK, global_words, new_parser, settings_of
from appliance.errors import LocalError
from appliance.media.kernel_table import clear

_libc = ctypes.CDLL(None)
log = logging.getLogger("holdfast.run")

PROCESSES = ("media", "core", "admin", "ldap")
GRACE = 5.0
"""Seconds a process has to end by itself before it is killed."""
FIRST_PAUSE, LAST_PAUSE = 0.2, 10.0
"""Seconds before one that died is started again, doubled each time, up to the last."""
PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""
STEADY = 30.0
"""Seconds after which a process counts as started well."""


def add_parser(subparsers: Any) -> None:
    """Add `run`."""
    about = "run core, media, admin and ldap in the foreground; one that dies is started again"
    parser = new_parser(subparsers, "run", about)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run all processes until told to stop."""
    settings = settings_of(arguments)
    configure_logs("run")
    for folder in (settings.data, settings.run):
        _make(folder)
    words = [sys.executable, "-m", "appliance.cli.command", *global_words(arguments)]
    try:
        asyncio.run(supervise({name: [*words, name] for name in PROCESSES}))
    finally:
        # Media leaves calls in the kernel for its next start; here there will be none.
        clear(settings)
    return OK


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        text = f"{folder}: {error.strerror}; name folders of yours with --data and --run"
        raise LocalError(text) from error


async def supervise(commands: Mapping[str, Sequence[str]]) -> None:
    """Keep these processes running until SIGINT or SIGTERM, then end them all."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    keepers = [asyncio.create_task(_keep(name, words)) for name, words in commands.items()]
    await ended.wait()
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(name: str, words: Sequence[str]) -> None:
    pause = FIRST_PAUSE
    while True:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *words, start_new_session=True, preexec_fn=_end_with_parent
        )
        log.info("%s runs as process %d", name, process.pid)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(name, process)
            raise
        lived = time.monotonic() - started
        pause = FIRST_PAUSE if lived > STEADY else min(pause * 2, LAST_PAUSE)
        log.warning("%s ended (%s); again in %.1f s", name, _cause(status), pause)
        await asyncio.sleep(pause)


async def _end(name: str, process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        # Not asyncio.timeout: before Python 3.11.3 it mistakes its own time-out for the
        # cancellation that has brought us here, and nobody would be killed.
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        log.warning("%s does not end; killed", name)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _end_with_parent() -> None:
    """Ask the kernel, in the child, to end it when we are killed ourselves."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _cause(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
