"""The trunk: calls out to the SBCs of the site's route groups, and in from them (E1-E5)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from msgspec.structs import replace

from appliance.bundle import Bundle, Group, RouteGroup
from appliance.call.actions import Action, Notice, Trust, TrustGateways
from appliance.call.events import GatewayLocated
from appliance.call.line import Lines
from appliance.call.outside import Arrival, Leaving
from appliance.call.steps import Goto, Note, Outcome, Plan, Reject, Ring, Shown, Step, Target
from appliance.errors import LocalError
from appliance.sip.flow import Flow, Transport
from appliance.sip.head import Header
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.message import Request
from appliance.sip.timers import TimerQueue
from appliance.sip.uri import SipUri
from sbc_bridge.caller_id import Identity, dressed, identity_of
from sbc_bridge.gateway import Gateway
from sbc_bridge.gateways import Gateways, place_key
from sbc_bridge.inbound import Inbound
from sbc_bridge.numbers import Numbers, Reading
from sbc_bridge.peering import Peering
from sbc_bridge.peers import Away, Peers
from sbc_bridge.permission import refusal
from sbc_bridge.toll import Toll

DAY = 86_400.0
RING_TIME = 120.0
"""Seconds somebody outside is rung; carriers give up before that."""
ASK_BACK = 1.0
"""Seconds after which somebody who is down and asks us is asked in turn: it is back, maybe."""
PROGRESS = 25.0
"""Seconds after which an SBC that took a call and says nothing more is left for the next one; calls
to mobiles abroad take up to 20 until they ring."""
NEXT = frozenset({408, 500, 502, 503, 504})
"""Answers of an SBC after which the next is asked; where somebody was rung only after 503."""
PASSED = frozenset({403, 404, 410, 480, 484, 486, 488, 600, 603, 604, 606})
"""Answers of an SBC that the caller is told as they are; others become 503."""
ROUND = frozenset({482, 483})
"""Answers of another site to a call that goes round."""

Dress = Callable[[RouteGroup, Gateway], tuple[str, Shown]]
"""Return Request-URI and what else shows of a call through a gateway."""


class Site:
    """What one bundle says about the outside."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.numbers = Numbers(bundle)
        self.inbound = Inbound(bundle, self.numbers)
        self.peers = Peers(bundle)
        self.groups = {group.id: group for group in bundle.route_groups}
        self.led_out: dict[str, Group] = {
            group.number: group
            for group in bundle.groups
            if group.kind == "number" and group.number is not None
        }
        """Numbers to which groups lead: whoever may reach the group may reach them (D4)."""


class Trunk:
    """Know the outside; fulfils `call.outside.Outside`."""

    def __init__(
        self,
        timers: TimerQueue,
        transactions: Transactions,
        identifiers: Identifiers,
        emit: Callable[[Action], None],
        wall: Callable[[float], float],
        lines: Lines,
        ports: dict[Transport, int],
        leads_back: Callable[[str], bool] = lambda number: False,
        mode: Callable[[], str] = lambda: "",
    ) -> None:
        """`leads_back` tells whether somebody is to be called back on a number (E7).

        `mode` returns the site's own; empty: there is none yet.
        """
        self._emit = emit
        self._wall = wall
        self._leads_back = leads_back
        self.gateways = Gateways(timers, transactions, identifiers, emit, lines, ports)
        self.peering = Peering(self.gateways, lines, wall, mode)
        self.toll = Toll(emit, lines)
        self.site: Site | None = None
        """What the bundle in force says; None: there is none yet."""
        self._trusts: tuple[Trust, ...] | None = None

    def apply(self, bundle: Bundle, now: float) -> None:
        """Serve this bundle from now on; calls under way go on."""
        self.site = Site(bundle)
        self.toll.apply(bundle.number_plan.limits, {user.id for user in bundle.users})
        watched = [*bundle.route_groups, *self.site.peers.groups.values()]
        trusts = tuple(trusts_of(watched))
        if trusts != self._trusts:
            self._trusts = trusts
            self._emit(TrustGateways(trusts))
        self.peering.apply(self.site.peers)
        self.gateways.apply(watched, now)

    def located(self, event: GatewayLocated, now: float) -> None:
        """Take where an SBC is."""
        self.gateways.located(event, now)

    def lost(self, flow: Flow, reason: str) -> None:
        """Take why a connection ended."""
        self.gateways.lost(flow, reason)

    def knows(self, flow: Flow) -> bool:
        """Tell whether a request on this flow comes from an SBC."""
        return self.gateways.source(flow) is not None

    def anew(self, flow: Flow) -> Flow | None:
        """Return how to reach the SBC of a flow whose connection has ended."""
        return self.gateways.anew(flow)

    def greeted(self, request: Request, flow: Flow, now: float) -> tuple[Header, ...]:
        """Take an OPTIONS; return what its answer tells besides: another site hears our mode."""
        source = self.gateways.source(flow)
        if source is None:
            return ()
        group, gateway = source
        self.peering.heard(group, request, now)
        if not gateway.usable(now) and now - gateway.asked_at > ASK_BACK:
            self.gateways.ask(group.id, now)
        return self.peering.told(group)

    # -- calls from outside -------------------------------------------------------------------

    def arrival(self, request: Request, flow: Flow) -> Arrival:
        """Return what an INVITE of an SBC means; raises RemoteError 404 for what is not ours."""
        source, site = self.gateways.source(flow), self.site
        if source is None or site is None:
            raise AssertionError("asked for a call that is no SBC's")
        group, gateway = source
        peer = site.peers.of(group)
        if peer is not None:
            return Arrival(
                caller=site.peers.caller(request, peer),
                dialled=site.peers.dialled(request),
                line=gateway.line,
                passed=site.peers.passed(request),
            )
        back = self.called_back(request)
        return Arrival(
            caller=site.inbound.caller(request),
            dialled=back or site.inbound.dialled(request, group),
            line=gateway.line,
        )

    def called_back(self, request: Request) -> str:
        """Return the number an INVITE of an SBC is for, if somebody is to be called back on it."""
        target = request.target
        if self.site is None or not isinstance(target, SipUri):
            return ""
        number = self.site.numbers.heard(target.user or "")
        return number if self._leads_back(number) else ""

    # -- calls to the outside -----------------------------------------------------------------

    def plan(self, leaving: Leaving, now: float) -> Plan | None:
        """Return the plan of a call to the outside; None: what was dialled is nothing there."""
        site = self.site
        if site is None:
            return None
        away = site.peers.find(leaving.dialled)
        if away is not None:
            return self._visit(site, leaving, away, now)
        if not site.groups:
            return None
        reading = site.numbers.read(leaving.dialled, leaving.payer.rules)
        return None if reading is None else self._leave(site, leaving, reading, now)

    def _visit(self, site: Site, leaving: Leaving, away: Away, now: float) -> Plan:
        """Call another site, and over the trunk where it takes no calls itself (F1)."""
        peer = away.peer
        yield Note(f"{leaving.dialled} is extension {away.extension} at the site {peer.site}")
        over_trunk = peer.numbers is not None and bool(site.groups)
        if over_trunk and self.peering.is_with_cloud(peer):
            yield Note(f"the users of {peer.site} are with their cloud: over the trunk")
            yield Goto(away.number(site.bundle.number_plan.outside_prefix or ""))
            return

        def dress(group: RouteGroup, gateway: Gateway) -> tuple[str, Shown]:
            return site.peers.dressed(leaving, away, gateway)

        group = site.peers.group(peer)
        outcome = yield from self.attempts([group], leaving.dialled, dress, now)
        if outcome.status in NEXT and not _rang_out(outcome) and over_trunk:
            yield Note(f"{peer.site} takes no calls now: over the trunk")
            yield Goto(away.number(site.bundle.number_plan.outside_prefix or ""))
        elif outcome.word == "no_answer":
            yield Reject(480, f"{leaving.dialled} did not answer", "no_answer")
        elif outcome.status in PASSED | ROUND:
            yield Reject(outcome.status, f"{peer.site} answered {outcome.status}")
        else:
            yield Reject(503, f"the site {peer.site} takes no calls now, and no trunk leads there")

    def _leave(self, site: Site, leaving: Leaving, reading: Reading, now: float) -> Plan:
        for text in reading.trail:
            yield Note(text)
        if reading.number in site.inbound.owned:
            yield Note(f"{reading.number} is ours")
            yield Goto(reading.number)
            return
        group = site.led_out.get(reading.dialled)
        why = self._refusal(leaving, reading, group, now)
        if why:
            yield Reject(403, why)
            return
        first = leaving.caller.extension if not leaving.caller.id else ""
        identity = identity_of(site.bundle, leaving.payer, reading, first, group, leaving.diverted)
        yield Note(_shows(identity))
        payer = "" if group is not None else leaving.payer.id
        yield from self._carry(site, reading, identity, payer, now)

    def _refusal(self, leaving: Leaving, reading: Reading, group: Group | None, now: float) -> str:
        payer = leaving.payer
        if group is not None:
            return reading.refusal
        why = refusal(payer, reading)
        if why and payer.id:
            self.toll.refused(payer, now)
        if why or reading.kind == "private":
            return why
        return self.toll.refusal(payer, reading.kind in ("international", "premium"), now)

    def _carry(
        self, site: Site, reading: Reading, identity: Identity, payer: str, now: float
    ) -> Plan:
        def dress(group: RouteGroup, gateway: Gateway) -> tuple[str, Shown]:
            return dressed(identity, reading, group, gateway, site.numbers)

        groups = [site.groups[id] for id in reading.route_groups or site.groups]
        outcome = yield from self.attempts(groups, reading.number, dress, now, payer)
        status = outcome.status
        if outcome.word == "no_answer":
            yield Reject(480, f"{reading.number} did not answer", "no_answer")
        elif status in PASSED:
            yield Reject(status, f"the carrier answered {status} for {reading.number}")
        else:
            yield Reject(503, f"no SBC takes the call to {reading.number}")

    def attempts(
        self,
        groups: Iterable[RouteGroup],
        number: str,
        dress: Dress,
        now: float,
        payer: str = "",
    ) -> Generator[Step, Outcome, Outcome]:
        """Ask one SBC after the other to carry a call; return what the last one said.

        A plan's `yield from`; it returns only where nobody has answered the call.
        """
        outcome = Outcome("unavailable", 503, now)
        left = list(groups)
        while left:
            group = left.pop(0)
            asked, chosen = 0, self.gateways.choose(group.id, outcome.at)
            for gateway in chosen:
                asked += 1
                ring = self._ring(group, gateway, number, dress, payer)
                is_last = not left and asked == len(chosen)
                outcome = yield ring if is_last else replace(ring, progress=PROGRESS)
                status, retry_after = outcome.status, outcome.retry_after
                self.gateways.tried(gateway, status, retry_after, outcome.at)
                if outcome.word == "no_answer" or status not in NEXT or _rang_out(outcome):
                    return outcome
            if not asked:
                why = self.gateways.why_none(group.id, outcome.at)
                outcome = yield Note(f"route group {group.id} takes no call: {why}")
                outcome = Outcome("unavailable", 503, outcome.at)
        return outcome

    def _ring(
        self, group: RouteGroup, gateway: Gateway, number: str, dress: Dress, payer: str
    ) -> Ring:
        uri, shown = dress(group, gateway)
        line = replace(gateway.line, payer=payer)
        target = Target(uri, gateway.flow, number, line=line, shown=shown)
        return Ring((target,), RING_TIME, patience=group.patience)

    # -- what admins see and do ---------------------------------------------------------------

    def sites(self, now: float) -> list[dict[str, Any]]:
        """Return every other site as it is from here."""
        return self.peering.rows(self.site is not None and bool(self.site.groups), now)

    def overview(self, now: float) -> dict[str, Any]:
        """Return the state of every SBC, and who is stopped."""
        return {
            "sbcs": self.gateways.rows(self.site.groups if self.site else (), self._wall, now),
            "stopped": self.toll.rows(self._wall, now),
        }

    def drain(self, sbc: str, on: bool, now: float) -> dict[str, Any]:
        """Give an SBC no new calls, or calls again; raises LocalError where there is none."""
        if not self.gateways.drain(sbc, on):
            raise LocalError(f"there is no SBC {sbc!r}; `holdfast trunk` lists them")
        text = "gets no new calls: it is drained" if on else "gets calls again"
        self._emit(Notice("info", "trunk.drain", f"SBC {sbc} {text}"))
        return self.overview(now)

    def drain_site(self, name: str, on: bool, now: float) -> list[dict[str, Any]]:
        """Give another site no new calls, or calls again; raises LocalError if there is none."""
        peers = self.site.peers if self.site is not None else None
        peer = next((one for one in peers.all if one.site == name), None) if peers else None
        if peers is None or peer is None:
            raise LocalError(f"there is no site {name!r}; `holdfast peers` lists them")
        group = peers.group(peer)
        self.gateways.drain(place_key(group.id, group.sbcs[0]), on)
        text = "gets no new calls: it is drained" if on else "gets calls again"
        self._emit(Notice("info", "peers.drain", f"the site {name} {text}"))
        return self.sites(now)

    def release(self, extension: str, now: float) -> dict[str, Any]:
        """Let a stopped user call outside again; raises LocalError where it is not stopped."""
        users = self.site.bundle.users if self.site is not None else ()
        user = next((one for one in users if one.extension == extension), None)
        if user is None or not self.toll.release(user.id):
            raise LocalError(f"{extension!r} is not stopped; `holdfast trunk` lists who is")
        self._emit(Notice("info", "trunk.release", f"{extension} may call outside again"))
        return self.overview(now)


def trusts_of(groups: Iterable[RouteGroup]) -> Iterable[Trust]:
    """Yield whose certificates are believed, by whom, for which names."""
    for group in groups:
        for sbc in group.sbcs:
            if sbc.transport == "TLS":
                grace = group.certificate_grace * DAY
                yield Trust(sbc.host, group.ca, group.crl, grace)


def _rang_out(outcome: Outcome) -> bool:
    """Tell whether somebody was rung who may have chosen not to answer.

    503 is no such choice: the SBC has given up or is gone, and its callers would be lost with it.
    """
    return outcome.rang and outcome.status != 503


def _shows(identity: Identity) -> str:
    if identity.anonymous:
        return "the caller is not shown"
    return f"the caller is shown as {identity.number}" if identity.number else "no number is shown"
