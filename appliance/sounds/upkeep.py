"""Core's end of the preparation: keeps the prepared sounds as the bundle in force wants them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.bundle import Bundle
from appliance.call.actions import Notice
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.sounds.preparation import Wanted, prepare
from appliance.sounds.shelf import read_shelf
from appliance.upkeep import Upkeep

TIMEOUT = 1800.0
"""Seconds for all prompts of a site; an hour of recordings takes some ten minutes."""
COMPLAINT_LIMIT = 1000
"""Characters shown of what went wrong."""


class SoundUpkeep:
    """Prepares what changes; calls go on with the sounds of before until that is done."""

    def __init__(self, folder: Path, notify: Callable[[Notice], None]) -> None:
        self._folder = folder
        self._notify = notify
        self._upkeep = Upkeep(self._keep)

    def apply(self, bundle: Bundle) -> None:
        """Have the sounds of this bundle, as soon as they can be made."""
        self._upkeep.want(Wanted.of(bundle))

    async def settled(self) -> None:
        """Wait until nothing is being prepared."""
        await self._upkeep.settled()

    async def stop(self) -> None:
        """End what is being prepared; it is begun again with the next bundle."""
        await self._upkeep.stop()

    async def _keep(self, wanted: Wanted) -> None:
        try:
            await self._prepare(wanted)
        except HoldfastError as error:
            self._say("alarm", f"the site's prompts are not ready: {error}")

    async def _prepare(self, wanted: Wanted) -> None:
        if await asyncio.to_thread(self._is_ready, wanted):
            return
        if wanted.prompts or wanted.spoken:
            await _prepare_apart(wanted, self._folder)
        else:
            await asyncio.to_thread(prepare, wanted, self._folder)
        shelf = await asyncio.to_thread(read_shelf, self._folder)
        own = {name for name in shelf.missing if name not in wanted.spoken}
        for name in own:
            text = f"callers will not hear the prompt `{name}`: {shelf.missing[name]}"
            self._say("warning", text)
        for name in [name for name in shelf.missing if name not in own][:1]:
            count = len(shelf.missing) - len(own)
            text = f"{count} names and places will not be said in alert calls"
            self._say("warning", f"{text}: {shelf.missing[name]}")
        if shelf.files:
            self._say("info", f"{len(shelf.files)} prompts of the site are ready")

    def _is_ready(self, wanted: Wanted) -> bool:
        try:
            shelf = read_shelf(self._folder)
        except LocalError:
            return False
        # What could not be made may be possible now: a program was installed meanwhile.
        whole = all((self._folder / file).exists() for file in shelf.files.values())
        return shelf.made_from == wanted.digest and whole and not shelf.missing

    def _say(self, severity: str, text: str) -> None:
        self._notify(Notice(severity, "sounds", text))


async def _prepare_apart(wanted: Wanted, folder: Path) -> None:
    """Prepare in a process of its own; raises Unavailable when that does not succeed."""
    command = [sys.executable, "-m", "appliance.sounds.preparation", str(folder)]
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
        )
    except OSError as error:
        raise Unavailable(f"no process for it: {error.strerror}") from error
    try:
        async with asyncio.timeout(TIMEOUT):
            _, complaint = await child.communicate(msgspec.msgpack.encode(wanted))
    except TimeoutError:
        raise Unavailable(f"it took more than {TIMEOUT:.0f} seconds; shorten them") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        text = complaint.decode(errors="replace").strip()[-COMPLAINT_LIMIT:]
        raise Unavailable(text or f"it ended with {child.returncode}")
