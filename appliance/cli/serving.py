"""A process that serves until somebody tells it to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any


async def serve_until_signal(serving: Coroutine[Any, Any, None], log: logging.Logger) -> None:
    """Serve until SIGINT or SIGTERM; what is served cleans up as it is cancelled."""
    task = asyncio.create_task(serving)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
