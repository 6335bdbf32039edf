"""The table of relays, and what is done with it when core asks and when time passes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from appliance.call.actions import Relay
from appliance.call.events import MediaEvent, RelayEnded, RelayFailed, RelaySilent
from appliance.call.record import LiveQuality, MediaCounters
from appliance.errors import LocalError
from appliance.ipc import Message
from appliance.marking import MEDIA
from appliance.media.carried import Carried
from appliance.media.commands import (
    AskQuality,
    AskStats,
    Command,
    Drop,
    Put,
    Resync,
    SetMarks,
    Stats,
    answer,
    event_message,
    read_command,
    refusal,
)
from appliance.media.control import Connection
from appliance.media.end_system import Studio
from appliance.media.flow import WAYS, Mark
from appliance.media.kernel_plane import KernelPlane
from appliance.media.kernel_relay import BATCH
from appliance.media.loop import Loop, log
from appliance.media.port import PortTaken
from appliance.media.relay import DESCRIPTORS, RelayedStream

SILENCE = 60.0
"""Seconds without a packet from either side before core is told (`RelaySilent`)."""
LOOKS: Final = 12
"""How often a relay is looked at in such a time; never more than once a second."""
HASTY: Final = 0.015
"""Seconds of audio in a packet; with less, more headers are noted between two readings of all
counters than a slot has room for, so these are taken every second."""
REVIEWED = 50
"""Relays looked at in one go, 0.3 ms: with thousands of them packets must not wait for all."""
ORPHAN_AFTER = 300.0
"""Seconds without core before relays end: a core that comes back takes some 2."""


class Worker:
    """Owns relays; core is whoever changed them last."""

    def __init__(
        self,
        loop: Loop,
        capacity: int,
        studio: Studio | None = None,
        kernel: KernelPlane | None = None,
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._unsettled: set[str] = set()
        """Relays that the kernel does not have whole: it may, once a phone is learnt."""
        self._hasty: set[str] = set()
        """Relays with packets of little audio."""
        if kernel is not None:
            kernel.listen(self._take_copy, self._take_count)
        self._studio = studio or Studio(loop)
        self._studio.tell = self._tell
        self._capacity = capacity
        self._relays: dict[str, RelayedStream] = {}
        self._core: Connection | None = None
        self._core_seen = loop.now
        self._past = Stats(workers=1)
        self.marked: Callable[[int], None] = _nothing
        """Told of the DSCP value that packets are marked with."""
        self.silence = SILENCE
        self.orphan_after = ORPHAN_AFTER
        self._sweeps = 0
        loop.every_second(self._sweep)

    def receive(self, connection: Connection, message: Message) -> None:
        """Do a request and answer it on its connection, after all requests before it."""
        try:
            command = read_command(message)
        except LocalError as error:
            connection.send(refusal(message, error))
            return
        if isinstance(command, AskQuality):
            self._tell_quality(connection, message, command)
            return
        if not isinstance(command, AskStats):
            self._core = connection
        for job in self._jobs(command):
            self._loop.later(job)
        self._loop.later(partial(self._answer, connection, message, command))

    def gone(self, connection: Connection) -> None:
        """Note the end of a connection; relays stay, for a core that was killed comes back."""
        if connection is self._core:
            self._core = None
            self._core_seen = self._loop.now
            if self._relays:
                log(f"core is gone; {len(self._relays)} relays go on")

    def close(self) -> None:
        """End all relays and tell nobody: a core that lives puts them again when we are back.

        What the kernel carries goes on until then.
        """
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        self._end_all()
        self._studio.disk.close()

    @property
    def stats(self) -> Stats:
        """Counters over all relays, past and present."""
        total = self._past.plus(
            Stats(
                relays=len(self._relays),
                capacity=self._capacity,
                descriptors=len(self._relays) * DESCRIPTORS,
            )
        )
        for stream in self._relays.values():
            total = total.plus(_sums(*stream.counters))
        return total

    def _jobs(self, command: Command) -> list[Callable[[], None]]:
        match command:
            case Put(relays):
                return [partial(self._put, relay) for relay in relays]
            case Drop(keys):
                return [*self._withdrawals(keys), *(partial(self._drop, key) for key in keys)]
            case Resync(relays):
                keep = partial(self._keep, {relay.key for relay in relays})
                return [keep, *(partial(self._put, relay, resumed=True) for relay in relays)]
            case SetMarks(media):
                return [partial(MEDIA.change, media), partial(self.marked, media)]
            case AskStats() | AskQuality():
                return []

    def _answer(self, connection: Connection, message: Message, command: Command) -> None:
        is_question = isinstance(command, AskStats)
        connection.send(answer(message, self.stats if is_question else len(self._relays)))

    def _tell_quality(self, connection: Connection, message: Message, command: AskQuality) -> None:
        """Reckon relay by relay between the packets, then answer."""
        keys = list(self._relays) if command.keys is None else command.keys
        rows: list[LiveQuality] = []
        for key in keys:
            self._loop.later(partial(self._add_quality, key, rows))
        self._loop.later(lambda: connection.send(answer(message, rows)))

    def _add_quality(self, key: str, rows: list[LiveQuality]) -> None:
        stream = self._relays.get(key)
        if stream is not None:
            self._take_samples(stream)
            told = stream.quality.told
            a, b = stream.counters
            rows.append(LiveQuality(key, told(0, a, recent=True), told(1, b, recent=True)))

    def _put(self, relay: Relay, resumed: bool = False) -> None:
        self._open(relay, resumed)
        stream = self._relays.get(relay.key)
        if stream is not None:
            self._offer(stream)

    def _open(self, relay: Relay, resumed: bool) -> None:
        """Make a relay exist as wanted, or tell why not; `resumed`: the call may be older."""
        stream = self._relays.get(relay.key)
        try:
            if stream is not None and stream.fits(relay):
                stream.apply(relay)
                return
            if stream is not None:
                self._forget(relay.key)
                resumed = True
            elif len(self._relays) >= self._capacity:
                raise OSError(0, f"all {self._capacity} relays are in use")
            self._relays[relay.key] = self._new_stream(relay, resumed)
        except (OSError, OverflowError, LocalError) as error:
            self._fail(relay.key, error)
            return
        self._past = self._past.plus(Stats(opened=1))

    def _new_stream(self, relay: Relay, resumed: bool) -> RelayedStream:
        known = self._kernel.relays.learnt(relay.key, relay.revision) if self._kernel else {}
        stream = RelayedStream(self._loop, relay, self._studio, known, resumed)
        if self._kernel is not None:
            stream.carried = partial(self._kernel.relays.carried, relay.key)
        return stream

    def _offer(self, stream: RelayedStream) -> None:
        """Let the kernel carry what nothing in user space needs to see."""
        if self._kernel is None:
            return
        flows = stream.flows
        self._kernel.want(stream.key, stream.revision, flows)
        if len(flows) == WAYS:
            self._unsettled.discard(stream.key)
        else:
            self._unsettled.add(stream.key)

    def _withdrawals(self, keys: list[str]) -> list[Callable[[], None]]:
        """Return jobs that take relays out of the kernel many at a time, before each is ended."""
        if self._kernel is None:
            return []
        withdraw = self._kernel.relays.withdraw
        return [partial(withdraw, keys[at : at + BATCH]) for at in range(0, len(keys), BATCH)]

    def _take_copy(self, mark: Mark, packet: memoryview, arrival: float) -> None:
        """Look at a packet that the kernel has passed on."""
        stream = self._relays.get(self._kernel.relays.key_of(mark)) if self._kernel else None
        if stream is not None:
            self._take_samples(stream)
            stream.quality.watches[mark.side].copied(bytes(packet), arrival)

    def _take_samples(self, stream: RelayedStream) -> None:
        """Look at the headers that the short cut has noted, before anything that came after."""
        noted = self._kernel.relays.samples(stream.key) if self._kernel else []
        for way, sample in noted:
            stream.quality.watches[way // 2].noted(sample.header, sample.arrival)
        if noted and 0 < stream.quality.packet_time < HASTY:
            self._hasty.add(stream.key)

    def _take_count(self, mark: Mark, packets: int) -> None:
        """Compare what the kernel has counted with how far the stream has come."""
        if mark.is_rtp and self._kernel is not None:
            stream = self._relays.get(self._kernel.relays.key_of(mark))
            if stream is not None:
                self._take_samples(stream)
                stream.quality.counted(mark.side, packets, self._loop.now)

    def _fail(self, key: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        log(f"relay {key} failed: {reason}")
        self._past = self._past.plus(Stats(failed=1))
        port = error.port if isinstance(error, PortTaken) else 0
        self._tell(RelayFailed(key, reason, port))

    def _drop(self, key: str) -> None:
        self._tell(self._forget(key))

    def _forget(self, key: str) -> RelayEnded:
        stream = self._relays.pop(key, None)
        self._unsettled.discard(key)
        if stream is not None:
            self._take_samples(stream)
        carried = self._kernel.forget(key) if self._kernel else Carried()
        if stream is None:
            return RelayEnded(key, carried.counters(0), carried.counters(2))
        if self._kernel is not None:
            stream.carried = lambda: carried
        ended = stream.close()
        self._past = self._past.plus(_sums(ended.from_a, ended.from_b))
        return ended

    def _end_all(self) -> None:
        for key in list(self._relays):
            self._forget(key)

    def _keep(self, keys: set[str]) -> None:
        for key in self._relays.keys() - keys:
            self._drop(key)
        self._remove_orphans(keys)
        for stream in self._relays.values():
            stream.tell_again()

    def _remove_orphans(self, keys: set[str]) -> None:
        """Take out of the kernel what a life of ours before this one left and nobody wants."""
        orphans = self._kernel.relays.keep(keys) if self._kernel else 0
        if orphans:
            log(f"{orphans} relays in the kernel were nobody's; removed")

    def _tell(self, event: MediaEvent) -> None:
        if self._core is not None:
            self._core.send(event_message(event))

    def _sweep(self) -> None:
        now = self._loop.now
        self._sweeps += 1
        turns = max(1, int(self.silence / LOOKS))
        turn = self._sweeps % turns
        # By a hash, so that a relay keeps its turn whichever others come and go.
        keys = [key for key in self._relays if hash(key) % turns == turn]
        for at in range(0, len(keys), REVIEWED):
            self._loop.later(partial(self._review, keys[at : at + REVIEWED]))
        self._loop.later(self._keep_up)
        unsettled = list(self._unsettled)
        for at in range(0, len(unsettled), REVIEWED):
            self._loop.later(partial(self._offer_again, unsettled[at : at + REVIEWED]))
        is_orphaned = self._core is None and now - self._core_seen > self.orphan_after
        if is_orphaned and self._relays:
            log(f"no core for {self.orphan_after:.0f} s; {len(self._relays)} relays end")
            self._end_all()
        if is_orphaned:
            self._remove_orphans(set())

    def _keep_up(self) -> None:
        """Take the headers of those that note more of them than the others."""
        hasty, self._hasty = self._hasty, set()
        for key in hasty:
            stream = self._relays.get(key)
            if stream is not None:
                self._take_samples(stream)
                self._hasty.add(key)

    def _review(self, keys: list[str]) -> None:
        """See what time has brought to some of the relays, between two rounds of packets."""
        for key in keys:
            stream = self._relays.get(key)
            seconds = stream.silent_for(self._loop.now, self.silence) if stream else None
            if seconds is not None:
                self._tell(RelaySilent(key, seconds))

    def _offer_again(self, keys: list[str]) -> None:
        """Let the kernel carry what it could not when it was asked last."""
        for key in keys:
            stream = self._relays.get(key)
            if stream is not None and key in self._unsettled:
                self._offer(stream)


def _nothing(value: int) -> None:
    """Stand for the kernel's table where there is none or another process has it."""


def _sums(a: MediaCounters, b: MediaCounters) -> Stats:
    return Stats(
        packets=a.packets + b.packets,
        octets=a.octets + b.octets,
        dropped=a.dropped + b.dropped,
    )
