"""What `SaveCall` writes of a call: all that a new process needs to go on with it, or to end it.

Arrays, not maps: half the octets. New fields go to the end and have a default, so that a row of an
older version is still read; of one that cannot be, at least the record is kept.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from appliance.bundle import SrtpPolicy
from appliance.call.actions import Relay
from appliance.call.line import Line
from appliance.call.record import CallRecord
from appliance.call.session_timer import TimerState
from appliance.errors import RemoteError
from appliance.sdp.session import Session
from appliance.sip.arrival import note_source
from appliance.sip.dialog import Dialog
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.message import Request

SEQUENCE_GAP = 100
"""How much our CSeq numbers skip: more than a call may have sent in the moment that is not saved
(RFC 3261, 12.2.2, lets them)."""


class SavedInvite(msgspec.Struct, frozen=True, array_like=True):
    """An INVITE of a phone that has no final answer yet, or whose 2xx has no ACK yet."""

    request: bytes
    """Empty: it is the one that began the call."""
    flow: Flow
    """The way its answers go."""
    answer: bytes = b""
    """The 2xx that is repeated until its ACK comes; empty: none was sent."""
    answered: float = 0.0
    """Monotonic seconds when that was sent first."""


class SavedBranch(msgspec.Struct, frozen=True, array_like=True):
    """A phone that rings."""

    extension: str
    flow: Flow
    request: bytes
    """The INVITE as it was sent."""


class SavedLeg(msgspec.Struct, frozen=True, array_like=True):
    """One leg with a dialog."""

    extension: str
    flow: Flow
    dialog: Dialog
    session_id: int
    version: int
    """Of the last description sent, also of one that was not answered yet."""
    told: Session | None
    """The last description sent that counts: what was offered and not answered does not."""
    unsettled: bool
    """An offer to this phone has no answer yet: it may or may not think that it counts."""
    heard: Session | None
    offered: bytes
    allow: frozenset[str]
    timer: TimerState
    acknowledged: int
    """CSeq number of our last INVITE that was answered and acknowledged; 0: none was."""
    ack_body: bool
    """Whether that ACK carried the answer to a late offer."""
    awaits: int
    """CSeq number of our INVITE whose ACK waits for the other phone's answer; 0: none does."""
    invite: SavedInvite | None = None
    srtp: SrtpPolicy = "preferred"
    asked_for_srtp: bool | None = None
    keys: dict[str, bytes] = {}
    line: Line | None = None


class SavedMedia(msgspec.Struct, frozen=True, array_like=True):
    """The ports and relays of a call."""

    ports: tuple[list[int], list[int]]
    relays: list[Relay]
    revision: int
    protection: str = ""
    """What the record says of it."""
    turn: int = 0
    """How many legs have been replaced."""


class SavedPark(msgspec.Struct, frozen=True, array_like=True):
    """One of the two waits at an orbit; the other has parked it."""

    place: str
    left: int
    """How often whoever has parked it is rung yet, as in `steps.Park`."""
    until: float
    """Monotonic seconds when that is next, or when it was if it rings now."""
    side: int
    """Of the party that waits."""
    alone: bool
    """Whether the other one has hung up."""


class SavedCall(msgspec.Struct, frozen=True, array_like=True):
    """One call."""

    record: CallRecord
    """As it is so far."""
    invite: bytes
    """The INVITE that began the call."""
    flow: Flow
    """The way its answers go."""
    caller_tag: str
    """Our tag towards the caller."""
    caller: SavedLeg | None = None
    """None: not answered yet."""
    callee: SavedLeg | None = None
    """None: nobody has answered yet."""
    ringing: tuple[SavedBranch, ...] = ()
    media: SavedMedia | None = None
    """None: the call only rings."""
    handing_on: bool = False
    """One of the two is to be replaced: until somebody is found they belong together."""
    others: tuple[SavedLeg, ...] = ()
    """Legs that have no part in it any more, or not yet: a restart hangs them up."""
    parked: SavedPark | None = None

    @property
    def talking(self) -> bool:
        """Tell whether two phones were joined, or one of them was parked by the other."""
        return self.caller is not None and self.callee is not None and self.media is not None


class _OnlyRecord(msgspec.Struct, array_like=True):
    record: CallRecord


_OF_BODY = (b"content-length:", b"content-type:", b"l:", b"c:")
_pack = msgspec.msgpack.Encoder().encode


def pack(saved: SavedCall) -> bytes:
    """Return the row of a call."""
    try:
        return _pack(saved)
    except UnicodeEncodeError:  # a phone wrote octets that are no UTF-8, as SIP and SDP allow
        return _pack(_readable(msgspec.to_builtins(saved, builtin_types=(bytes,))))


def unpack(row: bytes) -> SavedCall | CallRecord | None:
    """Read a row: the call, or its record alone, or None where nobody can read it."""
    for read in (_call, _record, _old_record):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return read(row)
    return None


def _call(row: bytes) -> SavedCall | CallRecord:
    return msgspec.msgpack.decode(row, type=SavedCall)


def _record(row: bytes) -> SavedCall | CallRecord:
    return msgspec.msgpack.decode(row, type=_OnlyRecord).record


def _old_record(row: bytes) -> SavedCall | CallRecord:
    """Read what version 0.1 wrote: a record and nothing else."""
    return msgspec.msgpack.decode(row, type=CallRecord)


def head_of(request: Request) -> bytes:
    """Return what it takes to answer a request: its headers, most cheaply as they came.

    Credentials stay out: they are long, and nothing for a disk.
    """
    text = request.text
    if not text:
        headers = [header for header in request.headers if header[0] != "Authorization"]
        return Request(request.method, request.uri, headers).encode()
    start = text.find("\r\nAuthorization:")
    if start >= 0:
        text = text[:start] + text[text.index("\r\n", start + 2) :]
    return text.encode()


def read_head(head: bytes, flow: Flow) -> Request:
    """Read what `head_of` returned, of a request that is answered on `flow`; its body is empty."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(_OF_BODY)]
    request = parse(b"\r\n".join(lines))
    if not isinstance(request, Request):
        raise RemoteError(400, "a response was saved as a request")
    note_source(request, flow)
    return request


def _readable(value: Any) -> Any:
    """Return the same with every octet that is no UTF-8 replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_readable(item) for item in value]
    return value
