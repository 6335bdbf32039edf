"""The core's end of the media plane: `ports.MediaPlane` over the media process's Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from appliance.bundle.dscp import Marks
from appliance.call.actions import Relay
from appliance.call.events import MediaEvent, RelayEnded
from appliance.call.record import LiveQuality
from appliance.errors import LocalError
from appliance.ipc import Frames, Message, encode
from appliance.media.commands import read_event

RETRY_FIRST = 0.1
"""Seconds before the first attempt to connect again."""
RETRY_LONGEST = 2.0
"""Seconds between attempts at most: a media process that is back must not be waited for."""
READ_SIZE = 1 << 16
QUALITY_TIMEOUT = 2.0
"""Seconds; 4,000 relays take 0.3 between their packets."""


class MediaClient:
    """Keeps the media process as the core wants it, over restarts of either.

    It knows every relay that should live and every one whose `RelayEnded` is still to come. After
    each connect it first asks for the missing ends, then puts all that lives. It does not connect
    before `resync` was called once: the relays of a core that was killed play on until the new one
    has read from its database which of them it wants.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted: dict[str, Relay] = {}
        self._ending: set[str] = set()
        self._unsent: list[Relay | str] = []
        self._mark = Marks().media
        self._writer: asyncio.StreamWriter | None = None
        self._receive: Callable[[MediaEvent], None] | None = None
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._asked = 0
        self._questions: dict[int, asyncio.Future[Any]] = {}
        self.refusals: list[str] = []
        """Last requests the media process did not understand: versions that do not fit."""

    @property
    def connected(self) -> bool:
        """Tell whether the media process is there."""
        return self._writer is not None

    def on_event(self, receive: Callable[[MediaEvent], None]) -> None:
        """Name who is told of every `MediaEvent`."""
        self._receive = receive

    def put(self, relay: Relay) -> None:
        """Open or change one relay; sent with all others of this turn of the loop."""
        self._wanted[relay.key] = relay
        self._queue(relay)

    def drop(self, key: str) -> None:
        """End one relay; `RelayEnded` follows, after a reconnect if need be."""
        self._wanted.pop(key, None)
        self._ending.add(key)
        self._queue(key)

    def resync(self, relays: list[Relay]) -> None:
        """Make exactly these relays exist."""
        self._wanted = {relay.key: relay for relay in relays}
        self._known.set()
        if self._writer is not None:
            self._send_all()

    async def quality(self, keys: list[str] | None = None) -> list[LiveQuality]:
        """Return how relays are heard now, all or these; nothing while nobody can tell."""
        if self._writer is None:
            return []
        answer = asyncio.get_running_loop().create_future()
        self._asked += 1
        number = self._asked
        self._questions[number] = answer
        question = Message(id=number, do="media.quality", arguments={"keys": keys})
        self._writer.write(encode(question))
        try:
            async with asyncio.timeout(QUALITY_TIMEOUT):
                return msgspec.convert(await answer, list[LiveQuality])
        except (TimeoutError, msgspec.ValidationError):
            return []
        finally:
            self._questions.pop(number, None)

    def mark(self, value: int) -> None:
        """Have packets carry this DSCP value; said again after each reconnect."""
        self._mark = value
        self._send("media.marks", "media", value)

    def start(self) -> None:
        """Connect, and connect again whenever the connection is lost, until `stop`."""
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def stop(self) -> None:
        """Disconnect; relays play on in the media process."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def _queue(self, change: Relay | str) -> None:
        if self._writer is None:
            return
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(change)

    def _flush(self) -> None:
        """Send this turn's changes, neighbours of one kind in one message, order kept.

        All in one go: each write would wake the media process, which may have our processor.
        """
        changes, self._unsent = self._unsent, []
        frames = [
            self._frame("media.put", "relays", list(group))
            if kind is Relay
            else self._frame("media.drop", "keys", list(group))
            for kind, group in groupby(changes, type)
        ]
        if self._writer is not None:
            self._writer.write(b"".join(frames))

    def _send_all(self) -> None:
        self._unsent.clear()
        self._send("media.marks", "media", self._mark)
        if self._ending:
            self._send("media.drop", "keys", list(self._ending))
        self._send("media.resync", "relays", list(self._wanted.values()))

    def _send(self, do: str, name: str, items: list[Any] | int) -> None:
        frame = self._frame(do, name, items)
        if self._writer is not None:
            self._writer.write(frame)

    def _frame(self, do: str, name: str, items: list[Any] | int) -> bytes:
        self._asked += 1
        return encode(Message(id=self._asked, do=do, arguments={name: items}))

    async def _stay_connected(self) -> None:
        await self._known.wait()
        wait = RETRY_FIRST
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(str(self._path))
                wait = RETRY_FIRST
                self._send_all()
                await self._read(reader)
            except (OSError, LocalError):
                # Not there yet, or gone: whoever started it starts it again.
                pass
            finally:
                self._disconnect()
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_LONGEST)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await reader.read(READ_SIZE):
            for message in frames.feed(data):
                self._hear(message)

    def _hear(self, message: Message) -> None:
        if message.error is not None:
            self.refusals = [*self.refusals[-9:], message.error.text]
        if not message.event:
            waiting = self._questions.get(message.id or 0)
            if waiting is not None and not waiting.done():
                waiting.set_result([] if message.error else message.ok)
            return
        event = read_event(message)
        if isinstance(event, RelayEnded):
            if event.key not in self._ending:
                return
            self._ending.discard(event.key)
        if self._receive is not None:
            # By way of the loop: what goes wrong with one event must not end the connection.
            asyncio.get_running_loop().call_soon(self._receive, event)

    def _disconnect(self) -> None:
        self._unsent.clear()
        for waiting in self._questions.values():
            if not waiting.done():
                waiting.set_result([])
        if self._writer is not None:
            self._writer.close()
            self._writer = None
