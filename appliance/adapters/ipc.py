"""Commands and events between our processes over Unix sockets (frames: `appliance.ipc`)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.ipc import FRAME_LIMIT, Fault, Frames, Message, encode

READ = 1 << 18
"""Bytes per read."""
CLIENTS = 64
"""Connections served at a time; ours are a handful."""
PARALLEL = 32
"""Requests of one client under way at a time; further ones wait unread."""
UNSENT = 2 * FRAME_LIMIT
"""Bytes that may wait for a client that does not read before it is cut."""
TIMEOUT = 10.0
"""Seconds a client waits for an answer."""
RECONNECT = 0.5
"""Seconds between two attempts of a client to connect."""


@dataclass(frozen=True, slots=True)
class IpcPeer:
    """Who is at the other end, as the kernel says."""

    process: int
    user: int


Handler = Callable[[str, dict[str, Any], IpcPeer], Awaitable[Any]]
"""Carries out one command; raises HoldfastError, whose text the asker gets."""
Receive = Callable[[str, Any], None]
"""Takes an event's name and its data as plain maps and lists."""


class IpcServer:
    """Answer commands on a Unix socket that only our own user and group can reach."""

    def __init__(self, path: Path, handler: Handler, mode: int = 0o660) -> None:
        self._path = path
        self._handler = handler
        self._mode = mode
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Listen, in the place of whatever was at the path; raises LocalError."""
        try:
            listener = _bind(self._path, self._mode)
        except OSError as error:
            raise LocalError(f"socket {self._path}: {error.strerror}; check its folder") from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listener)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._clients.values()):
            task.cancel()
        await asyncio.gather(*self._clients.values(), return_exceptions=True)
        self._path.unlink(missing_ok=True)

    def push(self, event: str, data: Any) -> None:
        """Send an event to everybody connected; one who does not read is cut."""
        frame = encode(Message(event=event, data=data))
        for writer in list(self._clients):
            self._write(writer, frame)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= CLIENTS:
            writer.close()
            return
        self._clients[writer] = task
        try:
            async with asyncio.TaskGroup() as requests:
                await self._read(reader, writer, requests)
        except* (OSError, LocalError):
            pass  # It went away, or does not speak as we do.
        except* asyncio.CancelledError:
            pass  # We stop; Python 3.11's streams would print a traceback for this task.
        finally:
            del self._clients[writer]
            writer.close()

    async def _read(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        requests: asyncio.TaskGroup,
    ) -> None:
        frames, places = Frames(), asyncio.Semaphore(PARALLEL)
        peer = _peer(writer)
        while data := await reader.read(READ):
            for message in frames.feed(data):
                await places.acquire()
                task = requests.create_task(self._answer(message, writer, peer))
                task.add_done_callback(lambda _: places.release())

    async def _answer(self, message: Message, writer: asyncio.StreamWriter, peer: IpcPeer) -> None:
        try:
            result = await self._handler(message.do, message.arguments, peer)
            frame = encode(Message(id=message.id, ok=result))
            if len(frame) > FRAME_LIMIT:
                raise LocalError(f"the answer has {len(frame)} bytes; ask for less at a time")
        except Unavailable as error:
            frame = _refusal(message, "unavailable", error)
        except HoldfastError as error:
            frame = _refusal(message, "refused", error)
        except (TypeError, ValueError) as error:  # The answer does not fit into msgpack.
            frame = _refusal(message, "bug", error)
        self._write(writer, frame)

    def _write(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        if writer.is_closing():
            return
        writer.write(frame)
        if writer.transport.get_write_buffer_size() > UNSENT:
            writer.transport.abort()


def _bind(path: Path, mode: int) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        # Before anybody can connect: that needs listen().
        path.chmod(mode)
        listener.listen(CLIENTS)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _peer(writer: asyncio.StreamWriter) -> IpcPeer:
    there: socket.socket = writer.get_extra_info("socket")
    credentials = there.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    process, user, _ = struct.unpack("=iII", credentials)
    return IpcPeer(process, user)


def _refusal(message: Message, code: str, error: Exception) -> bytes:
    return encode(Message(id=message.id, error=Fault(code, str(error))))


class IpcClient:
    """Ask another of our processes; fulfils `ports.Commands` and connects again as needed."""

    def __init__(
        self, path: Path, receive: Receive | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._path = path
        self._receive = receive
        self._timeout = timeout
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Return the answer to one command as plain maps and lists.

        Raises Unavailable when the process is away or too slow (ask again later), LocalError when
        it refused.
        """
        try:
            async with asyncio.timeout(self._timeout):
                writer = await self._connected()
                return await self._ask(writer, name, arguments)
        except TimeoutError:
            raise Unavailable(f"{self._path}: no answer to {name} in time") from None

    async def _ask(self, writer: asyncio.StreamWriter, name: str, arguments: dict[str, Any]) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            writer.write(encode(Message(id=number, do=name, arguments=arguments)))
            return await answer
        finally:
            del self._waiting[number]

    async def listen(self) -> None:
        """Stay connected for events until cancelled; calls use the same connection."""
        while True:
            with contextlib.suppress(Unavailable):
                await self._connected()
                if self._reading is not None:
                    await asyncio.wait([self._reading])
            await asyncio.sleep(RECONNECT)

    async def close(self) -> None:
        """Disconnect."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                try:
                    reader, writer = await asyncio.open_unix_connection(str(self._path))
                except OSError as error:
                    raise Unavailable(f"{self._path}: {error.strerror}; is it running?") from error
                self._writer = writer
                self._reading = asyncio.create_task(self._read(reader, writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        try:
            while data := await reader.read(READ):
                for message in frames.feed(data):
                    self._take(message)
        except (OSError, LocalError):
            pass  # Gone, or no process of ours: either way whoever waits is told below.
        finally:
            self._writer = None
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Unavailable(f"{self._path}: the connection was lost"))

    def _take(self, message: Message) -> None:
        if message.event:
            if self._receive is not None:
                self._receive(message.event, message.data)
            return
        future = self._waiting.get(message.id or 0)
        if future is None or future.done():
            return
        fault = message.error
        if fault is None:
            future.set_result(None if message.ok is msgspec.UNSET else message.ok)
        elif fault.code == "unavailable":
            future.set_exception(Unavailable(fault.text))
        else:
            future.set_exception(LocalError(fault.text))
