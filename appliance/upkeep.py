"""What is made anew from each bundle, in the background, the newest one last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

Wanted = TypeVar("Wanted")


class Upkeep(Generic[Wanted]):
    """Makes what is wanted, one after another; what has been overtaken meanwhile is left out."""

    def __init__(self, make: Callable[[Wanted], Awaitable[None]]) -> None:
        """`make` raises nothing that is expected to happen."""
        self._make = make
        self._wanted: list[Wanted] = []
        """None or one."""
        self._task: asyncio.Task[None] | None = None

    def want(self, what: Wanted) -> None:
        """Have this made as soon as it can be."""
        self._wanted = [what]
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def settled(self) -> None:
        """Wait until nothing is being made."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Make nothing more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _work(self) -> None:
        while self._wanted:
            await self._make(self._wanted.pop())
