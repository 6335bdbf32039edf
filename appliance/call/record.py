"""The call record: what is kept and sent to the cloud of every attempt (G3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from appliance.call.emergency import HelpRecord
from appliance.rtp.quality import MediaQuality


class MediaCounters(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay saw of one leg's stream."""

    packets: int = 0
    octets: int = 0
    dropped: int = 0
    """Packets from a source that was not the leg's."""
    refused: int = 0
    """SRTP packets that failed authentication or were replays."""
    quality: MediaQuality | None = None
    """None: the stream was too short to tell."""


def summed(one: MediaCounters, other: MediaCounters) -> MediaCounters:
    """Add two streams of one side, before and after a leg was replaced; the longer is judged."""
    longer = one if one.packets >= other.packets else other
    return MediaCounters(
        packets=one.packets + other.packets,
        octets=one.octets + other.octets,
        dropped=one.dropped + other.dropped,
        refused=one.refused + other.refused,
        quality=longer.quality or one.quality or other.quality,
    )


class LiveQuality(msgspec.Struct, frozen=True):
    """One relay's counters so far, with the quality as it is now and not on average."""

    key: str
    """`Relay.key`."""
    from_a: MediaCounters
    from_b: MediaCounters


CALLER_LEG = "caller"
"""The caller's leg in a `Stamp`; any other leg is the extension whose phone it is."""
LINES = 200
"""Lines of one call's path: a call must not fill the disk."""
LEGS = 8
"""Legs that one stamp names; a group of 200 members is in the text."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a line of the call's path was written, and between whom it passed."""

    at: float
    source: str = ""
    """The leg it came from: `caller` or an extension; empty: Holdfast."""
    to: tuple[str, ...] = ()
    """The legs it went to, eight at most; empty: Holdfast."""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call attempt; all times are wall-clock seconds (Unix)."""

    id: str
    """Also the idempotency key of the upload."""
    site: str
    mode: str
    """Mode in which the call began; `survivability` marks it for the cloud."""
    caller: str
    caller_name: str = ""
    callee: str
    """What was dialled."""
    answered_by: str = ""
    """Extension whose phone answered."""
    started: float
    answered: float | None = None
    ended: float | None = None
    outcome: str
    """answered, busy, no_answer, rejected, cancelled, not_found, unavailable or failed."""
    status: int
    """Final SIP status sent to the caller."""
    ended_by: str = ""
    """`caller`, `callee`, `system` or `` while it lasts."""
    reason: str = ""
    """One sentence: why it ended as it did."""
    steps: tuple[str, ...] = ()
    """The call's path, one line a step."""
    stamps: tuple[Stamp, ...] = ()
    """One for each of `steps`; empty in records from before there were any."""
    from_caller: MediaCounters = MediaCounters()
    from_callee: MediaCounters = MediaCounters()
    emergency: HelpRecord | None = None
    """None: it was no call for help."""
    sealed: bool = True
    """False while counters are still to come; only sealed records are uploaded."""


def begun(
    id: str, site: str, mode: str, caller: str, caller_name: str, callee: str, started: float
) -> CallRecord:
    """Return the record of a call that has just begun."""
    return CallRecord(
        id=id,
        site=site,
        mode=mode,
        caller=caller,
        caller_name=caller_name,
        callee=callee,
        started=started,
        outcome="failed",
        status=0,
        sealed=False,
    )


class RecordDraft:
    """A record while its call lasts."""

    def __init__(self, record: CallRecord, clock: Callable[[], float]) -> None:
        """`clock` tells the wall-clock time of what is being handled."""
        self.record = record
        self._clock = clock

    def step(self, text: str, source: str = "", to: Iterable[str] = ()) -> None:
        """Add one line to the call's path, from one leg to others (see `Stamp`)."""
        steps, stamps = self.record.steps, self.record.stamps
        if len(steps) >= LINES:
            return
        # A call that an older process has begun has lines without a stamp: those get its start.
        stamps += (Stamp(at=self.record.started),) * (len(steps) - len(stamps))
        stamp = Stamp(at=self._clock(), source=source, to=tuple(islice(to, LEGS)))
        self.note(steps=(*steps, text), stamps=(*stamps, stamp))

    def answered(self, by: str) -> None:
        """Note that the caller is connected with an extension, or with us alone (empty)."""
        at = self.record.answered or self._clock()
        self.note(answered=at, answered_by=by, outcome="answered", status=200)

    def end(self, who: str, reason: str, status: int, word: str) -> None:
        """Note how the call ended; `word` is what came of its plan."""
        if self.record.answered is not None:
            status = 200
        self.note(
            ended=self._clock(),
            ended_by=who,
            reason=reason,
            outcome=outcome_of(status, word),
            status=status,
        )

    def note(self, **changes: object) -> CallRecord:
        """Change fields and return the record as it is now."""
        self.record = msgspec.structs.replace(self.record, **changes)
        return self.record


def outcome_of(status: int, word: str = "") -> str:
    """Return the record's outcome for a final SIP status; `word` is the plan's, if any."""
    if status < 300:
        return "answered"
    if status in (486, 600):
        return "busy"
    if status in (404, 410, 484, 604):
        return "not_found"
    if status == 487:
        return "cancelled"
    if status in (408, 480):
        return word if word in ("no_answer", "unavailable") else "unavailable"
    if status in (403, 488, 603, 606):
        return "rejected"
    return "failed"
