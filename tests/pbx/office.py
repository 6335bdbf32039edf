"""A small site for tests: two users, a registrar, and phones that know how to answer challenges."""

from __future__ import annotations

from appliance.bundle import Bundle, Credential, Policies, Site, User, Zone
from appliance.call.actions import Action, DropBinding, Notice, SaveBinding
from appliance.pbx.authentication import Authentication
from appliance.pbx.directory import Directory
from appliance.pbx.guard import Guard
from appliance.pbx.location import Location
from appliance.pbx.registrar import Registrar
from appliance.sip.credentials import Challenge
from appliance.sip.digest import Nonces, ha1, respond
from appliance.sip.flow import Flow, Transport
from appliance.sip.framing import parse
from appliance.sip.identifiers import CountedIdentifiers
from appliance.sip.message import Request, Response
from appliance.sip.timers import TimerQueue
from appliance.sip.validate import check_request

DOMAIN = "example.com"
REALM = "cloud.example.com"
OURS = ("192.0.2.254", 5060)
PASSWORDS = {"1001": "apple", "1002": "pear"}


def credential(name: str, *algorithms: str) -> Credential:
    """Give what the bundle carries of a password."""
    kinds = algorithms or ("MD5", "SHA-256")
    md5 = ha1("MD5", name, REALM, PASSWORDS[name]) if "MD5" in kinds else None
    sha256 = ha1("SHA-256", name, REALM, PASSWORDS[name]) if "SHA-256" in kinds else None
    return Credential(username=name, realm=REALM, md5=md5, sha256=sha256)


ALICE = User(
    id="alice",
    name="Alice",
    extension="1001",
    aliases=("al",),
    numbers=("+15551001",),
    credentials=(credential("1001"),),
)
BOB = User(id="bob", name="Bob", extension="1002", credentials=(credential("1002"),))


def bundle(*users: User, **policies: object) -> Bundle:
    """Give a bundle with these users and policies."""
    return Bundle(
        version=1,
        site=Site(id="s", name="Site", code="8", domain=DOMAIN, realm=REALM),
        zones=(Zone(id="a", host="zone-a.example.com"),),
        users=users or (ALICE, BOB),
        policies=Policies(**policies),  # type: ignore[arg-type]
    )


class Office:
    """The registrar with everything it needs, on a clock of its own."""

    def __init__(self, site: Bundle | None = None) -> None:
        self.now = 1000.0
        self.actions: list[Action] = []
        self.timers = TimerQueue()
        emit = self.actions.append
        self.location = Location(self.timers, emit)
        self.guard = Guard(emit)
        self.nonces = Nonces(b"k" * 32)
        self.identifiers = CountedIdentifiers("token")
        self.apply(site or bundle())

    def apply(self, site: Bundle) -> None:
        """Serve this bundle."""
        directory = Directory(site)
        self.authentication = Authentication(
            directory, site, self.nonces, self.guard, self.identifiers, self.location
        )
        self.registrar = Registrar(
            directory, site, self.location, self.authentication, self.actions.append
        )

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.timers.expire(self.now)

    def saved(self) -> list[SaveBinding]:
        """Return every row written so far."""
        return [action for action in self.actions if isinstance(action, SaveBinding)]

    def dropped(self) -> list[str]:
        """Return the contact of every row deleted so far."""
        return [action.contact for action in self.actions if isinstance(action, DropBinding)]

    def told(self, topic: str) -> list[str]:
        """Return what the admins were told about a topic."""
        return [a.text for a in self.actions if isinstance(a, Notice) and a.topic == topic]


class Phone:
    """A phone that registers as phones do: ask, be challenged, answer."""

    def __init__(
        self,
        office: Office,
        name: str = "1001",
        host: str = "192.0.2.1",
        port: int = 5060,
        transport: Transport = "UDP",
        connection: int = 0,
        password: str | None = None,
    ) -> None:
        self.office = office
        self.name = name
        self.password = PASSWORDS.get(name, "?") if password is None else password
        self.flow = Flow(transport, OURS, (host, port), connection)
        self.contact = f"<sip:{name}@{host}:{port}>"
        self.to = f"<sip:{name}@{DOMAIN}>"
        self.call_id = f"{name}-{host}-{port}"
        self.cseq = 0
        self.nonce_count = 0
        self.algorithm = 0
        self.challenge: Challenge | None = None

    def request(self, *lines: str, method: str = "REGISTER") -> Request:
        """Return a request with these header lines besides what each has."""
        self.cseq += 1
        text = "\r\n".join(
            (
                f"{method} sip:{DOMAIN} SIP/2.0",
                f"Via: SIP/2.0/{self.flow.transport} phone.invalid;branch=z9hG4bK{self.cseq}",
                f"From: {self.to};tag=f",
                f"To: {self.to}",
                f"Call-ID: {self.call_id}",
                f"CSeq: {self.cseq} {method}",
                "Max-Forwards: 70",
                *lines,
                "\r\n",
            )
        )
        request = parse(text.encode())
        assert isinstance(request, Request)
        check_request(request)
        return request

    def answer(self, method: str = "REGISTER") -> str:
        """Return the header line that answers the last challenge."""
        if self.challenge is None:
            return "X-None: 0"
        self.nonce_count += 1
        value = respond(
            self.challenge,
            self.name,
            self.password,
            method,
            f"sip:{DOMAIN}",
            self.nonce_count,
            "c0ffee",
        )
        return f"Authorization: {value}"

    def send(self, *lines: str) -> Response:
        """Send one REGISTER, with credentials where there was a challenge."""
        office = self.office
        response = office.registrar.receive(
            self.request(*lines, self.answer()), self.flow, office.now
        )
        self.learn(response)
        return response

    def learn(self, response: Response) -> None:
        """Remember a challenge."""
        if response.status == 401:
            self.challenge = Challenge.parse(response.all("WWW-Authenticate")[self.algorithm])
            self.nonce_count = 0

    def register(self, *lines: str) -> Response:
        """Register, answering a challenge where there is one; `lines` replace Contact."""
        wanted = lines or (f"Contact: {self.contact}", "Expires: 120")
        response = self.send(*wanted)
        if response.status == 401:
            response = self.send(*wanted)
        return response


def contacts(response: Response) -> list[str]:
    """Return the contacts a 200 lists."""
    return response.all("Contact")
