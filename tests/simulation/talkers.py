"""Phones that call each other on a virtual clock, through a core that is killed now and then.

Phones are the project's own transactions and dialogs with a little life on top; what they say goes
over a wire that loses and doubles datagrams. The core is the real one, and so is what it saves: a
row counts as written `COMMIT` after it was asked for, and what had not been written when the core
dies is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from appliance.bundle import Bundle, Policies, Site, Zone
from appliance.call.actions import (
    Action,
    DropBinding,
    DropRelay,
    ProbeZone,
    PutRelay,
    Relay,
    SaveBinding,
    SaveCall,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    Send,
)
from appliance.call.events import RelayEnded, RelaySilent, ZoneAnswer
from appliance.call.record import CallRecord, MediaCounters
from appliance.core import Core
from appliance.errors import RemoteError
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.credentials import Challenge
from appliance.sip.dialog import Dialog, uac_dialog, uas_dialog
from appliance.sip.digest import respond
from appliance.sip.flow import Address, Flow
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.matching import (
    ClientTransaction,
    Retransmission,
    ServerTransaction,
    Transactions,
)
from appliance.sip.message import Request, Response
from appliance.sip.timers import TimerQueue
from tests.clock import Clock
from tests.phones import DOMAIN, HOLDFAST, SILENT, WALL, sdp, user
from tests.wire import Wire

COMMIT = 0.052
"""Seconds from a row's being asked for to its being on disk, at most (store.PACE and a commit)."""
CORE: Address = (HOLDFAST, 5060)
LATE_OFFERS = 0.15
"""Share of INVITEs that leave the offer to us."""
PATIENCE = 60.0
"""Seconds a caller lets it ring."""
KEPT = (SaveBinding, DropBinding, SaveCall, SaveForwarding, SaveRecord, SaveMode)
"""What goes to the disk."""


def office(phones: int) -> Bundle:
    """Make a site of so many users, 1001 and up."""
    return Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="81", domain=DOMAIN, realm=DOMAIN),
        zones=(Zone(id="a", host="a.example.net"),),
        policies=Policies(session_expires=180),
        texts=SILENT,
        users=tuple(user(str(1001 + number)) for number in range(phones)),
    )


class Box:
    """The appliance: a core that may be killed, its disk, and a media process that lives on."""

    def __init__(self, clock: Clock, wire: Wire, bundle: Bundle, dice: random.Random) -> None:
        self.kills = 0
        self.killed_at: list[float] = []
        self.bindings: dict[tuple[str, str], bytes] = {}
        self.forwardings: dict[str, bytes] = {}
        self.calls: dict[str, bytes] = {}
        self.records: dict[str, CallRecord] = {}
        self.relays: dict[str, Relay] = {}
        self.core: Core | None = None
        self.actions_left: int | None = None
        """How many more actions are performed before the core is killed; None: all."""
        self._clock, self._wire, self._bundle, self._dice = clock, wire, bundle, dice
        self._mode: bytes | None = None
        self._unwritten: list[tuple[float, Action]] = []
        self._later = TimerQueue()
        clock.drive(self)
        clock.drive(self._later)
        self.start()

    def start(self) -> None:
        """Begin a core with what is on the disk."""
        calls, bindings = tuple(self.calls.values()), tuple(self.bindings.values())
        self.core = core = Core(
            Settings(),
            CountedIdentifiers(f"h{self.kills}-"),
            lambda now: WALL + now,
            Restored(
                bindings=bindings,
                calls=calls,
                mode=self._mode,
                forwardings=tuple(self.forwardings.values()),
            ),
        )
        self._wire.attach(CORE, self._receive)
        before, self.relays = self.relays, {}
        self._perform(core, core.start(self._clock.now))
        self._perform(core, core.apply(self._bundle, self._clock.now))
        while self.core is core and core.left:
            self._perform(core, core.take_up(self._clock.now))
        if self.core is core:
            self.relays = {relay.key: relay for relay in core.relays()}
        else:  # killed again before media was told anything
            self.relays = before

    def kill(self) -> None:
        """Kill the core; another one begins within two seconds."""
        self.kills += 1
        self.killed_at.append(self._clock.now)
        self.core, self.actions_left = None, None
        self._write(self._clock.now)
        self._unwritten.clear()
        self._wire.detach(CORE)
        self._later.arm(self._clock.now + 0.1 + 1.9 * self._dice.random(), lambda now: self.start())

    def silence(self) -> None:
        """Tell that no phone sends audio any more."""
        for key in list(self.relays):
            if self.core is not None:
                event = RelaySilent(key, 60.0)
                self._perform(self.core, self.core.media_event(event, self._clock.now))

    def deadline(self) -> float | None:
        """Return when the core has something to do."""
        return self.core.deadline() if self.core is not None else None

    def expire(self, now: float) -> None:
        """Let the core do it."""
        self._write(now)
        if self.core is not None:
            self._perform(self.core, self.core.expire(now))

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        if self.core is not None:
            self._perform(self.core, self.core.receive(data, flow, now))

    def _perform(self, core: Core, actions: list[Action]) -> None:
        for action in actions:
            if self.core is not core:
                return
            self._do(core, action)
            if self.actions_left is not None:
                self.actions_left -= 1
                if self.actions_left <= 0:
                    self.kill()

    def _do(self, core: Core, action: Action) -> None:
        now = self._clock.now
        if isinstance(action, Send):
            self._wire.send(action.flow, action.data)
        elif isinstance(action, PutRelay):
            self.relays[action.relay.key] = action.relay
            ports = [side.local for one in self.relays.values() for side in (one.a, one.b) if side]
            assert len(ports) == len(set(ports)), "two relays want one port"
        elif isinstance(action, DropRelay):
            if self.relays.pop(action.key, None) is not None:
                self._later.arm(now + 0.001, lambda now: self._ended(core, action.key, now))
        elif isinstance(action, ProbeZone):
            answer = ZoneAnswer(action.zone.id, None, "connection refused", "tcp")
            self._later.arm(now + 0.001, lambda now: self._answer(core, answer, now))
        elif isinstance(action, KEPT):
            self._unwritten.append((now + COMMIT, action))

    def _ended(self, core: Core, key: str, now: float) -> None:
        if self.core is core:
            counters = MediaCounters(packets=50, octets=8000)
            self._perform(core, core.media_event(RelayEnded(key, counters, counters), now))

    def _answer(self, core: Core, answer: ZoneAnswer, now: float) -> None:
        if self.core is core:
            self._perform(core, core.zone_answered(answer, now))

    def _write(self, now: float) -> None:
        while self._unwritten and self._unwritten[0][0] <= now:
            action = self._unwritten.pop(0)[1]
            if isinstance(action, SaveCall):
                self.calls[action.call_id] = action.row
            elif isinstance(action, SaveRecord):
                self.records[action.record.id] = action.record
                self.calls.pop(action.record.id, None)
            elif isinstance(action, SaveBinding):
                self.bindings[action.aor, action.contact] = action.row
            elif isinstance(action, DropBinding):
                self.bindings.pop((action.aor, action.contact), None)
            elif isinstance(action, SaveMode):
                self._mode = action.row
            elif isinstance(action, SaveForwarding) and action.row is not None:
                self.forwardings[action.user] = action.row
            elif isinstance(action, SaveForwarding):
                self.forwardings.pop(action.user, None)


class Talker:
    """A phone with at most one call; `calls_out` places one, the rest happens by itself."""

    def __init__(
        self, clock: Clock, wire: Wire, extension: str, address: Address, dice: random.Random
    ) -> None:
        self.extension = extension
        self.dialog: Dialog | None = None
        self.ringing: ServerTransaction | None = None
        self.calling: ClientTransaction | None = None
        self.partner = ""
        self.hung_up = 0.0
        """When this phone last ended a call itself."""
        self.begun = self.talking_since = 0.0
        self.cut: list[tuple[float, float]] = []
        """Calls that ended though neither phone had ended them: when they began to ring and when
        they were answered."""
        self.rang = 0
        """Calls of this phone that rang for a while."""
        self.faults: list[str] = []
        self.unheard = 0
        """Answers of this phone that nobody acknowledged in 32 s."""
        self.gave_up: list[float] = []
        """When calls began that nobody answered, one way or another, for a minute."""
        self.who: Callable[[str], Talker | None] = lambda extension: None
        self._clock, self._dice, self._address = clock, dice, address
        self._timers = TimerQueue()
        clock.drive(self._timers)
        self._transactions = Transactions(self._timers, wire.send, CountedIdentifiers(extension))
        self._flow = Flow("UDP", address, CORE)
        self._answering: Retransmission | None = None
        self._serial = 0
        self._version = 1
        self._given_up = False
        wire.attach(address, self._receive)
        self.register()

    @property
    def idle(self) -> bool:
        return self.dialog is None and self.ringing is None and self.calling is None

    # -- what it does by itself -----------------------------------------------------------------

    def register(self) -> None:
        """Register, and again every 45 s."""
        headers = [("Expires", "120")]
        self._ask(self._request("REGISTER", f"sip:{DOMAIN}", self.extension, headers))
        self._timers.arm(self._clock.now + 45, lambda now: self.register())

    def call(self, extension: str) -> None:
        """Call another phone."""
        self.partner, self.begun, self._given_up = extension, self._clock.now, False
        request = self._request("INVITE", f"sip:{extension}@{DOMAIN}", extension)
        offers = self._dice.random() > LATE_OFFERS
        self.calling = self._ask(request, self._body() if offers else b"")
        mine = self.calling.request.call_id
        self._timers.arm(self._clock.now + PATIENCE, lambda now: self._give_up(mine, now))

    def _give_up(self, call_id: str, now: float) -> None:
        if self.calling is not None and self.calling.request.call_id == call_id:
            self._given_up = True
            self.gave_up.append(self.begun)
            self.calling.cancel(now)

    def hang_up(self) -> None:
        """End the call."""
        dialog = self.dialog
        if dialog is not None:
            self.hung_up = self._clock.now
            self._forget()
            self._transactions.request(dialog.new_request("BYE"), self._flow, self._clock.now, self)

    def hold(self, direction: str) -> None:
        """Hold or take back the other party."""
        if self.dialog is None or self._answering is not None:
            return
        request = self.dialog.new_request("INVITE", [("Contact", self._contact())])
        self._version += 1
        self._ask(request, self._body(direction))

    # -- what comes -----------------------------------------------------------------------------

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a response."""
        method = tx.request.method
        if response.status == 401 and method in ("REGISTER", "INVITE"):
            self._with_digest(tx, response)
        elif method == "INVITE" and response.status < 200:
            self.rang += response.status == 180 and tx.request.to.tag is None
        elif method == "INVITE" and response.status < 300:
            self._answered(tx, response, now)
        elif method == "INVITE" and tx is self.calling:
            self.calling = None
        elif response.status in (408, 481) and method == "INVITE" and self._is_ours(tx):
            self._forget()

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Take silence."""
        if tx is self.calling:
            self.calling = None

    def _answered(self, tx: ClientTransaction, response: Response, now: float) -> None:
        dialog = self.dialog
        if tx is self.calling:
            self.calling = None
            dialog = uac_dialog(tx.request, response)
            if self.dialog is None and not self._given_up:
                self._begin(dialog, now)
        elif dialog is None or not self._is_ours(tx):
            dialog = uac_dialog(tx.request, response)
        ack = dialog.ack(response.cseq.number)
        if not tx.request.body:
            ack.add("Content-Type", "application/sdp")
            ack.body = self._body()
        self._transactions.send_ack(ack, self._flow)
        if self.dialog is not dialog and tx.request.to.tag is None:
            self._transactions.request(dialog.new_request("BYE"), self._flow, now, self)

    def _is_ours(self, tx: ClientTransaction) -> bool:
        return self.dialog is not None and tx.request.call_id == self.dialog.call_id

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        came = parse(data)
        if isinstance(came, Response):
            self._transactions.receive_response(came, flow, now)
        elif came.method == "ACK":
            if not self._transactions.absorb_ack(came, flow, now):
                self._acknowledged(came)
        elif (tx := self._transactions.receive_request(came, flow, now)) is not None:
            self._asked(tx, came, now)

    def _asked(self, tx: ServerTransaction, request: Request, now: float) -> None:
        if request.method == "CANCEL":
            self._cancelled(tx, request, now)
        elif request.to.tag is None:
            self._rung(tx, request, now)
        else:
            self._within(tx, request, now)

    def _cancelled(self, tx: ServerTransaction, request: Request, now: float) -> None:
        found = tx.cancels is not None
        tx.respond(request.response(200 if found else 481, to_tag="c"), now)
        if found and self.ringing is tx.cancels and self.ringing is not None:
            ringing, self.ringing = self.ringing, None
            ringing.respond(ringing.request.response(487, to_tag=self._tag(ringing)), now)

    def _rung(self, tx: ServerTransaction, request: Request, now: float) -> None:
        if not self.idle or self._dice.random() < 0.1:
            tx.respond(request.response(486, to_tag="busy"), now)
            return
        self.ringing, self.begun = tx, now
        self.partner = (request.from_.uri.user or "") if hasattr(request.from_.uri, "user") else ""
        tx.respond(request.response(180, to_tag=self._tag(tx)), now)
        self._timers.arm(now + 0.3 + 4 * self._dice.random(), lambda now: self._pick_up(tx, now))

    def _pick_up(self, tx: ServerTransaction, now: float) -> None:
        if self.ringing is not tx:
            return
        self.ringing = None
        self._begin(uas_dialog(tx.request, self._tag(tx)), now)
        self._accept(tx, now, self._tag(tx))

    def _accept(self, tx: ServerTransaction, now: float, tag: str | None) -> None:
        response = tx.request.response(200, to_tag=tag)
        response.add("Contact", self._contact())
        response.add("Content-Type", "application/sdp")
        response.body = self._body()
        if self._answering is not None:
            self._answering.stop()
        tx.respond(response, now)
        again = self._answering = Retransmission(
            self._timers,
            now,
            lambda now: tx.retransmit(response, now),
            lambda now: self._unheard(again),
        )

    def _unheard(self, answering: Retransmission) -> None:
        if self._answering is answering:
            self._answering = None
            self.unheard += 1
            self.hang_up()

    def _acknowledged(self, ack: Request) -> None:
        if self.dialog is not None and ack.call_id == self.dialog.call_id and self._answering:
            self._answering.stop()
            self._answering = None

    def _within(self, tx: ServerTransaction, request: Request, now: float) -> None:
        dialog = self.dialog
        tags = request.to.tag, request.from_.tag
        if dialog is None or (dialog.local_tag, dialog.remote_tag) != tags:
            tx.respond(request.response(481), now)
            return
        try:
            dialog.check_remote(request)
        except RemoteError as error:
            self.faults.append(f"{request.method} {error.reason}")
            tx.respond(request.response(500), now)
            return
        if request.method == "INVITE":
            self._accept(tx, now, None)
            return
        tx.respond(request.response(200), now)
        if request.method == "BYE":
            other = self.who(self.partner)
            if other is None or other.hung_up < self.talking_since:
                self.cut.append((self.begun, self.talking_since))
            self._forget()

    # -- small print ----------------------------------------------------------------------------

    def _begin(self, dialog: Dialog, now: float) -> None:
        self.dialog, self.talking_since = dialog, now
        times = sorted(now + 40 * self._dice.random() for _ in range(3))
        hold, take_back, end = times
        if self._dice.random() < 0.4:
            self._plan(dialog, hold, lambda: self.hold("sendonly"))
            self._plan(dialog, take_back, lambda: self.hold("sendrecv"))
        self._plan(dialog, end, self.hang_up)

    def _plan(self, dialog: Dialog, when: float, act: Callable[[], None]) -> None:
        self._timers.arm(when, lambda now: act() if self.dialog is dialog else None)

    def _forget(self) -> None:
        self.dialog = None
        if self._answering is not None:
            self._answering.stop()
            self._answering = None

    def _ask(self, request: Request, body: bytes = b"") -> ClientTransaction:
        if body:
            request.set("Content-Type", "application/sdp")
            request.body = body
        return self._transactions.request(request, self._flow, self._clock.now, self)

    def _with_digest(self, tx: ClientTransaction, response: Response) -> None:
        old, name = tx.request, self.extension
        again = Request(old.method, old.uri, list(old.headers), old.body)
        again.set("CSeq", f"{old.cseq.number + 1} {old.method}")
        challenge = Challenge.parse(response.all("WWW-Authenticate")[0])
        proof = respond(challenge, name, f"secret-{name}", old.method, old.uri, 1, "cnonce")
        again.set("Authorization", proof)
        new = self._ask(again)
        if tx is self.calling:
            self.calling = new

    def _request(
        self, method: str, uri: str, to: str, headers: list[tuple[str, str]] | None = None
    ) -> Request:
        self._serial += 1
        name = f"{self.extension}-{self._serial}"
        lines = [
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.extension}@{DOMAIN}>;tag=f{name}"),
            ("To", f"<sip:{to}@{DOMAIN}>"),
            ("Call-ID", f"c{name}"),
            ("CSeq", f"1 {method}"),
            ("Contact", self._contact()),
            *(headers or []),
        ]
        return Request(method, uri, lines)

    def _contact(self) -> str:
        host, port = self._address
        return f"<sip:{self.extension}@{host}:{port}>"

    def _tag(self, tx: ServerTransaction) -> str:
        return f"t{self.extension}{tx.request.call_id}"

    def _body(self, direction: str = "sendrecv") -> bytes:
        return sdp(self._address[0], direction=direction, version=self._version)
