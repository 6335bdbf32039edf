"""What was said in the calls of late: every SIP message of a call, kept in memory for a while.

Nothing is written anywhere, and nobody waits for it. Keys of SRTP are hidden before a message is
kept, which costs 2 us where there are any; what else is secret is hidden when it is asked for
(`sip.redaction`, 50 us). The call that ended first is forgotten first.

Messages of calls that are up are objects. Those of a call that is over are packed into one piece
of a ring (`sip.ring`), 1.5 us a call: as objects they kept 16 MB in 30,000 pieces, which ended as
many at a time as began and held on to every page between them.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import OrderedDict, deque
from operator import attrgetter

import msgspec

from appliance.sip.flow import Flow
from appliance.sip.ring import Ring

MOST_OCTETS = 16 << 20
"""Octets of all messages of calls that are over: of two thousand of two phones, 8 KB each. Those of
calls that are up may be as many once more."""
SETTLING = 64
"""Calls that are over, and whose last messages may come yet, before the first of them is packed."""
MOST_MESSAGES = 200
"""Messages of one call; a call of two phones that is put on hold now and then has 40."""
FIRST = 60
"""Messages of a call that stay, however many follow: how it began explains the most."""
MOST_CALL_OCTETS = 1 << 20
"""Octets of one call's messages."""
UNCLAIMED = 256
"""Dialogs whose INVITE has not become a call: those that are being asked for a password."""
UNCLAIMED_MESSAGES = 8
LONGEST = 20_000
"""Octets of one message; a longer one is cut, as nothing of a call is."""

_ids = re.compile(rb"\r\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+)", re.I).search
_USUAL = b"\r\nCall-ID: "
_keys = re.compile(rb"inline:([^|;\s]+)").sub
_when = attrgetter("at")


class Traced(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One message as it was on the wire, but for keys of SRTP."""

    at: float
    """Monotonic seconds."""
    sent: bool
    """Whether we have sent it; else it came."""
    flow: Flow
    data: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Traced]).decode


class Trace:
    """The messages of one call, or of an INVITE that is none yet."""

    __slots__ = ("call", "ids", "left_out", "messages", "octets", "over", "packed", "pieces")

    def __init__(self, call: str = "") -> None:
        self.call = call
        self.messages: list[Traced] = []
        """Those that are not packed."""
        self.left_out = 0
        """Messages in the middle that were too many."""
        self.octets = 0
        """Of `messages`."""
        self.over = False
        self.pieces: list[tuple[int, int]] = []
        """Places and lengths of what is packed."""
        self.packed = 0
        """How many messages that is."""
        self.ids: list[bytes] = []
        """Call-IDs of its dialogs."""


class Traces:
    """Keep the messages of calls; `call` is the id of a call record, a Call-ID is SIP's."""

    def __init__(self, most_octets: int = MOST_OCTETS) -> None:
        self._most_octets = most_octets
        self.octets = 0
        """Of all messages that are not packed."""
        self._ring = Ring(most_octets)
        self._placed: deque[tuple[int, Trace]] = deque()
        """What is in the ring, the oldest first."""
        self._settling: dict[Trace, None] = {}
        """Calls that are over and have messages to be packed, the first to end first."""
        self._up: OrderedDict[str, Trace] = OrderedDict()
        """In the order in which they began; those that had to be emptied are behind the others."""
        self._over: dict[str, Trace] = {}
        self._by_id: dict[bytes, Trace] = {}
        self._unclaimed: OrderedDict[bytes, Trace] = OrderedDict()

    def __len__(self) -> int:
        return len(self._up) + len(self._over)

    def find(self, call: str) -> Trace | None:
        """Return what is known of a call; None: nothing, or nothing any more."""
        trace = self._known(call)
        return trace if trace is None or not trace.pieces else self._unpacked(trace)

    def came(self, data: bytes, flow: Flow, now: float) -> None:
        """Keep a message that has come, if it is of a call or may become one."""
        name = _name_in(data)
        trace = self._by_id.get(name)
        if trace is None and name and data.startswith(b"INVITE "):
            trace = self._begin(name)
        if trace is not None:
            self._keep(trace, Traced(now, False, flow, _kept(data)))

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        """Keep a message of ours, if it is of a call."""
        trace = self._by_id.get(_name_in(data))
        if trace is not None:
            self._keep(trace, Traced(now, True, flow, _kept(data)))

    def join(self, call: str, call_id: str) -> None:
        """Take a dialog for a call's, from now on and with all that is known of its INVITE."""
        name = call_id.encode()
        trace = self._known(call)
        if trace is None:
            trace = self._up[call] = Trace(call)
        before = self._unclaimed.pop(name, None)
        self._by_id[name] = trace
        if name not in trace.ids:
            trace.ids.append(name)
        for message in before.messages if before is not None else ():
            self.octets -= len(message.data)
            self._keep(trace, message)

    def end(self, call: str) -> None:
        """Take that a call is over: from now on it may be forgotten."""
        trace = self._up.pop(call, None)
        if trace is not None:
            self._over[call] = trace
            trace.over = True
            self._settle(trace)

    def _known(self, call: str) -> Trace | None:
        return self._up.get(call) or self._over.get(call)

    def _begin(self, name: bytes) -> Trace:
        trace = self._by_id[name] = self._unclaimed[name] = Trace()
        if len(self._unclaimed) > UNCLAIMED:
            oldest, gone = self._unclaimed.popitem(last=False)
            self.octets -= gone.octets
            del self._by_id[oldest]
        return trace

    def _keep(self, trace: Trace, message: Traced) -> None:
        messages = trace.messages
        if messages and messages[-1].at > message.at:
            insort(messages, message, key=_when)
        else:
            messages.append(message)
        trace.octets += len(message.data)
        self.octets += len(message.data)
        most, stay = (MOST_MESSAGES, FIRST) if trace.ids else (UNCLAIMED_MESSAGES, 2)
        most -= trace.packed
        while len(messages) > most or (trace.octets > MOST_CALL_OCTETS and len(messages) > 1):
            self._drop(trace, 0 if trace.packed else min(stay, len(messages) // 2))
        if trace.over:
            self._settle(trace)
        while self.octets > self._most_octets and self._relieve(trace):
            pass

    def _drop(self, trace: Trace, place: int) -> None:
        size = len(trace.messages.pop(place).data)
        trace.octets -= size
        self.octets -= size
        trace.left_out += 1

    def _relieve(self, but: Trace) -> bool:
        """Pack the call that ended first, else forget what is of the one that began first."""
        for trace in self._settling:
            if trace is not but:
                self._pack(trace)
                return True
        for call, trace in self._up.items():
            if trace.messages and trace is not but:
                trace.left_out += len(trace.messages)
                self._empty(trace)
                # Else every message would look at all that are empty: thousands, on a busy site.
                self._up.move_to_end(call)
                return True
        return False

    def _settle(self, trace: Trace) -> None:
        """Have a call packed when others have ended, for its last messages are yet to come."""
        if trace.messages:
            self._settling[trace] = None
        if len(self._settling) > SETTLING:
            self._pack(next(iter(self._settling)))

    def _pack(self, trace: Trace) -> None:
        del self._settling[trace]
        octets = _encode(trace.messages)
        trace.packed += len(trace.messages)
        self._empty(trace)
        if len(octets) > self._ring.size:
            self._forget(trace)
            return
        place = self._ring.put(octets)
        trace.pieces.append((place, len(octets)))
        self._placed.append((place, trace))
        while not self._ring.holds(self._placed[0][0]):
            self._forget(self._placed.popleft()[1])

    def _unpacked(self, trace: Trace) -> Trace:
        whole = Trace(trace.call)
        for place, length in trace.pieces:
            whole.messages += _decode(self._ring.get(place, length))
        whole.messages += trace.messages
        whole.messages.sort(key=_when)
        whole.octets = sum([len(message.data) for message in whole.messages])
        whole.left_out, whole.ids = trace.left_out, trace.ids
        return whole

    def _empty(self, trace: Trace) -> None:
        self.octets -= trace.octets
        trace.messages, trace.octets = [], 0

    def _forget(self, trace: Trace) -> None:
        """Forget a call that is over, with whatever of it is elsewhere in the ring."""
        if self._over.get(trace.call) is trace:
            del self._over[trace.call]
            self._settling.pop(trace, None)
            self._empty(trace)
            self._unname(trace)

    def _unname(self, trace: Trace) -> None:
        for name in trace.ids:
            if self._by_id.get(name) is trace:
                del self._by_id[name]


def _name_in(data: bytes) -> bytes:
    """Return a message's Call-ID; empty where there is none."""
    begin = data.find(_USUAL)
    if begin >= 0:
        begin += len(_USUAL)
        return data[begin : data.find(b"\r\n", begin)].strip()
    found = _ids(data)
    return found[1].rstrip() if found is not None else b""


def _kept(data: bytes) -> bytes:
    if b"inline:" in data:
        data = _keys(lambda key: b"inline:" + b"x" * len(key[1]), data)
    return data[:LONGEST]
