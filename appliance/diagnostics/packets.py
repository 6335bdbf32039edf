"""The way to `holdfast-netdiag`, which makes packets itself and may do so where we may not.

On an appliance it is a service, started for each question (`netdiag.sock` in the run folder);
elsewhere it is started as a process of ours, which then needs our own rights to be enough.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import Unavailable
from appliance.settings import Settings

NAME = "holdfast-netdiag"
ANSWER_LIMIT = 256 << 10
"""Octets of one answer; a hundred offers are 50 KB."""
PATIENCE = 25.0
"""Seconds for one question; a probe takes 15 at most."""

GRACE = 3.0
"""Seconds in which a process may end by itself."""


class NotPermitted(Unavailable):
    """Report that nobody here may make packets."""


async def ask_netdiag(settings: Settings, **request: Any) -> dict[str, Any]:
    """Return what a probe has found; raises Unavailable or NotPermitted."""
    line = msgspec.json.encode(request) + b"\n"
    door = settings.run / "netdiag.sock"
    async with asyncio.timeout(PATIENCE):
        answer = await (_by_socket(door, line) if door.exists() else _by_process(line))
    return _read(answer)


@asynccontextmanager
async def asking_netdiag(settings: Settings, **request: Any) -> AsyncIterator[Stream]:
    """Ask for something that goes on; its answer is read as it comes, until it or we end.

    Raises Unavailable or NotPermitted.
    """
    door = settings.run / "netdiag.sock"
    opened = await (_open_socket(door) if door.exists() else _open_process())
    try:
        opened.writer.write(msgspec.json.encode(request) + b"\n")
        async with asyncio.timeout(PATIENCE):
            _read(await opened.reader.readline())
        yield opened
    except OSError as error:
        raise Unavailable(f"{NAME}: {error.strerror}") from error
    finally:
        await opened.close()


class Stream:
    """An answer that goes on, and the way to say that it is enough."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        process: asyncio.subprocess.Process | None = None,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._process = process

    def enough(self) -> None:
        """Have it end by itself: what is under way still comes."""
        if self.writer.can_write_eof() and not self.writer.is_closing():
            self.writer.write_eof()

    async def close(self) -> None:
        """End it, whatever it is at."""
        self.writer.close()
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(GRACE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _read(answer: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{NAME} gives no sense: {error}") from error
    if failure := told.get("failure"):
        kind = NotPermitted if "not permitted" in failure.lower() else Unavailable
        raise kind(f"{NAME}: {failure}")
    return told


async def _by_socket(door: Path, line: bytes) -> bytes:
    opened = await _open_socket(door)
    try:
        opened.writer.write(line)
        return await opened.reader.readline()
    except OSError as error:
        raise Unavailable(f"{door}: {error.strerror}") from error
    finally:
        await opened.close()


async def _open_socket(door: Path) -> Stream:
    try:
        return Stream(*await asyncio.open_unix_connection(str(door), limit=ANSWER_LIMIT))
    except OSError as error:
        raise Unavailable(f"{door}: {error.strerror}") from error


async def _by_process(line: bytes) -> bytes:
    process = await _start()
    try:
        answer, _ = await process.communicate(line)
        return answer
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _open_process() -> Stream:
    process = await _start()
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both ends were asked for")
    return Stream(process.stdout, process.stdin, process)


async def _start() -> asyncio.subprocess.Process:
    beside = Path(sys.executable).with_name(NAME)
    program = str(beside) if beside.exists() else shutil.which(NAME)
    if program is None:
        raise NotPermitted(f"{NAME} is not installed")
    return await asyncio.create_subprocess_exec(
        program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=ANSWER_LIMIT
    )
