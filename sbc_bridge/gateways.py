"""The SBCs of all route groups: where they are, which are well, and whose turn it is (E1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from appliance.bundle import RouteGroup, Sbc
from appliance.call.actions import Action, LocateGateway, Notice
from appliance.call.asked import Asked
from appliance.call.events import GatewayLocated
from appliance.call.line import Line, Lines
from appliance.errors import RemoteError
from appliance.sip.flow import Flow, Transport, host_port
from appliance.sip.head import Header
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Response
from appliance.sip.timers import Timer, TimerQueue
from sbc_bridge.gateway import Gateway, came_from, same_way
from sbc_bridge.peers import PREFIX

TIMEOUT = 4.0
"""Seconds an SBC has for its answer to OPTIONS."""
RELOCATE = 60.0
"""Seconds between two looks at where an SBC is."""
RELOCATE_SOON = 5.0
"""The same while nobody knows where it is."""
LONGEST_REFUSAL = 300
"""Seconds of Retry-After that are respected: an SBC may err, and a site must call out."""


class _Place:
    """One SBC of the bundle, which may have several addresses."""

    def __init__(self, group: RouteGroup, sbc: Sbc, key: str) -> None:
        self.group = group
        self.sbc = sbc
        self.key = key
        self.failure = "not looked up yet"
        self.timer: Timer | None = None


class Gateways:
    """Watch the SBCs and choose among them."""

    def __init__(
        self,
        timers: TimerQueue,
        transactions: Transactions,
        identifiers: Identifiers,
        emit: Callable[[Action], None],
        lines: Lines,
        ports: dict[Transport, int],
    ) -> None:
        """`ports` are our own, where requests of SBCs come."""
        self._timers = timers
        self._transactions = transactions
        self._identifiers = identifiers
        self._emit = emit
        self._lines = lines
        self._ports = ports
        self._places: dict[str, _Place] = {}
        self._gateways: dict[str, list[Gateway]] = {}
        """By place."""
        self._by_name: dict[str, str] = {}
        """Place by the name that a TLS certificate proves."""
        self._asking: dict[Gateway, Timer] = {}
        self.drained: set[str] = set()
        """Places that get no new calls, by the will of an admin."""
        self.told: Callable[[RouteGroup], Iterable[Header]] = lambda group: ()
        """Return what OPTIONS tells the SBCs of a route group besides."""
        self.heard: Callable[[RouteGroup, Response, float], None] = lambda group, said, now: None
        """Take the answer."""

    def apply(self, groups: Iterable[RouteGroup], now: float) -> None:
        """Watch exactly these from now on; what is known of an unchanged one is kept."""
        before, self._places = self._places, {}
        for group in groups:
            for sbc in group.sbcs:
                key = place_key(group.id, sbc)
                known = before.get(key)
                if known is not None and (known.group, known.sbc) == (group, sbc):
                    self._places[key] = before.pop(key)
                else:
                    self._places[key] = place = _Place(group, sbc, key)
                    self._forget(key)
                    self._locate(place, now)
        for key, place in before.items():
            if place.timer is not None:
                place.timer.cancel()
            if key not in self._places:
                self._forget(key)
        self.drained &= self._places.keys()
        self._by_name = {
            place.sbc.host.lower(): key
            for key, place in self._places.items()
            if place.sbc.transport == "TLS"
        }

    def _forget(self, key: str) -> None:
        for gateway in self._gateways.pop(key, ()):
            self._let_be(gateway)

    def _let_be(self, gateway: Gateway) -> None:
        timer = self._asking.pop(gateway, None)
        if timer is not None:
            timer.cancel()

    # -- where they are -----------------------------------------------------------------------

    def _locate(self, place: _Place, now: float) -> None:
        sbc = place.sbc
        place.timer = self._timers.arm(now + RELOCATE, lambda now: self._locate(place, now))
        self._emit(LocateGateway(place.key, sbc.host, sbc.port, sbc.transport))

    def located(self, event: GatewayLocated, now: float) -> None:
        """Take where an SBC is; one that cannot be looked up stays where it was."""
        place = self._places.get(event.key)
        if place is None:
            return
        place.failure = event.failure
        known = {gateway.flow: gateway for gateway in self._gateways.get(place.key, ())}
        if not event.ways:
            if not known and place.timer is not None:
                place.timer.cancel()
                soon = now + RELOCATE_SOON
                place.timer = self._timers.arm(soon, lambda now: self._locate(place, now))
            return
        found = []
        shares = event.shares or ((0, 1),) * len(event.ways)
        for (remote, local), share in zip(event.ways, shares, strict=True):
            by = place.sbc.transport
            name = place.sbc.host if by == "TLS" else ""
            flow = Flow(by, (local, self._ports[by]), remote, 0, name)
            gateway = known.pop(flow, None) or self._new(place, flow, len(event.ways) > 1, now)
            gateway.priority = place.sbc.priority, share[0]
            gateway.weight = max(1, place.sbc.weight) * max(1, share[1])
            found.append(gateway)
        self._gateways[place.key] = found
        for gateway in known.values():
            self._let_be(gateway)

    def _new(self, place: _Place, flow: Flow, several: bool, now: float) -> Gateway:
        group, sbc = place.group, place.sbc
        name = f"{place.key} ({flow.remote[0]})" if several else place.key
        line = Line(name, group.srtp, group.codecs)
        host = f"[{sbc.host}]" if ":" in sbc.host else sbc.host
        gateway = Gateway(place.key, line, flow, host, now)
        gateway.max_calls = sbc.max_calls
        self._ask(gateway, now)
        return gateway

    # -- whether they are well ----------------------------------------------------------------

    def ask(self, group: str, now: float) -> None:
        """Ask every SBC of a route group now, whenever its turn would be."""
        for key, place in self._places.items():
            for gateway in self._gateways.get(key, ()) if place.group.id == group else ():
                self._ask(gateway, now)

    def _ask(self, gateway: Gateway, now: float) -> None:
        """Send OPTIONS, and the next when its time has come."""
        self._let_be(gateway)
        group = self._places[gateway.place].group
        gateway.asked_at = now
        open_question = [True]

        def done(response: Response | None, status: int, at: float) -> None:
            if open_question:
                open_question.clear()
                self._answered(gateway, response, status, at - now, at)

        def silent(at: float) -> None:
            if open_question:
                open_question.clear()
                self._missed(gateway, gateway.trouble or f"no answer in {TIMEOUT:g} s", at)

        pause = min(TIMEOUT, group.interval)
        self._asking[gateway] = self._timers.arm(now + pause, silent)
        try:
            options = gateway.options(self._identifiers, self.told(group))
            self._transactions.request(options, gateway.flow, now, Asked(done))
        except RemoteError as error:
            done(None, error.status, now)

    def _answered(
        self, gateway: Gateway, response: Response | None, status: int, rtt: float, now: float
    ) -> None:
        if response is None:
            why = gateway.trouble or ("no answer" if status == 408 else "no connection")
            self._missed(gateway, why, now)
        elif status in (408, 503):
            self._missed(gateway, f"answered {status}", now, is_silent=False)
        elif gateway.place in self._places:
            group = self._places[gateway.place].group
            self.heard(group, response, now)
            if gateway.answered(group.answers, rtt, now):
                self._tell(gateway)
            self._later(gateway, now + group.interval)

    def _missed(self, gateway: Gateway, why: str, now: float, is_silent: bool = True) -> None:
        if gateway.place not in self._places:
            return
        group = self._places[gateway.place].group
        if gateway.missed(group.misses, why, now):
            self._tell(gateway)
            if is_silent:
                self._give_up(gateway, now)
        pause = group.interval if gateway.state == "down" else min(TIMEOUT, group.interval)
        self._later(gateway, max(now, gateway.asked_at + pause))

    def _later(self, gateway: Gateway, when: float) -> None:
        self._let_be(gateway)
        if gateway in self._gateways.get(gateway.place, ()):
            self._asking[gateway] = self._timers.arm(when, lambda now: self._ask(gateway, now))

    def _tell(self, gateway: Gateway) -> None:
        severity = {"down": "alarm", "up": "info"}.get(gateway.state)
        if severity is not None:
            group, name = self._places[gateway.place].group.id, gateway.line.name
            peer = group.startswith(PREFIX)
            who = f"the site {group.removeprefix(PREFIX)}" if peer else f"SBC {name}"
            text = f"{who} is {gateway.state}: {gateway.reason}"
            self._emit(Notice(severity, "peers.site" if peer else "trunk.sbc", text))

    def _give_up(self, gateway: Gateway, now: float) -> None:
        """Let calls that ring at an SBC which is down now go on to the next, if one is well."""
        others = (one for one in self.all() if not one.place.startswith(PREFIX))
        if gateway.state == "down" and any(one.usable(now) for one in others):
            for leg in self._lines.on(gateway.line.name):
                leg.cut_off(now)

    def lost(self, flow: Flow, reason: str) -> None:
        """Keep in mind why a connection ended."""
        for gateway in self.all():
            if same_way(gateway.flow, flow):
                gateway.trouble = reason or "the connection was lost"

    def tried(self, gateway: Gateway, status: int, retry_after: int, now: float) -> None:
        """Take how an SBC refused a call, and look after it where that may mean that it is ill."""
        if status == 503 and retry_after:
            gateway.refused_until = now + min(retry_after, LONGEST_REFUSAL)
        if status in (408, 503) and gateway in self._gateways.get(gateway.place, ()):
            self._later(gateway, now)

    # -- whose turn it is ---------------------------------------------------------------------

    def all(self) -> Iterator[Gateway]:
        """Return every address of every SBC."""
        for gateways in self._gateways.values():
            yield from gateways

    def of(self, key: str) -> list[Gateway]:
        """Return every address of one SBC."""
        return self._gateways.get(key, [])

    def lost_at(self, key: str) -> str:
        """Return why an SBC cannot be found; empty: it can."""
        return self._places[key].failure

    def choose(self, group: str, now: float) -> list[Gateway]:
        """Return who may take a call of a route group: lower priorities first, equals by weight."""
        able = [
            gateway
            for key, gateways in self._gateways.items()
            if self._places[key].group.id == group and key not in self.drained
            for gateway in gateways
            if gateway.usable(now) and not self.full(gateway)
        ]
        chosen: list[Gateway] = []
        for priority in sorted({gateway.priority for gateway in able}):
            equals = [gateway for gateway in able if gateway.priority == priority]
            chosen += _in_turn(equals)
        return chosen

    def everybody(self, group: str, now: float) -> list[tuple[Gateway, bool]]:
        """Return every SBC of a route group by priority, and whether it is well (E6)."""
        found = [
            (gateway, gateway.usable(now) and key not in self.drained)
            for key, gateways in self._gateways.items()
            if self._places[key].group.id == group
            for gateway in gateways
        ]
        return sorted(found, key=lambda row: row[0].priority)

    def full(self, gateway: Gateway) -> bool:
        """Tell whether an SBC has all the calls it may have."""
        limit = gateway.max_calls
        return limit is not None and self._lines.count(gateway.line.name) >= limit

    def why_none(self, group: str, now: float) -> str:
        """Return why nobody of a route group may take a call, in words."""
        reasons = []
        for key, place in self._places.items():
            if place.group.id != group:
                continue
            gateways = self._gateways.get(key, ())
            if key in self.drained:
                reasons.append(f"{key} is drained")
            elif not gateways:
                reasons.append(f"{key} cannot be found: {place.failure}")
            for gateway in gateways if key not in self.drained else ():
                reasons.append(f"{gateway.line.name} {self._why(gateway, now)}")
        return "; ".join(reasons) or "it has no SBC"

    def _why(self, gateway: Gateway, now: float) -> str:
        if not gateway.usable(now) and gateway.refused_until > now:
            return f"takes no calls for {gateway.refused_until - now:.0f} s"
        return "is full" if self.full(gateway) else f"is {gateway.state}: {gateway.reason}"

    # -- who calls ----------------------------------------------------------------------------

    def source(self, flow: Flow) -> tuple[RouteGroup, Gateway] | None:
        """Return whose connection or address a request came from; None: no SBC's."""
        if flow.transport == "TLS":
            key = self._by_name.get(flow.identity.lower()) if flow.identity else None
            gateways = self._gateways.get(key, ()) if key is not None else ()
            near = [one for one in gateways if one.flow.remote[0] == flow.remote[0]]
            gateway = next(iter(near or gateways), None)
        else:
            gateway = next((one for one in self.all() if came_from(one.flow, flow)), None)
        if gateway is None:
            return None
        return self._places[gateway.place].group, gateway

    def anew(self, flow: Flow) -> Flow | None:
        """Return how to reach the SBC of a flow whose connection has ended."""
        return next((one.flow for one in self.all() if same_way(one.flow, flow)), None)

    # -- what admins see ----------------------------------------------------------------------

    def rows(
        self, groups: Iterable[str], wall: Callable[[float], float], now: float
    ) -> list[dict[str, Any]]:
        """Return every SBC of some route groups, one row for each address."""
        rows = []
        wanted = set(groups)
        for key, place in self._places.items():
            if place.group.id not in wanted:
                continue
            shared = {
                "sbc": key,
                "route_group": place.group.id,
                "transport": place.sbc.transport,
                "priority": place.sbc.priority,
                "weight": place.sbc.weight,
                "max_calls": place.sbc.max_calls,
                "drained": key in self.drained,
            }
            gateways = self._gateways.get(key, [])
            rows += [{**shared, **self._row(gateway, wall, now)} for gateway in gateways]
            if not gateways:
                unknown = {"address": "", "state": "unknown", "reason": place.failure}
                rows.append({**shared, **unknown, "calls": 0, "since": None, "rtt": None})
        return rows

    def _row(self, gateway: Gateway, wall: Callable[[float], float], now: float) -> dict[str, Any]:
        refused = gateway.refused_until > now
        return {
            "address": host_port(gateway.flow.remote),
            "state": gateway.state,
            "reason": self._why(gateway, now) if refused else gateway.reason,
            "calls": self._lines.count(gateway.line.name),
            "since": wall(gateway.since),
            "rtt": gateway.rtt,
        }

    def drain(self, key: str, on: bool) -> bool:
        """Give an SBC no new calls, or calls again; False: there is none of this name."""
        if key not in self._places:
            return False
        (self.drained.add if on else self.drained.discard)(key)
        return True


def place_key(group: str, sbc: Sbc) -> str:
    """Return what names an SBC to admins."""
    host = f"[{sbc.host}]" if ":" in sbc.host else sbc.host
    return f"{group}/{host}" + (f":{sbc.port}" if sbc.port is not None else "")


def _in_turn(equals: list[Gateway]) -> list[Gateway]:
    """Share by weight without dice: everybody gathers its weight, the richest pays for all."""
    total = sum(gateway.weight for gateway in equals)
    for gateway in equals:
        gateway.turn += gateway.weight
    ordered = sorted(equals, key=lambda gateway: -gateway.turn)
    ordered[0].turn -= total
    return ordered
