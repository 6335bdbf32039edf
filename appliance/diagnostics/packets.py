"""The way to `holdfast-netdiag`, which makes packets itself and may do so where we may not.

On an appliance it is a service, started for each question (`netdiag.sock` in the run folder);
elsewhere it is started as a process of ours, which then needs our own rights to be enough.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
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


class NotPermitted(Unavailable):
    """Report that nobody here may make packets."""


async def ask_netdiag(settings: Settings, **request: Any) -> dict[str, Any]:
    """Return what a probe has found; raises Unavailable or NotPermitted."""
    line = msgspec.json.encode(request) + b"\n"
    door = settings.run / "netdiag.sock"
    async with asyncio.timeout(PATIENCE):
        answer = await (_by_socket(door, line) if door.exists() else _by_process(line))
    try:
        told: dict[str, Any] = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{NAME} gives no sense: {error}") from error
    if failure := told.get("failure"):
        kind = NotPermitted if "not permitted" in failure.lower() else Unavailable
        raise kind(f"{NAME}: {failure}")
    return told


async def _by_socket(door: Path, line: bytes) -> bytes:
    try:
        reader, writer = await asyncio.open_unix_connection(str(door), limit=ANSWER_LIMIT)
    except OSError as error:
        raise Unavailable(f"{door}: {error.strerror}") from error
    try:
        writer.write(line)
        return await reader.readline()
    except OSError as error:
        raise Unavailable(f"{door}: {error.strerror}") from error
    finally:
        writer.close()


async def _by_process(line: bytes) -> bytes:
    beside = Path(sys.executable).with_name(NAME)
    program = str(beside) if beside.exists() else shutil.which(NAME)
    if program is None:
        raise NotPermitted(f"{NAME} is not installed")
    process = await asyncio.create_subprocess_exec(program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        answer, _ = await process.communicate(line)
        return answer
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
