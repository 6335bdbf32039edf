"""Scripted phones around one real core on a virtual clock: what goes in and out is plain SIP."""

from __future__ import annotations

from weakref import WeakSet

from appliance.bundle import Bundle, Credential, Monitoring, Policies, Site, Texts, User, Zone
from appliance.call.actions import (
    Action,
    DropBinding,
    DropRelay,
    LocateGateway,
    Notice,
    ProbeZone,
    PutRelay,
    Relay,
    SaveBinding,
    SaveCall,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    SaveSighting,
    SaveStop,
    Send,
)
from appliance.call.call import Call
from appliance.call.events import GatewayLocated, RelayEnded, ZoneAnswer
from appliance.call.record import CallRecord, MediaCounters
from appliance.core import Core
from appliance.ports import Restored
from appliance.settings import Settings
from appliance.sip.credentials import Challenge
from appliance.sip.digest import ha1, respond
from appliance.sip.flow import Address, Flow, Transport
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.message import Request, Response

DOMAIN = "example.com"
HOLDFAST = "192.0.2.10"
WALL = 1_800_000_000.0


def sdp(
    address: str,
    port: int = 10000,
    *,
    direction: str = "sendrecv",
    version: int = 1,
    protocol: str = "RTP/AVP",
    crypto: str = "",
) -> bytes:
    """Write a phone's description of one G.711 stream."""
    lines = [
        "v=0",
        f"o=phone 1 {version} IN IP4 {address}",
        "s=call",
        f"c=IN IP4 {address}",
        "t=0 0",
        f"m=audio {port} {protocol} 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        *([f"a=crypto:{crypto}"] if crypto else []),
        f"a={direction}",
    ]
    return "\r\n".join([*lines, ""]).encode()


SILENT = Texts(outage="", over="")
"""No texts, so that phones get what a test is about and nothing else."""


def user(extension: str) -> User:
    """Make a user whose password is `secret-<extension>`."""
    password = f"secret-{extension}"
    credential = Credential(
        username=extension,
        realm=DOMAIN,
        md5=ha1("MD5", extension, DOMAIN, password),
        sha256=ha1("SHA-256", extension, DOMAIN, password),
    )
    return User(
        id=f"u{extension}",
        name=f"User {extension}",
        extension=extension,
        credentials=(credential,),
    )


def site_bundle(policies: Policies | None = None) -> Bundle:
    """Make a small site with two zones and extensions 1001 to 1005."""
    return Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="81", domain=DOMAIN, realm=DOMAIN),
        zones=(Zone(id="a", host="a.example.net"), Zone(id="b", host="b.example.net")),
        monitoring=Monitoring(),
        users=tuple(user(str(extension)) for extension in range(1001, 1006)),
        policies=policies or Policies(),
        texts=SILENT,
    )


class Bench:
    """One core, its clock, and the world it sees."""

    def __init__(
        self,
        bundle: Bundle | None = None,
        restored: Restored | None = None,
        places: dict[str, tuple[Address, ...]] | None = None,
    ) -> None:
        self.now = 1000.0
        self.bundle = bundle or site_bundle()
        self.zones_up = False
        self.places = places or {}
        """Addresses of SBCs by host, as DNS has them."""
        self.phones: dict[Flow, Phone] = {}
        self.records: dict[str, CallRecord] = {}
        self.saved_calls: dict[str, bytes] = {}
        self.relays: dict[str, Relay] = {}
        self.notices: list[Notice] = []
        self.others: list[Action] = []
        self.unsent: list[Send] = []
        self.saved_bindings: dict[tuple[str, str], bytes] = {}
        self.saved_forwardings: dict[str, bytes] = {}
        self.saved_stops: dict[str, bytes] = {}
        self.saved_sightings: dict[str, bytes] = {}
        self.saved_mode: bytes | None = None
        self.cores = 0
        self.start(restored or Restored())

    def start(self, restored: Restored) -> None:
        """Begin a core, which finds what another one has left."""
        self.cores += 1
        self.calls: WeakSet[Call] = WeakSet()
        self.core = Core(
            Settings(),
            CountedIdentifiers("h" if self.cores == 1 else f"h{self.cores}-"),
            lambda now: WALL + now,
            restored,
        )
        self.perform(self.core.start(self.now))
        self.perform(self.core.apply(self.bundle, self.now))
        while self.core.left:
            self.perform(self.core.take_up(self.now))

    def left(self, offset: float = 0.0) -> Restored:
        """Return what a core that is killed now leaves in its database."""
        return Restored(
            bindings=tuple(self.saved_bindings.values()),
            calls=tuple(self.saved_calls.values()),
            forwardings=tuple(self.saved_forwardings.values()),
            stops=tuple(self.saved_stops.values()),
            sightings=tuple(self.saved_sightings.values()),
            mode=self.saved_mode,
            offset=offset,
        )

    def restart(self, restored: Restored | None = None) -> None:
        """Kill the core and begin another; the media process keeps the relays it wants."""
        self.start(restored or self.left())
        wanted = {relay.key for relay in self.core.relays()}
        self.relays = {key: relay for key, relay in self.relays.items() if key in wanted}
        assert self.relays.keys() == wanted

    @classmethod
    def in_outage(cls, bundle: Bundle | None = None) -> Bench:
        """Build a bench whose zones are down and whose core has noticed."""
        bench = cls(bundle)
        bench.advance(16)
        assert bench.mode == "survivability"
        return bench

    @property
    def mode(self) -> str:
        assert self.core.survival is not None
        return self.core.survival.mode

    def phone(self, extension: str, *, transport: Transport = "UDP", host: str = "") -> Phone:
        """Put a phone on the LAN; it does nothing by itself."""
        number = len(self.phones) + 1
        flow = Flow(
            transport,
            (HOLDFAST, 5091 if transport == "TLS" else 5060),
            (host or f"192.0.2.{100 + number}", 5060 + number),
            0 if transport == "UDP" else number,
        )
        phone = Phone(self, extension, flow)
        self.phones[flow] = phone
        return phone

    def reconnected(self, phone: Phone) -> Phone:
        """Put a phone whose connection has ended on a new one; it does nothing by itself."""
        host, port = phone.flow.remote
        number = 1000 + len(self.phones)
        flow = phone.flow._replace(remote=(host, port + 1000), connection=number)
        again = Phone(self, phone.extension, flow)
        again.serial = phone.serial
        self.phones[flow] = again
        return again

    def registered(self, *extensions: str) -> list[Phone]:
        """Put phones on the LAN that have registered already."""
        phones = [self.phone(extension) for extension in extensions]
        for phone in phones:
            assert phone.register().status == 200
        return phones

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        for _ in range(100_000):
            due = self.core.deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.perform(self.core.expire(self.now))
        self.now = end
        self.perform(self.core.expire(self.now))

    def perform(self, actions: list[Action]) -> None:
        """Do to the world what the core asked for."""
        ended: list[RelayEnded] = []
        for action in actions:
            if isinstance(action, Send):
                phone = self.phones.get(action.flow)
                if phone is None:
                    self.unsent.append(action)
                else:
                    phone.inbox.append(parse(action.data))
            elif isinstance(action, PutRelay):
                self.relays[action.relay.key] = action.relay
            elif isinstance(action, DropRelay):
                del self.relays[action.key]
                counters = MediaCounters(packets=50, octets=8000)
                ended.append(RelayEnded(action.key, counters, counters))
            elif isinstance(action, SaveRecord):
                self.records[action.record.id] = action.record
                self.saved_calls.pop(action.record.id, None)
            elif isinstance(action, SaveCall):
                self.calls.update(self.core.switchboard.calls.values())
                self.saved_calls[action.call_id] = action.row
            elif isinstance(action, SaveBinding):
                self.saved_bindings[action.aor, action.contact] = action.row
            elif isinstance(action, DropBinding):
                self.saved_bindings.pop((action.aor, action.contact), None)
            elif isinstance(action, SaveSighting) and action.row is not None:
                self.saved_sightings[action.user] = action.row
            elif isinstance(action, SaveSighting):
                self.saved_sightings.pop(action.user, None)
            elif isinstance(action, SaveStop) and action.row is not None:
                self.saved_stops[action.user] = action.row
            elif isinstance(action, SaveStop):
                self.saved_stops.pop(action.user, None)
            elif isinstance(action, SaveForwarding) and action.row is not None:
                self.saved_forwardings[action.user] = action.row
            elif isinstance(action, SaveForwarding):
                self.saved_forwardings.pop(action.user, None)
            elif isinstance(action, SaveMode):
                self.saved_mode = action.row
            elif isinstance(action, ProbeZone):
                self._answer_probe(action)
            elif isinstance(action, LocateGateway):
                self._locate(action)
            elif isinstance(action, Notice):
                self.notices.append(action)
            else:
                self.others.append(action)
        for event in ended:
            self.perform(self.core.media_event(event, self.now))

    def _locate(self, asked: LocateGateway) -> None:
        ways = tuple((address, HOLDFAST) for address in self.places.get(asked.host, ()))
        event = GatewayLocated(asked.key, ways, "" if ways else f"{asked.host} does not exist")
        self.perform(self.core.gateway_located(event, self.now))

    def _answer_probe(self, probe: ProbeZone) -> None:
        if self.zones_up:
            answer = ZoneAnswer(probe.zone.id, 200, rtt=0.01)
        else:
            answer = ZoneAnswer(probe.zone.id, None, "connection refused", "tcp")
        self.perform(self.core.zone_answered(answer, self.now))

    @property
    def record(self) -> CallRecord:
        """The only record there is."""
        (record,) = self.records.values()
        return record

    def record_of_the_only_call(self) -> CallRecord:
        """The draft of the call that is up."""
        (call,) = self.core.switchboard.calls.values()
        return call.draft.record

    def quiet(self) -> None:
        """Check that nothing of any call is left: ports, relays, dialogs, transactions, timers."""
        self.advance(200)
        board = self.core.switchboard
        assert not board.calls
        assert not self.relays
        assert len(board._ports) == 0
        assert board._context is not None
        assert not len(board._context.legs)
        assert not board.ongoing._ringing
        assert not board.ongoing._callers
        assert not len(self.calls), "a reference holds a call that is over: memory grows"
        assert len(board.reach) == 0
        assert not self.core.traces._up, "a call that is over is remembered as one that is up"


class Phone:
    """One phone: sends what the test says and keeps what it gets."""

    def __init__(self, bench: Bench, extension: str, flow: Flow) -> None:
        self.bench = bench
        self.extension = extension
        self.flow = flow
        self.inbox: list[Request | Response] = []
        self.password = f"secret-{extension}"
        self.serial = 0

    @property
    def host(self) -> str:
        return self.flow.remote[0]

    @property
    def contact(self) -> str:
        host, port = self.flow.remote
        return f"<sip:{self.extension}@{host}:{port}>"

    def send(self, message: Request | Response | bytes) -> None:
        """Put a message on the wire."""
        data = message if isinstance(message, bytes) else message.encode()
        self.bench.perform(self.bench.core.receive(data, self.flow, self.bench.now))

    def take(self) -> list[Request | Response]:
        """Return what has come since the last time."""
        inbox, self.inbox = self.inbox, []
        return inbox

    def responses(self) -> list[int]:
        """Return the status codes that have come, and forget all."""
        return [message.status for message in self.take() if isinstance(message, Response)]

    def requests(self) -> list[Request]:
        """Return the requests that have come, and forget all."""
        return [message for message in self.take() if isinstance(message, Request)]

    def expect(self, method: str) -> Request:
        """Return the one request that came, which must be this."""
        requests = self.requests()
        assert [request.method for request in requests] == [method]
        return requests[0]

    # -- requests -----------------------------------------------------------------------------

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        from_tag: str = "",
        call_id: str = "",
        cseq: int = 1,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> Request:
        """Write a request as this phone would."""
        self.serial += 1
        name = f"{self.extension}-{self.flow.remote[1]}-{self.serial}"
        host, port = self.flow.remote
        request = Request(
            method,
            uri,
            [
                ("Via", f"SIP/2.0/{self.flow.transport} {host}:{port};branch=z9hG4bK{name};rport"),
                ("Max-Forwards", "70"),
                ("From", f"<sip:{self.extension}@{DOMAIN}>;tag={from_tag or 'tag-' + name}"),
                ("To", to or f"<{uri}>"),
                ("Call-ID", call_id or f"call-{name}"),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", self.contact),
                *(headers or []),
            ],
            body,
        )
        if body:
            request.add("Content-Type", "application/sdp")
        return request

    def with_digest(self, request: Request, challenged: Response, count: int = 1) -> Request:
        """Return the request again with credentials, as a new transaction (RFC 3261, 22.2)."""
        challenge = Challenge.parse(challenged.all("WWW-Authenticate")[0])
        again = Request(request.method, request.uri, list(request.headers), request.body)
        again.set("CSeq", f"{request.cseq.number + 1} {request.method}")
        again.set("Via", again.first("Via").replace(";rport", "d;rport"))  # type: ignore[union-attr]
        again.add(
            "Authorization",
            respond(
                challenge,
                self.extension,
                self.password,
                request.method,
                request.uri,
                count,
                "cnonce",
            ),
        )
        return again

    def authenticated(self, request: Request) -> Request:
        """Send a request, take the challenge, send it again; return what was sent last."""
        self.send(request)
        (challenged,) = self.take()
        assert isinstance(challenged, Response)
        assert challenged.status == 401, challenged
        if request.method == "INVITE":
            self.send(self.ack_failure(request, challenged))
        again = self.with_digest(request, challenged)
        self.send(again)
        return again

    def register(self, expires: int = 60) -> Response:
        """Register and return the final answer."""
        request = self.request(
            "REGISTER",
            f"sip:{DOMAIN}",
            to=f"<sip:{self.extension}@{DOMAIN}>",
            headers=[("Expires", str(expires))],
        )
        self.authenticated(request)
        (answer,) = self.take()
        assert isinstance(answer, Response)
        return answer

    def register_again(self) -> list[int]:
        """Register on a new connection; what comes besides the answer stays in the inbox."""
        request = self.request(
            "REGISTER",
            f"sip:{DOMAIN}",
            to=f"<sip:{self.extension}@{DOMAIN}>",
            headers=[("Expires", "60")],
        )
        self.authenticated(request)
        messages = self.take()
        self.inbox = [message for message in messages if isinstance(message, Request)]
        return [message.status for message in messages if isinstance(message, Response)]

    def invite(
        self, number: str, body: bytes | None = None, headers: list[tuple[str, str]] | None = None
    ) -> Request:
        """Call a number; returns the INVITE that carried the credentials."""
        if body is None:
            body = sdp(self.host)
        return self.authenticated(
            self.request("INVITE", f"sip:{number}@{DOMAIN}", body=body, headers=headers)
        )

    def ack_failure(self, request: Request, response: Response) -> Request:
        """Write the ACK of a failure: it belongs to the INVITE's transaction."""
        names = {"From", "Call-ID", "Max-Forwards"}
        headers = [(name, value) for name, value in request.headers if name in names]
        via, to = request.first("Via"), response.first("To")
        assert via is not None
        assert to is not None
        return Request(
            "ACK",
            request.uri,
            [("Via", via), ("To", to), ("CSeq", f"{request.cseq.number} ACK"), *headers],
        )

    def cancel(self, invite: Request) -> Request:
        """Write the CANCEL of an INVITE: the same branch (RFC 3261, 9.1)."""
        names = {"Via", "From", "To", "Call-ID", "Max-Forwards"}
        headers = [(name, value) for name, value in invite.headers if name in names]
        return Request("CANCEL", invite.uri, [*headers, ("CSeq", f"{invite.cseq.number} CANCEL")])

    def within(
        self,
        invite: Request,
        answer: Response,
        method: str,
        *,
        cseq: int | None = None,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> Request:
        """Write a request inside the dialog this phone began with `invite`."""
        return self.request(
            method,
            str(answer.contacts[0].uri),
            to=answer.first("To") or "",
            from_tag=invite.from_.tag or "",
            call_id=invite.call_id,
            cseq=cseq if cseq is not None else invite.cseq.number + (method != "ACK"),
            body=body,
            headers=headers,
        )

    def back(
        self,
        invite: Request,
        method: str,
        tag: str,
        *,
        cseq: int = 1,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> Request:
        """Write a request inside the dialog this phone was invited to."""
        request = self.request(
            method,
            str(invite.contacts[0].uri),
            to=invite.first("From") or "",
            from_tag=tag,
            call_id=invite.call_id,
            cseq=cseq,
            body=body,
            headers=headers,
        )
        request.set("From", f"{invite.first('To')};tag={tag}")
        return request

    # -- answers ------------------------------------------------------------------------------

    def answer(
        self,
        request: Request,
        status: int,
        *,
        tag: str = "callee",
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        """Answer a request the core has sent."""
        response = request.response(status, to_tag=tag)
        if request.method == "INVITE":
            response.add("Contact", self.contact)
        for name, value in headers or []:
            response.add(name, value)
        if body:
            response.add("Content-Type", "application/sdp")
            response.body = body
        self.send(response)
