"""Several worker processes behind one control socket: each relay belongs to one by its key."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import msgspec

from appliance.errors import LocalError
from appliance.ipc import Message
from appliance.media.commands import (
    QUESTIONS,
    AskQuality,
    AskStats,
    Drop,
    Put,
    Resync,
    SetMarks,
    Stats,
    answer,
    read_command,
    refusal,
)
from appliance.media.control import Connection
from appliance.media.loop import Loop, log
from appliance.media.shortcut import written
from appliance.media.worker import ORPHAN_AFTER


@dataclass(slots=True)
class Question:
    """A request some workers still have to answer."""

    connection: Connection
    message: Message
    missing: set[int]
    """Numbers of the workers that have not answered."""
    answers: list[Message] = field(default_factory=list)


class Shards:
    """Hands each request to the workers it concerns and joins their answers."""

    def __init__(
        self,
        loop: Loop,
        count: int,
        capacity: int,
        arrays: Mapping[int, int] | None = None,
        data: Path | None = None,
        io_uring: bool = False,
    ) -> None:
        """Start `count` workers of `capacity` relays each.

        They share our table and the short cut's `arrays`, which may be none, unless that is None;
        `data`: the folder of sounds and recordings; `io_uring`: they serve packets in batches.
        """
        self._loop = loop
        self._data = str(data or "")
        self._io_uring = "1" if io_uring else "0"
        self._capacity = capacity
        self._share = str(count) if arrays is not None else "0"
        self._arrays = arrays or {}
        self._core: Connection | None = None
        self._core_seen = loop.now
        self.orphan_after = ORPHAN_AFTER
        self._questions: dict[int, Question] = {}
        self._asked = 0
        self.marked: Callable[[int], None] = lambda _value: None
        """Told of the DSCP value that packets are marked with, for our own table."""
        self._workers: list[tuple[subprocess.Popen[bytes], Connection]] = []
        self._stopping = False
        for number in range(count):
            self._workers.append(self._start(number))
        loop.every_second(self._end_orphans)

    def receive(self, connection: Connection, message: Message) -> None:
        """Do a request and answer it on its connection."""
        try:
            parts = dict(self._split(message))
        except LocalError as error:
            connection.send(refusal(message, error))
            return
        if message.do not in QUESTIONS:
            self._core = connection
        if message.do == "media.marks":
            self.marked(message.arguments["media"])
        self._asked += 1
        self._questions[self._asked] = Question(connection, message, set(parts))
        for number, arguments in parts.items():
            request = Message(id=self._asked, do=message.do, arguments=arguments)
            self._workers[number][1].send(request)

    def gone(self, connection: Connection) -> None:
        """Note the end of core's connection; the workers keep their relays."""
        if connection is self._core:
            self._core = None
            self._core_seen = self._loop.now
            if not self._stopping:
                log("core is gone; the relays go on")

    def close(self) -> None:
        """End all workers and wait for them."""
        self._stopping = True
        for process, connection in self._workers:
            connection.close()
            process.wait()

    def _split(self, message: Message) -> Iterator[tuple[int, dict[str, object]]]:
        """Return each worker's part; every worker has one, if an empty one."""
        command = read_command(message)
        for number in range(len(self._workers)):
            match command:
                case Put(relays) | Resync(relays):
                    mine = [relay for relay in relays if self._shard(relay.key) == number]
                    yield number, {"relays": mine}
                case Drop(keys):
                    yield number, {"keys": [key for key in keys if self._shard(key) == number]}
                case AskQuality(keys) if keys is not None:
                    yield number, {"keys": [key for key in keys if self._shard(key) == number]}
                case SetMarks(media):
                    yield number, {"media": media}
                case AskStats() | AskQuality():
                    yield number, {}

    def _shard(self, key: str) -> int:
        """Return a relay's worker: one for all of a call, whose ports pass between its relays."""
        return crc32(key.partition("/")[0].encode()) % len(self._workers)

    def _start(self, number: int) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        # A new interpreter, not a fork: nothing of ours is open in it but its connection.
        with theirs:
            numbers = [str(theirs.fileno()), str(self._capacity), str(number), self._share]
            arguments = [*numbers, written(self._arrays), self._data, self._io_uring]
            command = [sys.executable, "-m", "appliance.media.shard", *arguments]
            given = [theirs.fileno(), *self._arrays.values()]
            process = subprocess.Popen(command, pass_fds=given)

        def heard(_connection: Connection, message: Message) -> None:
            self._hear(number, message)

        def ended(_connection: Connection) -> None:
            self._lose(number)

        return process, Connection(self._loop, ours, heard, ended)

    def _hear(self, number: int, message: Message) -> None:
        if message.event:
            if self._core is not None:
                self._core.send(message)
            return
        question = self._questions.get(message.id or 0)
        if question is None:
            return
        question.missing.discard(number)
        question.answers.append(message)
        if not question.missing:
            del self._questions[message.id or 0]
            question.connection.send(_joined(question))

    def _end_orphans(self) -> None:
        """End all relays when core stays away: the workers see only us, and we are here."""
        now = self._loop.now
        if self._core is None and now - self._core_seen > self.orphan_after:
            self._core_seen = now
            for _, connection in self._workers:
                connection.send(Message(do="media.resync", arguments={"relays": []}))

    def _lose(self, number: int) -> None:
        """Start a dead worker anew and let core come again, for it knows what is missing."""
        if self._stopping:
            return
        process, _ = self._workers[number]
        process.kill()
        process.wait()
        log(f"worker {number} died; starting another")
        self._workers[number] = self._start(number)
        # Whoever waits for an answer of the dead one has to come again as well.
        waiting = [question.connection for question in self._questions.values()]
        self._questions.clear()
        for connection in (self._core, *waiting):
            if connection is not None:
                connection.close()


def _joined(question: Question) -> Message:
    for part in question.answers:
        if part.error is not None:
            return Message(id=question.message.id, error=part.error)
    if question.message.do == "media.quality":
        return answer(question.message, [row for part in question.answers for row in part.ok])
    if question.message.do != "media.stats":
        return answer(question.message, sum(part.ok for part in question.answers))
    total = Stats()
    for part in question.answers:
        total = total.plus(msgspec.convert(part.ok, Stats))
    return answer(question.message, total)
