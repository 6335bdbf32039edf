"""A simulated phone's clock, on the loop that carries it."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from appliance.cloud.reference.phone_stack import PhoneStack


def test_a_timer_that_is_due_already_does_not_stop_the_clock() -> None:
    fired: list[float] = []

    async def script() -> None:
        nobody: Any = None
        stack = PhoneStack(nobody)
        for late in (1.0, 0.5, 2.0):
            stack.timers.arm(stack.now() - late, fired.append)
            stack.rearm()
        async with asyncio.timeout(5):
            while len(fired) < 3:
                await asyncio.sleep(0)
        stack.close()

    uvloop.run(script())
    assert len(fired) == 3
