"""The pure core: messages, time and commands go in, actions come out.

No I/O, no clock, no dice: whoever runs it hands in `now` (monotonic seconds) and performs what it
returns. Each entry point returns the actions of that one call, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from appliance.bundle import Bundle
from appliance.call.actions import Action, Relay, Send
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
from appliance.errors import LocalError, RemoteError
from appliance.pbx import overview
from appliance.pbx.room import make_room
from appliance.pbx.site import Site
from appliance.pbx.survival import Mode, Survival, restored_state
from appliance.pbx.switchboard import Switchboard
from appliance.pbx.testing import AskedTest, scope_of
from appliance.pbx.zones import Zones
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.flow import Flow, Transport
from appliance.sip.framing import BadMessage, parse
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Request
from appliance.sip.timers import TimerQueue
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
        self._wall = wall
        self._started = 0.0
        emit = self._emit
        self.timers = TimerQueue()
        self.transactions = Transactions(self.timers, self._send, identifiers)
        self._turns = Turns()
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
        )
        self.ways: Outside = Ways(self.trunk, lambda line, now: make_room(lines, line, now))

    # -- what comes in ------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        """Begin; what the last process left is taken up with the first bundle."""
        self._started = self.timers.now = now
        return self._take()

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Action]:
        """Take one whole SIP message (a datagram, or what the framer cut from a stream)."""
        self.timers.now = now
        if data.startswith(b"REGISTER ") and self.switchboard.receive_straight(data, flow, now):
            return self._take()
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
            self._wall,
            self._emit,
            self._incidents,
        )
        self.emergency = Overview(bundle, self.help, self.callbacks, board.presence, self._wall)
        board.apply(Site(bundle, self.survival), groups, self.help, now)
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
            self.timers, self._emit, bundle.monitoring, self._wall, self._mode_changed
        )
        zones = Zones(self.timers, self._emit, bundle.monitoring, survival.review)
        zones.apply(bundle.zones, bundle.monitoring, now)
        survival.start(zones, restored_state(self._restored.mode), now)
        self.survival, self.zones = survival, zones

    def _mode_changed(self, mode: Mode, now: float) -> None:
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

    def _status(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        board, survival = self.switchboard, self.survival
        state = survival.state if survival is not None else None
        return {
            "mode": state.mode if state else "no_bundle",
            "since": state.since if state else self._wall(self._started),
            "reason": state.reason if state else "waiting for the first bundle",
            "uptime": now - self._started,
            "zones": self._zone_list(arguments, now),
            "transactions": len(self.transactions),
            **overview.summary(board, now),
        }

    def _zone_list(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        watches = self.zones.watches.values() if self.zones is not None else ()
        return [
            {
                "id": watch.zone.id,
                "host": watch.zone.host,
                "transport": watch.zone.transport,
                "state": watch.state,
                "since": self._wall(watch.since),
                "reason": watch.reason,
                "rtt": next((s.rtt for s in reversed(watch.history) if s.rtt is not None), None),
                "last_failure": (
                    {
                        "at": self._wall(watch.last_failure.at),
                        "layer": watch.last_failure.layer,
                        "text": watch.last_failure.text,
                    }
                    if watch.last_failure
                    else None
                ),
                "history": [{"at": self._wall(s.at), "rtt": s.rtt} for s in watch.history],
            }
            for watch in watches
        ]

    def _mode(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        if self.survival is None:
            return {"mode": "no_bundle", "since": None, "reason": "waiting for the first bundle"}
        return msgspec.to_builtins(self.survival.state)  # type: ignore[no-any-return]

    def _begin_test(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        """Serve whom the arguments name, for their seconds, as in an outage."""
        asked = msgspec.convert(arguments, AskedTest)
        site = self.switchboard.site
        if self.survival is None or site is None:
            raise LocalError("there is no bundle yet, so there is nobody to test with")
        scope = scope_of(site.bundle, site.directory, asked.who)
        self.survival.test(asked.seconds, now, scope, asked.by)
        return self._mode({}, now)

    def _end_test(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        if self.survival is None or self.survival.mode != "testing":
            raise LocalError("no test is running")
        self.survival.end_test(now, str(arguments.get("by") or "an admin"))
        return self._mode({}, now)

    def _phones(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return overview.phones(self.switchboard, now)

    def _phone_page(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        asked = msgspec.convert(arguments, overview.AskedPage)
        return overview.phone_page(self.switchboard, now, **msgspec.structs.asdict(asked))

    def _readiness(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return overview.readiness_of(self.switchboard, self._wall(now))

    def _readiness_part(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        asked = msgspec.convert(arguments, overview.AskedPage)
        wall = self._wall(now)
        return overview.readiness_part(self.switchboard, wall, asked.offset, asked.limit)

    def _calls(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return overview.calls(self.switchboard)

    def _forwardings(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return overview.forwardings(self.switchboard)

    def _reset_forwarding(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return overview.reset_forwarding(self.switchboard, arguments.get("extension"))

    def _return_parked(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        orbit = str(arguments.get("orbit"))
        if not self.switchboard.parking.give_back(orbit, now):
            raise LocalError(f"no call is parked at {orbit[:40]!r}; `holdfast calls` lists them")
        return {"orbit": orbit}

    def _trunk(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return self.trunk.overview(now)

    def _drain_sbc(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return self.trunk.drain(str(arguments.get("sbc")), True, now)

    def _resume_sbc(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return self.trunk.drain(str(arguments.get("sbc")), False, now)

    def _release_caller(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return self.trunk.release(str(arguments.get("extension")), now)

    def _peers(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return self.trunk.sites(now)

    def _drain_peer(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return self.trunk.drain_site(str(arguments.get("site")), True, now)

    def _resume_peer(self, arguments: dict[str, Any], now: float) -> list[dict[str, Any]]:
        return self.trunk.drain_site(str(arguments.get("site")), False, now)

    def _emergency(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        return self._of_emergencies().state(now)

    def _emergency_trial(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        extension, number, address = (
            str(arguments.get(name, "")) for name in ("extension", "number", "address")
        )
        return self._of_emergencies().trial(extension, number, address, now)

    def _emergency_alerts(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        site = self.switchboard.site
        webhook = site.bundle.emergency.webhook if site is not None else ""
        return {"webhook": webhook, "alerts": self.alerts.waiting(now)}

    def _emergency_told(self, arguments: dict[str, Any], now: float) -> dict[str, Any]:
        self.alerts.posted(msgspec.convert(arguments.get("keys"), list[str]))
        return {}

    def _of_emergencies(self) -> Overview:
        if self.emergency is None:
            raise LocalError("there is no bundle yet, so nobody knows what calls for help do")
        return self.emergency

    # -- what goes out ------------------------------------------------------------------------

    def _emit(self, action: Action) -> None:
        self._actions.append(action)

    def _send(self, flow: Flow, data: bytes) -> None:
        self._actions.append(Send(flow, data))

    def _take(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


COMMANDS: dict[str, Callable[[Core, dict[str, Any], float], Any]] = {
    "status": Core._status,
    "zones": Core._zone_list,
    "mode": Core._mode,
    "test.begin": Core._begin_test,
    "test.end": Core._end_test,
    "phones": Core._phones,
    "phones.page": Core._phone_page,
    "calls": Core._calls,
    "readiness": Core._readiness,
    "readiness.part": Core._readiness_part,
    "forwardings": Core._forwardings,
    "forwardings.reset": Core._reset_forwarding,
    "park.return": Core._return_parked,
    "trunk": Core._trunk,
    "trunk.drain": Core._drain_sbc,
    "trunk.resume": Core._resume_sbc,
    "trunk.release": Core._release_caller,
    "peers": Core._peers,
    "peers.drain": Core._drain_peer,
    "peers.resume": Core._resume_peer,
    "emergency": Core._emergency,
    "emergency.trial": Core._emergency_trial,
    "emergency.alerts": Core._emergency_alerts,
    "emergency.told": Core._emergency_told,
}
"""What the admin process may ask; records and bundle files are the store's and runtime's."""
