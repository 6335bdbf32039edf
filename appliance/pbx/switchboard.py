"""Where a request goes: to the registrar, to its call, to a new call, or back with a failure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from appliance.bundle import User
from appliance.call import newcomer
from appliance.call.actions import Action, Send
from appliance.call.call import Call
from appliance.call.context import CallContext, InDialog
from appliance.call.line import Lines
from appliance.call.outside import Arrival, Outside
from appliance.call.party import Party
from appliance.call.ports import PortPool
from appliance.call.reach import Reach
from appliance.call.record import CallRecord
from appliance.call.saved import SavedCall
from appliance.call.steps import Plan
from appliance.errors import RemoteError
from appliance.pbx import dialogs
from appliance.pbx.access import misplaced
from appliance.pbx.admission import admits, claimed, serves_call, turned_away
from appliance.pbx.authentication import Authentication
from appliance.pbx.destinations import Destinations, GroupPlans
from appliance.pbx.emergency import HelpDesk, HelpPlans, Identification, number_asked, unpacked
from appliance.pbx.exchange import Exchange
from appliance.pbx.guard import Guard
from appliance.pbx.ongoing import OngoingCalls
from appliance.pbx.pager import Pager, check_text, written_to
from appliance.pbx.park import Parking
from appliance.pbx.people import People
from appliance.pbx.registrar import Registrar
from appliance.pbx.returning import flow_of
from appliance.pbx.site import Site
from appliance.pbx.stateless import abilities, refusal, stateless_tag, unserved, way_back
from appliance.pbx.straight import StraightRegistrar
from appliance.pbx.takeover import Takeovers, read_replaces
from appliance.sip.arrival import reply_flow
from appliance.sip.dialog import Dialogs
from appliance.sip.digest import Nonces
from appliance.sip.flow import Flow
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import ServerTransaction, Transactions
from appliance.sip.message import Request, Response
from appliance.sip.register_shape import RegisterShapes
from appliance.sip.timers import TimerQueue
from appliance.sip.traces import Traces

Emit = Callable[[Action], None]


class Switchboard:
    """Know who calls and decide what happens."""

    def __init__(
        self,
        timers: TimerQueue,
        transactions: Transactions,
        identifiers: Identifiers,
        emit: Emit,
        wall: Callable[[float], float],
        media_ports: tuple[int, int],
        outside: Outside,
        lines: Lines,
        traces: Traces,
    ) -> None:
        self.site: Site | None = None
        self.reach = Reach(timers, self._find_phone)
        self.people = People(timers, transactions, identifiers, emit, self.reach.returned, wall)
        self.location = self.people.location
        self.presence = self.people.presence
        self.guard = Guard(emit)
        self.ongoing = OngoingCalls(self.presence, self._over)
        self.calls, self.own_calls = self.ongoing.by_id, self.ongoing.own
        self.parking = Parking(self.calls)
        self.pager = Pager(transactions, identifiers)
        self.takeovers = Takeovers(self.calls, self._may_take)
        self._outside = outside
        self._lines, self._traces = lines, traces
        self._timers = timers
        self._transactions = transactions
        self._identifiers = identifiers
        self._emit = emit
        self._wall = wall
        self._ports = PortPool(*media_ports)
        key = (identifiers.token() + identifiers.token()).encode()[:32]
        self._nonces = Nonces(key)
        self._context: CallContext | None = None
        self._destinations: Destinations | None = None
        self._authentication: Authentication | None = None
        self._help_desk: HelpDesk | None = None
        self._registrar: Registrar | None = None
        self._straight: StraightRegistrar | None = None
        self._shapes = RegisterShapes()

    # -- the bundle ---------------------------------------------------------------------------

    def apply(self, site: Site, groups: GroupPlans, help: HelpPlans, now: float) -> None:
        """Serve this site from now on; calls under way keep what they began with."""
        self.site = site
        bundle = site.bundle
        legs: Dialogs[InDialog] = self._context.legs if self._context is not None else Dialogs()
        self._destinations = Destinations(
            bundle,
            site.dialplan,
            self.presence,
            groups,
            self.people.forwardings,
            self.parking,
            self._outside,
            self._wall,
            help,
            lambda: self.people.outage,
        )
        self._context = CallContext(
            timers=self._timers,
            transactions=self._transactions,
            identifiers=self._identifiers,
            ports=self._ports,
            emit=self._emit,
            wall=self._wall,
            policies=bundle.policies,
            domain=bundle.site.domain,
            site=bundle.site.id,
            reach=self.reach,
            exchange=Exchange(site.directory, self._destinations, bundle.site.domain),
            lines=self._lines,
            traces=self._traces,
            legs=legs,
        )
        self.own_calls.context = self._context
        self._authentication = Authentication(
            site.directory, bundle, self._nonces, self.guard, self._identifiers, self.location
        )
        self._authentication.failed = self.people.sightings.failed
        known = Identification(site.directory, self.location, self._authentication)
        self._help_desk = HelpDesk(self._context, known, help, self.calls, self._begin)
        self.parking.apply(bundle)
        self.people.apply(bundle, site.survival.mode)
        self._registrar = Registrar(
            site.directory, bundle, self.location, self._authentication, self._emit
        )
        self._straight = StraightRegistrar(
            self._registrar, self._authentication, self._transactions, self._shapes, self._emit
        )

    def claim(self, ports: set[int]) -> None:
        """Keep these RTP ports for calls that are about to be restored."""
        self._ports.claim(ports)

    def restore_call(self, saved: SavedCall | CallRecord, offset: float, now: float) -> None:
        """Go on with a call of the last process, or end it; its ports are claimed already."""
        if self._context is None:
            raise AssertionError("calls are restored when there is a site to serve")
        self.ongoing.restore(self._context, saved, offset, now)

    def _find_phone(self, extension: str, flow: Flow, target: str) -> Flow | None:
        if self.site is None:
            return None
        if (outside := self._outside.anew(flow)) is not None:
            return outside
        return flow_of(self.location, self.site.directory, extension, flow, target)

    # -- requests -----------------------------------------------------------------------------

    def receive_straight(self, data: bytes, flow: Flow, now: float) -> bool:
        """Take a whole message if it is a REGISTER of a known shape; False: it has to be read."""
        site, straight = self.site, self._straight
        if straight is None or site is None or not site.survival.serves_everybody:
            return False
        return straight.receive(data, flow, now)

    def unpack(self, request: Request) -> None:
        """Make a call for help readable that brings more than its description."""
        if self.site is not None:
            unpacked(request, self.site.dialplan.emergency)

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        """Take one well-formed request; raises RemoteError for what is answered without state."""
        method = request.method
        if method == "ACK":
            if not self._transactions.absorb_ack(request, flow, now):
                dialogs.acknowledge(self._context, request, now)
            return
        if self._transactions.seen(request, flow, now):
            return
        if method == "REGISTER" and self._outside.knows(flow):
            raise RemoteError(405, "nobody outside registers here")
        if method == "REGISTER":
            self._register(request, flow, now)
        elif method == "CANCEL":
            self._cancel(request, flow, now)
        elif request.to.tag:
            dialogs.receive(self._context, request, flow, now)
        elif method == "INVITE":
            self._invite(request, flow, now)
        elif method == "REFER":
            self._refer(request, flow, now)
        elif method == "MESSAGE" and not self._outside.knows(flow):
            self._message(request, flow, now)
        elif method == "OPTIONS":
            self._send(request, flow, abilities(request, self._outside.greeted(request, flow, now)))
        else:
            raise misplaced(method)

    def refuse_unread(self, request: Request, flow: Flow, error: RemoteError, now: float) -> None:
        """Answer without a transaction; an ACK is never answered (RFC 3261, 17)."""
        if request.method != "ACK":
            response = refusal(request, error, retry=self.site is not None)
            self._emit(Send(way_back(request, flow), response.encode()))

    def _send(self, request: Request, flow: Flow, response: Response) -> None:
        self._emit(Send(reply_flow(request, flow), response.encode()))

    def _unserved(self, request: Request, flow: Flow, retry_after: int) -> None:
        self._send(request, flow, unserved(request, retry_after))

    def _register(self, request: Request, flow: Flow, now: float) -> None:
        site, registrar = self.site, self._registrar
        if site is None or registrar is None:
            self._unserved(request, flow, 30)
        elif not admits(site.survival, site.directory, self.presence, request):
            if (user := claimed(site.directory, request)) is not None:
                self.people.sightings.knocked(user.id, flow, request.first("User-Agent") or "")
            self._unserved(request, flow, site.survival.retry_after)
        else:
            response = registrar.receive(request, flow, now)
            if response.status == 200 and request.plain is not None and self._straight is not None:
                self._straight.learn(request.text)
            self._answer(request, flow, response, now)

    def _answer(self, request: Request, flow: Flow, response: Response, now: float) -> None:
        """Send a final answer; only what cost something is kept for retransmissions.

        A challenge keeps no state: the same request again gets another one.
        """
        if response.status in (401, 503):
            self._send(request, flow, response)
            return
        self._transactions.answer(request, response, flow, now)

    # -- dialogs ------------------------------------------------------------------------------

    def stray(self, response: Response, flow: Flow, now: float) -> None:
        """Take a response to nothing we know of: to an INVITE that an earlier process has sent."""
        if self._context is not None:
            dialogs.stray(self._context, self.location, response, flow, now)

    def _cancel(self, request: Request, flow: Flow, now: float) -> None:
        tx = self._transactions.receive_request(request, flow, now)
        if tx is None:
            return
        invite = tx.cancels
        status = 481 if invite is None else 200
        tx.respond(request.response(status, to_tag=stateless_tag(request)), now)
        call = self.ongoing.ringing(invite) if invite is not None else None
        if call is not None:
            call.cancelled(now)
        elif invite is not None:
            self.takeovers.cancel(invite, now)

    def _proved(self, request: Request, flow: Flow, now: float) -> User | None:
        """Return whose phone sends a request, by digest; None: it has its answer."""
        if self._authentication is None:
            self._unserved(request, flow, 30)
            return None
        user = self._authentication.check(request, flow, now)
        if isinstance(user, Response):
            self._send(request, flow, user)
            return None
        return user

    def _refer(self, request: Request, flow: Flow, now: float) -> None:
        user, context = self._proved(request, flow, now), self._context
        if user is None or context is None:
            return
        tx = self._transactions.receive_request(request, flow, now)
        if tx is not None:
            self.takeovers.refer(context, user, tx, now)

    def _message(self, request: Request, flow: Flow, now: float) -> None:
        check_text(request)
        sender, site, context = self._proved(request, flow, now), self.site, self._context
        if sender is None or site is None or context is None:
            return
        if not site.survival.serves(sender.id):
            self._unserved(request, flow, site.survival.retry_after)
            return
        recipient = written_to(site.dialplan, request)
        tx = self._transactions.receive_request(request, flow, now)
        if tx is not None:
            phones = [one for one in self.presence.phones(recipient) if one.flow != flow]
            party, to = (context.exchange.party(one.extension) for one in (sender, recipient))
            self.pager.deliver(tx, sender, party, phones, f"<{to.uri}>", now)

    # -- a new call ---------------------------------------------------------------------------

    def _invite(self, request: Request, flow: Flow, now: float) -> None:
        site, context = self.site, self._context
        if site is None or context is None or self._authentication is None or not self._help_desk:
            self._unserved(request, flow, 30)
            return
        outside, standby = self._outside.knows(flow), not site.survival.admits_registrations
        number = None if outside else number_asked(request, site.dialplan.emergency)
        if number is not None:
            self._help_desk.take(request, flow, number, standby, now)
            return
        if standby and not (outside and self._outside.called_back(request)):
            self._unserved(request, flow, site.survival.retry_after)
            return
        if request.body and request.content_type != "application/sdp":
            raise RemoteError(415, "the body of an INVITE has to be application/sdp")
        if self._transactions.merged(request):
            raise RemoteError(482, "the same request came on another way")
        replaces = read_replaces(request)
        called = self._called(request, flow, now)
        if called is None:
            return
        if not serves_call(site, called, self._outside, request):
            self._unserved(request, flow, site.survival.retry_after)
            return
        tx = self._transactions.receive_request(request, flow, now)
        if tx is None:
            return
        uri = f"sip:{called.caller.extension}@{context.domain}"
        party = Party(called.caller.extension, called.caller.name, uri, called.line)
        if replaces is not None:
            self.takeovers.replace(context, replaces, party, tx, now)
            return
        meant = site.meant(self.calls, self.parking, called.caller, called.dialled)
        if meant is not None:
            take = partial(newcomer.take, meant, tx, flow, party, now)
            self.takeovers.carry_out(tx, take, now)
            return
        name = context.identifiers.token()
        call = self._begin(tx, flow, party, called.dialled, name, now)
        busy, most = len(self.calls) - 1, site.bundle.policies.max_calls  # this one is among them
        plan = self._called_back(called, now) or turned_away(request, busy, most, self._emit)
        call.start(plan or self._plan(called, flow, now), now)

    def _begin(
        self, tx: ServerTransaction, flow: Flow, party: Party, dialled: str, name: str, now: float
    ) -> Call:
        """Make a call with its record, and have it found by whatever concerns it."""
        site, context = self.site, self._context
        if site is None or context is None:
            raise AssertionError("there is no call before there is a site")
        mode = site.survival.mode
        return self.ongoing.begin(context, mode, tx, flow, party, dialled, name, now)

    def _may_take(self, extension: str, other: str) -> bool:
        """Tell whether a user may take a call of another (C9)."""
        return self.site is not None and self.site.pickups.may_take(extension, other)

    def _called(self, request: Request, flow: Flow, now: float) -> Arrival | None:
        """Return who calls whom: by certificate or address from outside, else by digest.

        None: it has its answer.
        """
        if self._outside.knows(flow):
            return self._outside.arrival(request, flow)
        caller = self._proved(request, flow, now)
        if caller is None:
            return None
        return Arrival(caller=caller, dialled=request.request_uri.user or "", line=None)

    def _called_back(self, called: Arrival, now: float) -> Plan | None:
        """Return the plan of a call from outside to whoever called for help; no limit stops it."""
        if self._destinations is None or called.line is None:
            return None
        return self._destinations.callback(called.dialled, now)

    def _plan(self, called: Arrival, flow: Flow, now: float) -> Plan:
        if self._destinations is None:
            raise AssertionError("there is no call before there is a site")
        caller, dialled = called.caller, called.dialled
        return self._destinations.plan(caller, dialled, flow, now, passed=called.passed)

    def _over(self, call: Call) -> None:
        """Take that a call is over and its record finished."""
        if self._help_desk is not None:
            self._help_desk.over(call)

    # -- news of the world --------------------------------------------------------------------

    def lost(self, flow: Flow, now: float) -> None:
        """Take the end of a stream connection: its phones are out of reach until they come back."""
        self.location.lost(flow, now)
        self.reach.lost(flow)
        self.takeovers.lost(flow, now)
        self.ongoing.lost(flow, now)

    @property
    def ports_taken(self) -> int:
        """Return how many RTP ports are in use."""
        return len(self._ports)
