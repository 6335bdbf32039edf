"""What waits to be written into core.db, the latest of each only."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.call.actions import (
    DropAlert,
    DropBinding,
    DropCallback,
    ModeChange,
    SaveAlert,
    SaveBinding,
    SaveCall,
    SaveCallback,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    SaveSighting,
    SaveStop,
)
from appliance.call.record import CallRecord

Saving = (
    SaveBinding
    | DropBinding
    | SaveForwarding
    | SaveStop
    | SaveSighting
    | SaveCall
    | SaveRecord
    | SaveMode
    | SaveCallback
    | DropCallback
    | SaveAlert
    | DropAlert
)

HELD_RECORDS = 50_000
"""Records kept in memory while the disk takes none: about 50 MB; reliability asks for 10,000."""
HELD_CHANGES = 10_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on all clocks there are."""

    boot: str
    """Identifier of this run of the kernel; monotonic times compare within one only."""
    monotonic: float
    wall: float


@dataclass(slots=True)
class Pending:
    """The wanted state of all rows not written yet: the latest wins, so memory stays bounded."""

    bindings: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    """By AoR and contact; None: to be deleted."""
    forwardings: dict[str, bytes | None] = field(default_factory=dict)
    """By user; None: to be deleted."""
    sightings: dict[str, bytes | None] = field(default_factory=dict)
    """By user; None: to be deleted."""
    stops: dict[str, bytes | None] = field(default_factory=dict)
    """By user; None: to be deleted."""
    calls: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, CallRecord] = field(default_factory=dict)
    callbacks: dict[str, bytes | None] = field(default_factory=dict)
    """By call; None: to be deleted."""
    alerts: dict[str, bytes | None] = field(default_factory=dict)
    """By key; None: to be deleted."""
    mode: bytes | None = None
    changes: list[tuple[float, ModeChange]] = field(default_factory=list)
    lost: int = 0
    """Records given up because memory was full."""

    def __bool__(self) -> bool:
        people = (self.bindings, self.forwardings, self.sightings, self.stops)
        waiting = (*people, self.calls, self.records, self.callbacks, self.alerts)
        return any(waiting) or bool(self.changes) or self.mode is not None

    def take(self, action: Saving, wall: float) -> None:
        """Remember what to write."""
        match action:
            case SaveBinding():
                self.bindings[action.aor, action.contact] = action.row
            case DropBinding():
                self.bindings[action.aor, action.contact] = None
            case SaveForwarding():
                self.forwardings[action.user] = action.row
            case SaveSighting():
                self.sightings[action.user] = action.row
            case SaveStop():
                self.stops[action.user] = action.row
            case SaveCall():
                if action.call_id not in self.records:
                    self.calls[action.call_id] = action.row
            case SaveRecord():
                self._take_record(action.record)
            case SaveCallback():
                self.callbacks[action.call_id] = action.row
            case DropCallback():
                self.callbacks[action.call_id] = None
            case SaveAlert():
                self.alerts[action.key] = action.row
            case DropAlert():
                self.alerts[action.key] = None
            case SaveMode():
                self.mode = action.row
                if action.change is not None and len(self.changes) < HELD_CHANGES:
                    self.changes.append((wall, action.change))

    def _take_record(self, record: CallRecord) -> None:
        self.calls.pop(record.id, None)
        if record.id not in self.records and len(self.records) >= HELD_RECORDS:
            del self.records[next(iter(self.records))]
            self.lost += 1
        self.records[record.id] = record
