"""What was said in the calls of late: every SIP message of a call, kept in memory for a while.

Nothing is written anywhere, and nobody waits for it. Keys of SRTP are hidden before a message is
kept, which costs 2 us where there are any; what else is secret is hidden when it is asked for
(`sip.redaction`, 50 us). The call that ended first is forgotten first.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import OrderedDict
from operator import attrgetter

import msgspec

from appliance.sip.flow import Flow

MOST_OCTETS = 16 << 20
"""Octets of all messages: about a thousand calls of two phones, 16 KB each."""
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


class Traced(msgspec.Struct, frozen=True, gc=False):
    """One message as it was on the wire, but for keys of SRTP."""

    at: float
    """Monotonic seconds."""
    sent: bool
    """Whether we have sent it; else it came."""
    flow: Flow
    data: bytes


class Trace:
    """The messages of one call, or of an INVITE that is none yet."""

    __slots__ = ("ids", "left_out", "messages", "octets")

    def __init__(self) -> None:
        self.messages: list[Traced] = []
        self.left_out = 0
        """Messages in the middle that were too many."""
        self.octets = 0
        self.ids: list[bytes] = []
        """Call-IDs of its dialogs."""


class Traces:
    """Keep the messages of calls; `call` is the id of a call record, a Call-ID is SIP's."""

    def __init__(self, most_octets: int = MOST_OCTETS) -> None:
        self._most_octets = most_octets
        self.octets = 0
        self._up: OrderedDict[str, Trace] = OrderedDict()
        """In the order in which they began; those that had to be emptied are behind the others."""
        self._over: OrderedDict[str, Trace] = OrderedDict()
        """In the order in which they ended."""
        self._by_id: dict[bytes, Trace] = {}
        self._unclaimed: OrderedDict[bytes, Trace] = OrderedDict()

    def __len__(self) -> int:
        return len(self._up) + len(self._over)

    def find(self, call: str) -> Trace | None:
        """Return what is known of a call; None: nothing, or nothing any more."""
        return self._up.get(call) or self._over.get(call)

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
        trace = self.find(call)
        if trace is None:
            trace = self._up[call] = Trace()
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
        while len(messages) > most or (trace.octets > MOST_CALL_OCTETS and len(messages) > 1):
            self._drop(trace, min(stay, len(messages) // 2))
        while self.octets > self._most_octets and self._forget(trace):
            pass

    def _drop(self, trace: Trace, place: int) -> None:
        size = len(trace.messages.pop(place).data)
        trace.octets -= size
        self.octets -= size
        trace.left_out += 1

    def _forget(self, but: Trace) -> bool:
        """Forget the call that ended first, else the messages of the one that began first."""
        for call, trace in self._over.items():
            if trace is not but:
                del self._over[call]
                self._unname(trace)
                return True
        for call, trace in self._up.items():
            if trace.messages and trace is not but:
                trace.left_out += len(trace.messages)
                self.octets -= trace.octets
                trace.messages, trace.octets = [], 0
                # Else every message would look at all that are empty: thousands, on a busy site.
                self._up.move_to_end(call)
                return True
        return False

    def _unname(self, trace: Trace) -> None:
        self.octets -= trace.octets
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
