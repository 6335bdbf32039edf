"""The calls that are up: how they begin, go on after a restart, hear of the world, and end."""

from __future__ import annotations

from collections.abc import Callable

from appliance.call import restored
from appliance.call.actions import Relay
from appliance.call.call import Call
from appliance.call.context import CallContext
from appliance.call.events import Heard, RelayEnded, RelayFailed, RelaySilent
from appliance.call.party import Party
from appliance.call.record import CallRecord, begun
from appliance.call.saved import SavedCall
from appliance.pbx.own_calls import OwnCalls
from appliance.pbx.presence import Presence
from appliance.pbx.survival import Mode
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction


class OngoingCalls:
    """Find a call by its id, by the INVITE that rings, by the connection it came on."""

    def __init__(self, presence: Presence, over: Callable[[Call], None]) -> None:
        """`over` is told of each call whose record is finished."""
        self.by_id: dict[str, Call] = {}
        self.own = OwnCalls()
        """Those that nobody outside has asked for."""
        self._presence = presence
        self._told_over = over
        self._ringing: dict[ServerTransaction, Call] = {}
        self._callers: dict[Flow, dict[str, Call]] = {}
        """The ringing calls of each stream connection: 10,000 of them may end at once."""

    def begin(
        self,
        context: CallContext,
        mode: Mode,
        tx: ServerTransaction,
        flow: Flow,
        party: Party,
        dialled: str,
        name: str,
        now: float,
    ) -> Call:
        """Make a call with its record, and have it found by whatever concerns it."""
        started = context.wall(now)
        record = begun(name, context.site, mode, party.extension, party.name, dialled, started)
        call = Call(context, tx, flow, party, record, self._over)
        self.by_id[call.id] = call
        context.traces.join(call.id, tx.request.call_id)
        self._ringing[tx] = call
        if flow.reliable:
            self._callers.setdefault(flow, {})[call.id] = call
        self._presence.changed(call)
        return call

    def restore(
        self, context: CallContext, saved: SavedCall | CallRecord, offset: float, now: float
    ) -> None:
        """Go on with a call of the last process, or end it; its ports are claimed already."""
        call = restored.take_up(context, saved, offset, now, self._over)
        if call is not None:
            self.by_id[call.id] = call
            self._presence.changed(call)

    def ringing(self, invite: ServerTransaction) -> Call | None:
        """Return the call of an INVITE that has no final answer yet."""
        return self._ringing.get(invite)

    def _over(self, call: Call, finished: bool) -> None:
        """Take a call's answer or end; it is forgotten when its record is finished."""
        self._presence.changed(call)
        if self._ringing.pop(call.caller.invite, None) is not None:
            self._forget_caller(call, call.caller.invite.flow)
        if finished:
            self.by_id.pop(call.id, None)
            self._told_over(call)

    def _forget_caller(self, call: Call, flow: Flow) -> None:
        calls = self._callers.get(flow)
        if calls is not None:
            calls.pop(call.id, None)
            if not calls:
                del self._callers[flow]

    # -- news of the world --------------------------------------------------------------------

    def lost(self, flow: Flow, now: float) -> None:
        """Take the end of a stream connection: who rang somebody on it rings no more."""
        for call in list(self._callers.get(flow, {}).values()):
            call.cancelled(now)

    def relay_ended(self, event: RelayEnded, now: float) -> None:
        """Put a relay's counters into its call's record."""
        call = self._of(event.key)
        if call is not None:
            call.sealing.relay_ended(event, now)

    def relay_failed(self, event: RelayFailed | RelaySilent, now: float) -> None:
        """Move or end a call whose audio cannot pass; end one whose phones both fell silent."""
        call = self._of(event.key)
        if call is None:
            self.own.relay_failed(_id_in(event.key), now)
        elif isinstance(event, RelayFailed):
            call.relay_failed(event, now)
        elif call.draft.record.emergency is None:  # who hides is silent, and listens
            call.silent(event.seconds, now)

    def media_heard(self, event: Heard, now: float) -> None:
        """Tell a call what its sounds, keys and recordings came to."""
        call = self._of(event.key)
        if call is not None:
            call.media_heard(event, now)
        else:
            self.own.heard(_id_in(event.key), event, now)

    def relays(self) -> list[Relay]:
        """Return every relay that must exist."""
        calls = [relay for call in self.by_id.values() for relay in call.media.relays]
        return calls + self.own.relays

    def _of(self, key: str) -> Call | None:
        return self.by_id.get(_id_in(key))


def _id_in(key: str) -> str:
    """Return the call's id in a relay's key."""
    return key.partition("/")[0]
