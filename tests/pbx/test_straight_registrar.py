"""The straight way of a REGISTER gives the answers and bindings of the general way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.call.actions import Action, Send
from appliance.sip.credentials import Challenge
from appliance.sip.digest import respond
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.message import Response
from tests.phones import DOMAIN, HOLDFAST, Bench

HOST = "192.0.2.77"
FLOW = Flow("UDP", (HOLDFAST, 5060), (HOST, 5070), 0)
STREAM = Flow("TLS", (HOLDFAST, 5091), (HOST, 40001), 3)
VIAS = (
    f"{HOST}:5070;branch=z9hG4bK{{0}};rport",
    f"{HOST}:5070;rport;branch=z9hG4bK{{0}}",
    f"{HOST}:5070;branch=z9hG4bK{{0}}",
    f"{HOST}:5071;branch=z9hG4bK{{0}}",
    "phone.example;branch=z9hG4bK{0}",
    "Phone.Example:05070;branch=z9hG4bK{0};rport",
    f"{HOST}:5070;branch={{0}};rport",
    f"{HOST}:5070;branch=z9hG4bK{{0}};rport;alias",
)
CONTACTS = (
    f"<sip:1001@{HOST}:5070>",
    f"<sip:1001@{HOST}:5070;transport=tls>",
    f"<sip:1001@{HOST}:5070;line=abc1>",
    f'<sip:1001@{HOST}:5070>;+sip.instance="<urn:uuid:0-1>";reg-id=1',
    f'<sip:9@{HOST}>;reg-id=2;+sip.instance="<urn:uuid:0-1>"',
    f"<sip:1001@{HOST}:5070>;expires=90;q=0.5",
    f"<sip:1001@{HOST}:5070>;q=a",
    f"<sip:1001@{HOST}:5070>;expires=0",
    f"<sip:{HOST}>",
    f"<sip:{'1' * 1030}@{HOST}>",
    f'"A" <sip:1001@{HOST}:5070>',
    "*",
)
TOS = (
    f"<sip:1001@{DOMAIN}>",
    "<sip:1001@EXAMPLE.com>",
    f"<sip:1001@{HOLDFAST}:5060>",
    f"<sip:1002@{DOMAIN}>",
    f"<sip:1001@{DOMAIN}>;tag=x",
    "<sip:1001@elsewhere.example>",
)
ORDERS = (
    ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Authorization", "Expires", "User-Agent"),
    ("Via", "To", "From", "CSeq", "Call-ID", "User-Agent", "Contact", "Expires", "Authorization"),
)
FURTHER = ("", "X-Site: 1", "Supported: path", "Require: path", "Max-Forwards: 70", "from: x")
AGENTS = ("Desk 1", "Desk 2 ", "é", "a" * 300)
PROOFS = ("good", "good", "good", "none", "wrong", "again", "foreign", "sha", "quoted", "odd")


@dataclass
class Wish:
    """One REGISTER, said in choices."""

    via: str = VIAS[0]
    contact: str = CONTACTS[0]
    to: str = TOS[0]
    order: tuple[str, ...] = ORDERS[0]
    further: str = ""
    expires: str = "60"
    agent: str = AGENTS[0]
    proof: str = "good"
    call_id: str = "c1"
    older: bool = False
    wait: float = 0.0
    twice: bool = False


WISHES = st.builds(
    Wish,
    st.sampled_from(VIAS),
    st.sampled_from(CONTACTS),
    st.sampled_from(TOS[:1] * 4 + TOS),
    st.sampled_from(ORDERS),
    st.sampled_from(FURTHER[:1] * 4 + FURTHER),
    st.sampled_from(("60", "60", "", "0", "5", "99999", "007")),
    st.sampled_from(AGENTS),
    st.sampled_from(PROOFS),
    st.sampled_from(("c1", "c1", "c2")),
    st.booleans(),
    st.sampled_from((0.0, 0.0, 1.0, 40.0, 400.0)),
    st.booleans(),
)


@dataclass
class Desk:
    """A core with one phone in front of it, and all it answered."""

    straight: bool
    flow: Flow
    bench: Bench = field(default_factory=Bench.in_outage)
    seen: list[object] = field(default_factory=list)
    challenge: Challenge | None = None
    count: int = 0
    cseq: int = 0

    def __post_init__(self) -> None:
        if not self.straight:
            self.bench.core.switchboard.receive_straight = (  # type: ignore[method-assign]
                lambda data, flow, now: False
            )

    def comes(self, wish: Wish) -> None:
        """Let the phone send what is wished and note all that follows."""
        self.bench.advance(wish.wait)
        data = self.write(wish)
        for _ in range(1 + wish.twice):
            actions = self.bench.core.receive(data, self.flow, self.bench.now)
            self.seen.append([shown(action) for action in actions])
            for action in actions:
                if isinstance(action, Send) and b"WWW-Auth" in action.data:
                    response = parse(action.data)
                    assert isinstance(response, Response)
                    values = response.all("WWW-Authenticate")
                    self.challenge, self.count = Challenge.parse(values[-1]), 0

    def write(self, wish: Wish) -> bytes:
        if not wish.older:
            self.cseq += 1
        values = {
            "Via": f"SIP/2.0/{self.flow.transport} {wish.via.format(self.cseq)}",
            "From": f"<sip:1001@{DOMAIN}>;tag=f",
            "To": wish.to,
            "Call-ID": wish.call_id,
            "CSeq": f"{self.cseq} REGISTER",
            "Contact": wish.contact,
            "Authorization": self.authorization(wish.proof),
            "Expires": wish.expires,
            "User-Agent": wish.agent,
        }
        lines = [f"{name}: {values[name]}" for name in wish.order if values[name]]
        more = [wish.further] if wish.further else []
        start = f"REGISTER sip:{DOMAIN} SIP/2.0"
        return "\r\n".join([start, *lines, *more, "Content-Length: 0", "", ""]).encode()

    def authorization(self, proof: str) -> str:
        if self.challenge is None or proof == "none":
            return ""
        if proof != "again":
            self.count += 1
        password = "nonsense" if proof == "wrong" else "secret-1001"
        uri = f"sip:{DOMAIN}"
        text = respond(self.challenge, "1001", password, "REGISTER", uri, max(self.count, 1), "cn")
        changes = {
            "foreign": (f'realm="{self.challenge.realm}"', 'realm="other"'),
            "sha": ("algorithm=", "algorithm=x"),
            "quoted": ("qop=auth", 'qop="auth"'),
            "odd": ("nc=0", "nc=x"),
        }
        return text.replace(*changes[proof], 1) if proof in changes else text


def shown(action: Action) -> object:
    """Return an action as text; an answer with its headers in any order."""
    if not isinstance(action, Send):
        return repr(action)
    message = parse(action.data)
    assert isinstance(message, Response)
    return action.flow, message.status, message.reason, sorted(message.headers)


def both(wishes: list[Wish], flow: Flow = FLOW) -> Desk:
    """Say the same to both ways; return the straight one."""
    straight, general = Desk(True, flow), Desk(False, flow)
    for desk in (straight, general):
        for wish in [Wish(proof="none"), Wish(), *wishes]:
            desk.comes(wish)
    for mine, theirs in zip(straight.seen, general.seen, strict=True):
        assert mine == theirs
    bindings = [
        [msgspec.to_builtins(binding) for binding in desk.bench.core.switchboard.location]
        for desk in (straight, general)
    ]
    assert bindings[0] == bindings[1]
    return straight


@given(st.lists(WISHES, min_size=1, max_size=12), st.sampled_from((FLOW, STREAM)))
@settings(max_examples=300, deadline=None)
def test_both_ways_are_one(wishes: list[Wish], flow: Flow) -> None:
    both(wishes, flow)


@pytest.mark.parametrize("contact", CONTACTS[:4])
@pytest.mark.parametrize("via", VIAS[:3])
@pytest.mark.parametrize("order", ORDERS)
def test_a_known_shape_goes_straight(via: str, contact: str, order: tuple[str, ...]) -> None:
    wish = Wish(via=via, contact=contact, order=order, proof="none")
    shape = Wish(via=via, contact=contact, order=order)
    desk = both([shape, wish, shape, shape])
    board = desk.bench.core.switchboard
    before = len(board.location)
    desk.comes(wish)
    assert board.receive_straight(desk.write(shape), FLOW, desk.bench.now)
    assert len(board.location) == before


def test_a_stranger_teaches_nothing() -> None:
    desk = Desk(True, FLOW)
    for order in ORDERS:
        desk.comes(Wish(order=order, proof="none"))
        desk.comes(Wish(order=order, proof="wrong"))
    assert not len(desk.bench.core.switchboard._shapes)


def test_shapes_are_bounded() -> None:
    desk = Desk(True, FLOW)
    desk.comes(Wish(proof="none"))
    names = list(ORDERS[0][1:])
    dice = random.Random(1)
    for _ in range(400):
        dice.shuffle(names)
        desk.comes(Wish(order=("Via", *names)))
    shapes = desk.bench.core.switchboard._shapes
    assert len(shapes) == 16


def test_standby_is_asked_before_anything() -> None:
    desk = both([])
    data = desk.write(Wish())
    desk.bench.zones_up = True
    desk.bench.advance(1000)
    assert desk.bench.mode == "standby"
    assert not desk.bench.core.switchboard.receive_straight(data, FLOW, desk.bench.now)
