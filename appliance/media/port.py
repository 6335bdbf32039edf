"""One UDP port of ours: at first shut, then perhaps learning, then strict.

Two sockets share the port. The *guard* is bound for as long as the port is ours; with its filter
on, the kernel drops and counts whatever reaches it. The *live* socket is connected to the phone:
the kernel gives it the phone's packets and no others, so a strange packet costs us nothing, gets
no ICMP answer, and a flood of them never enters Python.

A port with few packets (RTCP) does with the guard alone: its filter lets the phone's packets pass.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from appliance.media.address import Address, Source, check, literal, open_socket
from appliance.media.buffer import BUFFER, VIEW
from appliance.media.lane import Lane, Transmit, Watcher, lose, never, pass_over
from appliance.media.loop import Loop
from appliance.media.ring import outlet
from appliance.media.source_filter import NOTHING, Program, attach, detach, drops, only_from

Judge = Callable[[memoryview, Source], bool]
"""Tells whether a packet to a learning port shows the phone's address."""
Take = Callable[[int], bool]
"""Does something with a packet of so many bytes in `BUFFER`; False: it was not the phone's."""

PACKETS_PER_SECOND = 2000
"""From one address to one port; twice what 1080p video needs, and the end of any packet loop."""
QUIET_BURST = (14, 0.1)
"""Packets in so many seconds beyond which a stream that could be checked is checked. Audio of 10 ms
stays below; video suffers nothing from it; and 10,000 forged ones a second have only just filled
the socket's buffer (277 packets) when it is noticed."""
REFUSED_PER_TURN = 64
"""Packets with the phone's address but not its key that are read in one turn of a port. They take
no turn: a hundred of them must not keep one good packet waiting."""


class PortTaken(OSError):
    """Another process holds the port."""

    def __init__(self, port: int) -> None:
        super().__init__(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.port = port


class Port:
    """Receive on one local address and port, and send from it to one remote address."""

    __slots__ = (
        "_alarm",
        "_burst",
        "_guard",
        "_is_busy",
        "_judge",
        "_lane",
        "_live",
        "_loop",
        "_onward",
        "_origin",
        "_outlet",
        "_program",
        "_quota_until",
        "_remote",
        "_take",
        "_transmit",
        "ignored",
        "learnt",
        "local",
        "refused",
    )

    def __init__(self, loop: Loop, local: Address, is_busy: bool = True) -> None:
        """Bind; raises PortTaken, or another OSError where the address is not ours.

        To be told at once whom to hear, for until then strangers' packets are queued. A port that
        is not busy has one socket instead of two, for 1 us more with each packet.
        """
        literal(local[0])
        self._loop = loop
        self.local = local
        self._is_busy = is_busy
        self.ignored = 0
        """Packets not passed on that the kernel did not count: see `dropped`."""
        self.refused = 0
        """Packets that came from the phone's address and were not the phone's."""
        self.learnt: Source | None = None
        """Where the phone turned out to be, in a port that learns."""
        self._onward: Port | None = None
        self._origin: Port | None = None
        """The port whose packets leave by this one."""
        self._remote: Address | None = None
        self._judge: Judge | None = None
        self._take: Take | None = None
        self._live: socket.socket | None = None
        self._guard = open_socket(local)
        self._program: Program | None = None
        """What the kernel keeps of the guard's packets; None: all."""
        self._transmit: Transmit = lose
        self._outlet = 0
        """How a batch sends the way of `_transmit`; 0: it cannot."""
        self._alarm: Callable[[], None] | None = None
        self._burst: tuple[int, float] = (PACKETS_PER_SECOND, 1.0)
        self._quota_until = 0.0
        try:
            self._guard.bind(local)
        except OSError as error:
            self._guard.close()
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(local[1]) from error
            raise
        # Last, for it leads back to us: what could not be bound needs no collector either.
        self._lane = Lane(self._guard.recv_into, self._is_flooded)
        self._lane.limit = PACKETS_PER_SECOND
        self._lane.hand_over = self._hand_over

    @property
    def dropped(self) -> int:
        """Packets that came from elsewhere than the phone's address."""
        return self.ignored + drops(self._guard)

    @property
    def packets(self) -> int:
        """Packets that came from the phone."""
        return self._lane.packets

    @property
    def octets(self) -> int:
        """Octets in them."""
        return self._lane.octets

    def lead(self, onward: Port | None) -> None:
        """Pass packets on by the port of the other leg; None: there is none, they end here."""
        if self._onward is not None:
            self._onward._origin = None
        self._onward = onward
        if onward is not None:
            onward._origin = self
        self._lane.transmit = onward._transmit if onward is not None else lose
        self._lane.outlet = onward._outlet if onward is not None else 0

    def shut(self) -> None:
        """Take and send nothing."""
        self._guard_only()
        self._remote = self.learnt = None

    def name(self, remote: Address) -> None:
        """Take packets from this address only and send there; raises OSError if it cannot be."""
        if self._live is not None and self.learnt is None and remote == self._remote:
            return
        check(self.local, remote)
        self._connect(remote)
        self._forget_queued()
        self._remote, self.learnt = remote, None

    def learn(self, judge: Judge, remote: Address | None) -> None:
        """Open for the first packet `judge` accepts; meanwhile send to what was learnt before.

        With nothing learnt yet, or another `remote` than then, send to `remote`.
        """
        if remote is not None:
            check(self.local, remote)
        target: Source | None = self.learnt if remote == self._remote else None
        target = target or remote
        self._release()
        self._remote, self._judge, self.learnt = remote, judge, None
        if target is not None:
            send_to, place = self._guard.sendto, target
            self._send_by(lambda data: send_to(data, place))
        self._keep(None)
        self._loop.add(self._guard.fileno(), self._try_learning)

    def recall(self, remote: Address | None, learnt: Address) -> None:
        """Go on with what was learnt in an earlier life of this process; raises OSError."""
        check(self.local, learnt)
        self._connect(learnt)
        self._forget_queued()
        self._remote, self.learnt = remote, learnt

    @property
    def peer(self) -> Source | None:
        """The one address whose packets are taken; None while there is none."""
        return None if self._live is None else self.learnt or self._remote

    def divert(self, take: Take | None) -> None:
        """Hand packets to `take` instead of passing them onward as they are; None: onward."""
        self._take = take
        if self._live is not None:
            self._serve(self._live, self._lane if take is None else None)

    def alarm(self, alarm: Callable[[], None] | None) -> None:
        """Call this at the first sign of a flood, instead of resting; None: rest."""
        self._alarm = alarm
        self._burst = (PACKETS_PER_SECOND, 1.0) if alarm is None else QUIET_BURST
        self._lane.limit = self.packets + self._burst[0]
        self._quota_until = 0.0

    def watch(self, watch: Watcher, mask: int) -> None:
        """Show packets to `watch` when they have passed as they are.

        Those with a bit of `mask` in their fourth octet (of RTP: low octet of the sequence number)
        are not shown.
        """
        self._lane.watch, self._lane.unwatched = watch, mask

    def send(self, packet: bytes | memoryview) -> None:
        """Send to the phone; lost where it has no address, its port is closed, the way is shut."""
        with suppress(OSError):
            self._transmit(packet)

    def close(self) -> None:
        """Give the port back, and let go of all that leads back to it: no collector should need
        to look for it while others' packets wait."""
        self._release()
        self._guard.close()
        self.lead(None)
        if self._origin is not None:
            self._origin.lead(None)
        self._take = self._alarm = None
        self._lane.watch = self._lane.hand_over = pass_over
        self._lane.is_flooded = never

    def _guard_only(self) -> None:
        self._release()
        self._keep(NOTHING)

    def _release(self) -> None:
        """Read no packets, and send none."""
        if self._judge is not None:
            self._loop.remove(self._guard.fileno())
            self._judge = None
        if self._live is not None:
            self._loop.remove(self._live.fileno())
            if self._live is not self._guard:
                self._live.close()
            self._live = None
        self._send_by(lose)

    def _keep(self, program: Program | None) -> None:
        """Let the kernel keep what the program says of the guard's packets; None: all.

        A change costs 15 us, a quarter of what the port costs: there is none that is not needed.
        """
        if program is None:
            if self._program is not None:
                detach(self._guard)
        elif program is not self._program:
            attach(self._guard, program)
        self._program = program

    def _send_by(self, transmit: Transmit, way: int = 0) -> None:
        """Send this way, and so what comes by the other leg's port."""
        self._transmit, self._outlet = transmit, way
        if self._origin is not None:
            self._origin._lane.transmit, self._origin._lane.outlet = transmit, way

    def _open(self, live: socket.socket) -> None:
        """Take packets by this socket."""
        self._live, self._lane.receive = live, live.recv_into
        self._loop.add(live.fileno(), self._divert)
        if self._take is None:
            self._serve(live, self._lane)

    def _serve(self, live: socket.socket, lane: Lane | None) -> None:
        # The guard's own packets are few, and what is sent by it needs an address.
        self._loop.serve(live.fileno(), lane, in_batch=live is not self._guard)

    def _connect(self, remote: Source) -> None:
        if not self._is_busy:
            self._admit(remote)
            return
        if self._live is not None:
            self._live.connect(remote)
            return
        live = open_socket(self.local)
        try:
            # Two sockets share the port only while both say so: nobody else can slip in later.
            # Shut until it is connected, for until then strangers' packets would be queued.
            attach(live, NOTHING)
            for one in (self._guard, live):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            live.bind(self.local)
            live.connect(remote)
            detach(live)
        except OSError:
            live.close()
            raise
        finally:
            self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        live.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._guard_only()
        self._send_by(live.send, outlet(live.fileno()))
        self._open(live)

    def _admit(self, remote: Source) -> None:
        """Let the guard itself take packets, from this address only."""
        self._release()
        self._keep(only_from(*remote[:2]))
        send_to = self._guard.sendto
        self._send_by(lambda data: send_to(data, remote))
        self._open(self._guard)

    def _forget_queued(self) -> None:
        """Empty the guard's queue of what came before it was known from whom."""
        if self._is_busy:
            return
        for _ in range(256):
            try:
                self._guard.recv_into(BUFFER)
            except OSError:
                return
            self.ignored += 1

    def _divert(self, _events: int) -> None:
        """Hand over one packet of the phone's, and on the way all that are not."""
        for _ in range(REFUSED_PER_TURN):
            try:
                size = self._lane.receive(BUFFER)
            except OSError:
                return
            if self._hand_over(size):
                return

    def _hand_over(self, size: int) -> bool:
        take = self._take
        lane = self._lane
        if take is None:
            lane.pass_on(size)
            return True
        if lane.packets >= lane.limit and self._is_flooded():
            return True
        if not take(size):
            self.refused += 1
            return False
        lane.packets += 1
        lane.octets += size
        return True

    def _is_flooded(self) -> bool:
        """Rest until the second is over when this port has had its packets, else begin anew."""
        now = self._loop.now
        if now >= self._quota_until:
            limit, seconds = self._burst
            self._quota_until = now + seconds
            self._lane.limit = self._lane.packets + limit
            return False
        if self._alarm is not None:
            self._alarm()
            return False
        if self._live is not None:
            self._loop.rest(self._live.fileno(), self._quota_until)
        return True

    def _try_learning(self, _events: int) -> None:
        try:
            size, source = self._guard.recvfrom_into(BUFFER)
        except OSError:
            return
        if self._judge is None or not self._judge(VIEW[:size], source):
            self.ignored += 1
            return
        try:
            check(self.local, source)
            self._connect(source)
        except OSError:
            self.ignored += 1
            return
        self.learnt = source
        self._hand_over(size)
        self._pass_on_queued(source)

    def _pass_on_queued(self, source: Source) -> None:
        """Empty the guard's queue: the phone's packets go on, the rest were strangers'."""
        for _ in range(256):
            try:
                size, other = self._guard.recvfrom_into(BUFFER)
            except OSError:
                return
            if other == source:
                self._hand_over(size)
            else:
                self.ignored += 1
