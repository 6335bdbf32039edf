"""The pure core: messages, time and commands go in, actions come out.

No I/O, no clock, no dice: whoever runs it hands in `now` (monotonic seconds) and performs what it
returns. Each entry point returns the actions of that one call, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from appliance.bundle import Bundle, Drill
from appliance.call.actions import Action, Relay, SaveRecord, Send
from appliance.call.events import (
    GatewayLocated,
    MediaEvent,
    RelayEnded,
    RelayFailed,
    RelaySilent,
    ZoneAnswer,
)
from appliance.call.line import Lines
from appliance.call.record import CallRecord
from appliance.call.restored import ports_of
from appliance.call.saved import SavedCall, unpack
from appliance.commands import COMMANDS
from appliance.errors import LocalError, RemoteError
from appliance.pbx.attendance import Attendance
from appliance.pbx.drills import Drills
from appliance.pbx.room import make_room
from appliance.pbx.site import Site
from appliance.pbx.survival import Mode, Survival, SurvivalState, restored_state
from appliance.pbx.switchboard import Switchboard
from appliance.pbx.testing import scope_of
from appliance.pbx.zones import Zones
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.flow import Flow, Transport
from appliance.sip.framing import BadMessage, parse
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Request
from appliance.sip.timers import TimerQueue
from appliance.sip.traces import Traces
from appliance.sip.validate import check_request, check_response
from sbc_bridge.emergency.alerts import Alerts
from sbc_bridge.emergency.callbacks import Callbacks
from sbc_bridge.emergency.help import Help, Outside
from sbc_bridge.emergency.overview import Overview
from sbc_bridge.emergency.team import Incident, SafetyTeam
from sbc_bridge.emergency.ways import Ways
from sbc_bridge.trunk import Trunk
from sdg.group import Groups
from sdg.turns import Turns

Answer = tuple[Any, list[Action]]


class Core:
    """Everything Holdfast decides."""

    def __init__(
        self,
        settings: Settings,
        identifiers: Identifiers,
        wall: Callable[[float], float],
        restored: Restored,
    ) -> None:
        self._actions: list[Action] = []
        self._restored = restored
        self._left: deque[SavedCall | CallRecord] = deque()
        self.wall = wall
        self.started = 0.0
        emit = self._emit
        self.timers = TimerQueue()
        self.transactions = Transactions(self.timers, self._send, identifiers)
        self._turns = Turns()
        self.traces = Traces()
        self.help: Help | None = None
        self.emergency: Overview | None = None
        self.survival: Survival | None = None
        self.zones: Zones | None = None
        lines = Lines()
        ports: dict[Transport, int] = {
            "UDP": settings.sip_port,
            "TCP": settings.sip_port,
            "TLS": settings.trunk_port,
        }
        self.callbacks = Callbacks(self.timers, emit)
        self.alerts = Alerts(self.timers, emit, wall)
        self._incidents: dict[str, Incident] = {}
        back = self.callbacks.leads_back
        self.trunk = Trunk(
            self.timers,
            self.transactions,
            identifiers,
            emit,
            wall,
            lines,
            ports,
            back,
            lambda: self.survival.mode if self.survival is not None else "",
        )
        self.switchboard = Switchboard(
            self.timers,
            self.transactions,
            identifiers,
            emit,
            wall,
            settings.media_ports,
            self.trunk,
            lines,
            self.traces,
        )
        self.drills = Drills(self.timers, emit, wall, self._begin_drill)
        self._attendance = Attendance(self.switchboard.people)
        self.ways: Outside = Ways(self.trunk, lambda line, now: make_room(lines, line, now))

    # -- what comes in ------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        """Begin; what the last process left is taken up with the first bundle."""
        self.started = self.timers.now = now
        return self._take()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """Take one whole SIP message (a datagram, or what the framer cut from a stream)."""
        self.timers.now = now
        if data.startswith(b"REGISTER ") and self.switchboard.receive_straight(data, flow, now):
            return self._take_untraced()
        self.traces.came(data, flow, now)
        try:
            message = parse(data)
        except BadMessage as error:
            if error.request is not None:
                self.switchboard.refuse_unread(error.request, flow, error, now)
            return self._take()
        if isinstance(message, Request):
            try:
                if message.body and message.method == "INVITE":
                    self.switchboard.unpack(message)
                check_request(message)
                self.switchboard.receive(message, flow, now)
            except RemoteError as error:
                self.switchboard.refuse_unread(message, flow, error, now)
        elif check_response(message) and not self.transactions.receive_response(message, flow, now):
            self.switchboard.stray(message, flow, now)
        return self._take()

    def expire(self, now: float) -> list[Action]:
        """Do what is due at `now`."""
        self.timers.expire(now)
        return self._take()

    def deadline(self) -> float | None:
        """Return when `expire` wants to be called next."""
        return self.timers.deadline()

    def lost(self, flow: Flow, now: float, reason: str = "") -> list[Action]:
        """Take the end of a stream connection, or the failure to make one, and why."""
        self.timers.now = now
        self.trunk.lost(flow, reason)
        self.transactions.lost(flow, now)
        self.switchboard.lost(flow, now)
        return self._take()

    def zone_answered(self, answer: ZoneAnswer, now: float) -> list[Action]:
        """Take the outcome of a `ProbeZone`."""
        self.timers.now = now
        if self.zones is not None:
            self.zones.answered(answer, now)
        return self._take()

    def gateway_located(self, event: GatewayLocated, now: float) -> list[Action]:
        """Take the outcome of a `LocateGateway`."""
        self.timers.now = now
        self.trunk.located(event, now)
        for (host, _), _ in event.ways:
            self.switchboard.reach.returned(host, now)
        return self._take()

    def media_event(self, event: MediaEvent, now: float) -> list[Action]:
        """Take what the media plane tells of a relay."""
        self.timers.now = now
        if isinstance(event, RelayEnded):
            self.switchboard.ongoing.relay_ended(event, now)
        elif isinstance(event, RelayFailed | RelaySilent):
            self.switchboard.ongoing.relay_failed(event, now)
        else:
            self.switchboard.ongoing.media_heard(event, now)
        return self._take()

    def apply(self, bundle: Bundle, now: float) -> list[Action]:
        """Serve this bundle from now on; calls and bindings of users it keeps go on."""
        self.timers.now = now
        if self.survival is None or self.zones is None:
            self._watch_zones(bundle, now)
        else:
            self.zones.apply(bundle.zones, bundle.monitoring, now)
            self.survival.apply(bundle.monitoring, now)
        if self.survival is None:
            raise LocalError("a bundle without zones cannot be served")
        first = self.switchboard.site is None
        self.trunk.apply(bundle, now)
        board = self.switchboard
        groups = Groups(bundle, self._turns, board.presence)
        team = SafetyTeam(bundle, board.presence, board.own_calls, self.alerts, self._emit)
        self.alerts.remind = team.remind
        self.help = Help(
            bundle,
            self.callbacks,
            board.presence,
            self.ways,
            team,
            self.alerts,
            self.wall,
            self._emit,
            self._incidents,
        )
        self.emergency = Overview(bundle, self.help, self.callbacks, board.presence, self.wall)
        board.apply(Site(bundle, self.survival), groups, self.help, now)
        self.drills.apply(bundle, now)
        if first:
            self._restore(now)
        return self._take()

    def _restore(self, now: float) -> None:
        left = self._restored
        self.switchboard.people.restore(
            left.bindings, left.forwardings, left.sightings, left.offset, now
        )
        self.trunk.toll.restore(left.stops, left.offset)
        self.callbacks.restore(left.callbacks, left.offset, now)
        read = [unpack(row) for row in self._restored.calls]
        self._left = deque([call for call in read if call is not None])
        self.switchboard.claim(ports_of(self._left))
        self.alerts.restore(left.alerts, left.offset, now)

    @property
    def left(self) -> int:
        """How many calls of the last process have not been taken up yet."""
        return len(self._left)

    def take_up(self, now: float) -> list[Action]:
        """Go on with one call of the last process, or end it.

        One at a time, so that a call nobody can go on with costs itself only.
        """
        self.timers.now = now
        self.switchboard.restore_call(self._left.popleft(), self._restored.offset, now)
        return self._take()

    def _watch_zones(self, bundle: Bundle, now: float) -> None:
        survival = Survival(
            self.timers, self._emit, bundle.monitoring, self.wall, self._mode_changed
        )
        survival.outcome = self._outcome
        zones = Zones(self.timers, self._emit, bundle.monitoring, survival.review)
        zones.apply(bundle.zones, bundle.monitoring, now)
        survival.start(zones, restored_state(self._restored.mode), now)
        self.survival, self.zones = survival, zones

    def _begin_drill(self, drill: Drill, now: float) -> None:
        """Begin a test that the bundle asks for; raises LocalError where none can begin now."""
        site, survival, zones = self.switchboard.site, self.survival, self.zones
        if site is None or survival is None or zones is None:
            raise LocalError("there is no bundle yet")
        if all(watch.state != "up" for watch in zones.watches.values()):
            raise LocalError("no zone of the cloud answers")
        scope = scope_of(site.bundle, site.directory, drill.who)
        survival.test(drill.minutes * 60.0, now, scope, f"the drill {drill.id}")

    def _outcome(self, state: SurvivalState) -> str:
        site = self.switchboard.site
        return self._attendance.told(site.bundle, state) if site is not None else ""

    def _mode_changed(self, mode: Mode, now: float) -> None:
        if mode == "testing":
            self._attendance.begin()
        self.switchboard.people.mode_changed(mode, now)
        self.trunk.peering.changed(now)

    # -- what admins ask ----------------------------------------------------------------------

    def command(self, name: str, arguments: dict[str, Any], now: float) -> Answer:
        """Carry out one command of the admin process; raises LocalError for an unknown one."""
        self.timers.now = now
        act = COMMANDS.get(name)
        if act is None:
            raise LocalError(f"unknown command {name!r}; there are: {', '.join(sorted(COMMANDS))}")
        return act(self, arguments, now), self._take()

    def relays(self) -> list[Relay]:
        """Return every relay that must exist, for a media process that came back."""
        return self.switchboard.ongoing.relays()

    # -- what goes out ------------------------------------------------------------------------

    def _emit(self, action: Action) -> None:
        if isinstance(action, SaveRecord):
            self._attendance.took(action.record)
            self.traces.end(action.record.id)
        self._actions.append(action)

    def _send(self, flow: Flow, data: bytes) -> None:
        self._actions.append(Send(flow, data))

    def _take(self) -> list[Action]:
        actions = self._take_untraced()
        now, sent = self.timers.now, self.traces.sent
        for action in actions:
            if type(action) is Send:
                sent(action.data, action.flow, now)
        return actions

    def _take_untraced(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
