"""The media process's Unix socket: connections that carry `ipc.Message`s over the epoll loop."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from pathlib import Path

from appliance.errors import LocalError
from appliance.ipc import FRAME_LIMIT, Frames, Message, encode
from appliance.media.loop import Loop, log

CONNECTIONS_LIMIT = 64
"""Core, admin and a few command lines; more are refused."""
READ_SIZE = 1 << 16
"""Bytes taken at once, so that a large resync does not keep the packets waiting."""


class Connection:
    """One peer on a stream socket; `received` gets its messages, `closed` its end."""

    def __init__(
        self,
        loop: Loop,
        stream: socket.socket,
        received: Callable[[Connection, Message], None],
        closed: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._stream = stream
        self._received = received
        self._closed = closed
        self._frames = Frames()
        self._unsent = bytearray()
        self.open = True
        stream.setblocking(False)
        loop.add(stream.fileno(), self._serve)

    def send(self, message: Message) -> None:
        """Send after the jobs there are, which may have more to say; cut off who does not read.

        Each time a peer is woken costs it more than what it is told.
        """
        if not self.open:
            return
        if not self._unsent:
            self._loop.later(self._flush)
        self._unsent += encode(message)
        if len(self._unsent) > 2 * FRAME_LIMIT:
            log("a peer on the control socket does not read; closing it")
            self.close()

    def close(self) -> None:
        """End the connection; `closed` is called."""
        if self.open:
            self.open = False
            self._loop.remove(self._stream.fileno())
            self._stream.close()
            self._closed(self)

    def _serve(self, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush()
        if self.open and events & ~select.EPOLLOUT:
            self._read()

    def _read(self) -> None:
        try:
            data = self._stream.recv(READ_SIZE)
            messages = self._frames.feed(data)
        except BlockingIOError:
            return
        except (OSError, LocalError) as error:
            log(f"control connection closed: {error}")
            self.close()
            return
        if not data:
            self.close()
        for message in messages:
            self._received(self, message)

    def _flush(self) -> None:
        if not self.open:
            return
        try:
            while self._unsent:
                del self._unsent[: self._stream.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        writing = select.EPOLLOUT if self._unsent else 0
        self._loop.change(self._stream.fileno(), select.EPOLLIN | writing)


class Listener:
    """Accepts connections on a Unix socket that only our own account may use."""

    def __init__(
        self,
        loop: Loop,
        path: Path,
        received: Callable[[Connection, Message], None],
        closed: Callable[[Connection], None],
    ) -> None:
        """Listen; raises LocalError when another media process already does."""
        self._loop = loop
        self._path = path
        self._received = received
        self._closed = closed
        self._connections: list[Connection] = []
        self._socket = _listen(path)
        loop.add(self._socket.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
        for connection in list(self._connections):
            connection.close()

    def _accept(self, _events: int) -> None:
        try:
            stream, _ = self._socket.accept()
        except OSError:
            return
        if len(self._connections) >= CONNECTIONS_LIMIT:
            stream.close()
            return
        self._connections.append(Connection(self._loop, stream, self._received, self._forget))

    def _forget(self, connection: Connection) -> None:
        self._connections.remove(connection)
        self._closed(connection)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _clear(path)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(CONNECTIONS_LIMIT)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise LocalError(f"control socket {path}: {why}; check `run`") from error
    except LocalError:
        listener.close()
        raise
    return listener


def _clear(path: Path) -> None:
    """Remove what a killed process left; raises LocalError if somebody answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise LocalError(f"a media process already listens on {path}; stop it first")
