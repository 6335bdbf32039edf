"""Call records on their way to the cloud: each at least once, and counted once (G3).

Core forgets a record only after the cloud said it has it. Whatever breaks in between, the record
is sent again under the same idempotency key, which is its id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import msgspec

from appliance.call.record import CallRecord
from appliance.cloud.client import CloudClient, Refused
from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands

log = logging.getLogger("holdfast.records")

BATCH = 200
"""Records asked of core at a time; about 1 MB."""
ASK_LIMIT = 2000
"""Records in one answer of core, refused ones included; keeps it well below a frame's 16 MiB."""
CONCURRENCY = 4
"""Uploads at a time: enough for 100 a second at 40 ms, and gentle on a cloud that comes back."""
LOOK_INTERVAL = 5.0
"""Seconds between two looks whether core has records."""
FIRST_RETRY, LAST_RETRY = 1.0, 120.0
"""Seconds to wait after the first failure in a row, doubled with each, up to the last."""
REFUSED_RETRY = 3600.0
"""Seconds before a record that the cloud refused is tried again: clouds get mended too."""


class UploadState(msgspec.Struct, kw_only=True):
    """What admins are shown of the upload; times are wall-clock seconds (Unix) or None."""

    uploaded: int = 0
    """Records the cloud has taken since this process started."""
    uploaded_at: float | None = None
    failing_since: float | None = None
    failure: str = ""
    refused: dict[str, str] = {}
    """Records the cloud would not take: id and its reason. They stay with us."""


class RecordUpload:
    """Bring core's records to the cloud whenever the site is in standby."""

    def __init__(
        self,
        cloud: CloudClient,
        core: Commands,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cloud = cloud
        self._core = core
        self._wall = wall
        self._clock = clock
        self._delivered: list[str] = []
        """Ids the cloud has and core does not know of yet."""
        self._retry_at: dict[str, float] = {}
        """Refused records and when to try them again."""
        self.state = UploadState()

    async def run(self) -> None:
        """Upload until cancelled."""
        failures = 0
        while True:
            try:
                await self.upload()
                failures = 0
            except (Unavailable, LocalError) as error:
                failures += 1
                self._failed(str(error))
            await asyncio.sleep(_pause(failures))

    async def upload(self) -> int:
        """Deliver all that waits, when the mode is standby; return how many went.

        Raises Unavailable when the cloud or core cannot be reached: the rest waits.
        """
        if (await self._core.call("mode"))["mode"] != "standby":
            return 0
        gone: set[str] = set()
        while batch := await self._next_batch():
            if again := gone.intersection(record.id for record in batch):
                raise LocalError(f"core keeps records that were acknowledged, like {again.pop()}")
            await self._deliver(batch)
            gone.update(record.id for record in batch)
        self._recovered()
        return len(gone.difference(self._retry_at))

    async def _next_batch(self) -> list[CallRecord]:
        await self._acknowledge()
        now = self._clock()
        aside = {name for name, due in self._retry_at.items() if due > now}
        waiting = await self._core.call("records.pending", limit=min(BATCH + len(aside), ASK_LIMIT))
        records = msgspec.convert(waiting, list[CallRecord])
        return [record for record in records if record.id not in aside]

    async def _deliver(self, batch: list[CallRecord]) -> None:
        """Send a batch; what was delivered is acknowledged even when the rest fails."""
        queue = iter(batch)
        failures: list[Unavailable] = []

        async def send_in_turn() -> None:
            for record in queue:
                if failures:
                    return
                try:
                    await self._send(record)
                except Unavailable as error:
                    failures.append(error)

        await asyncio.gather(*(send_in_turn() for _ in range(CONCURRENCY)))
        await self._acknowledge()
        if failures:
            raise failures[0]

    async def _send(self, record: CallRecord) -> None:
        try:
            await self._cloud.put_record(record)
        except Refused as error:
            if record.id not in self.state.refused:
                log.error("the cloud will not take call record %s: %s", record.id, error)
            self._retry_at[record.id] = self._clock() + REFUSED_RETRY
            self.state.refused[record.id] = str(error)
            return
        self._delivered.append(record.id)
        self._retry_at.pop(record.id, None)
        self.state.refused.pop(record.id, None)
        self.state.uploaded += 1
        self.state.uploaded_at = self._wall()

    async def _acknowledge(self) -> None:
        if self._delivered:
            await self._core.call("records.uploaded", ids=self._delivered)
            self._delivered = []

    def _failed(self, text: str) -> None:
        if text != self.state.failure:
            log.warning("call records wait: %s", text)
        self.state.failure = text
        self.state.failing_since = self.state.failing_since or self._wall()

    def _recovered(self) -> None:
        self.state.failure = ""
        self.state.failing_since = None


def _pause(failures: int) -> float:
    """Return seconds to wait: longer with each failure, and never in step with other sites."""
    if not failures:
        return LOOK_INTERVAL
    ceiling = min(LAST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 16))
    return random.uniform(ceiling / 2, ceiling)
