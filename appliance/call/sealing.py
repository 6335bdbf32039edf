"""The end of a call's record: written at once, and once more when the last counters have come."""

from __future__ import annotations

from collections.abc import Callable

from appliance.call.actions import SaveRecord
from appliance.call.context import CallContext
from appliance.call.events import RelayEnded
from appliance.call.record import RecordDraft, summed
from appliance.sip.timers import Timer

COUNTERS_WAIT = 2.0
"""Seconds a record waits for its relays' last counters before it is sealed without them."""


class Sealing:
    """Close one record."""

    def __init__(
        self, context: CallContext, draft: RecordDraft, over: Callable[[bool], None]
    ) -> None:
        """`over` is told when the record is written, and whether it is sealed."""
        self._context = context
        self._draft = draft
        self._over = over
        self.due = 0
        """Relays whose last counters have not come yet."""
        self._closed = False
        self._timer: Timer | None = None

    def close(self, due: int, now: float) -> None:
        """Write the record; it is sealed when so many relays have told their counters."""
        self.due, self._closed = due, True
        if not due:
            self._seal(now)
            return
        self._timer = self._context.timers.arm(now + COUNTERS_WAIT, self._seal)
        self._context.emit(SaveRecord(self._draft.record))
        self._over(False)

    def relay_ended(self, event: RelayEnded, now: float) -> None:
        """Add a relay's last counters; the last of them seals the record."""
        if event.key.endswith("/0"):
            record = self._draft.record
            self._draft.note(
                from_caller=summed(record.from_caller, event.from_a),
                from_callee=summed(record.from_callee, event.from_b),
            )
        self.due -= 1
        if self._closed and self.due <= 0:
            self._seal(now)

    def _seal(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._draft.record.sealed:
            self._context.emit(SaveRecord(self._draft.note(sealed=True)))
            over, self._over = self._over, _nobody
            over(True)


def _nobody(sealed: bool) -> None:
    """Take the place of the call, which is to be forgotten."""
