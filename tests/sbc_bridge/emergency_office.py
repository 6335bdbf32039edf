"""A site whose phones call for help, with a trunk of scripted SBCs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from appliance.bundle import Bundle, Emergency, Location
from appliance.call.actions import DropAlert, DropCallback, SaveAlert, SaveCallback
from appliance.call.events import DigitPressed, SoundEnded
from appliance.call.steps import Target
from appliance.sip.message import Request, Response
from sbc_bridge.emergency.help import Shows, Way
from tests.phones import DOMAIN, Bench, Phone, sdp, site_bundle

ELIN = "+13125550800"
POOL = ("+13125550900", "+13125550901")
HALL = Location(id="hall", name="Hall", elin=ELIN, address="1 Main St", networks=("192.0.2.0/24",))
ATTIC = Location(id="attic", name="Attic", networks=("198.51.100.0/24",))


class Trunk:
    """Some SBCs, each a phone on the bench; fulfils `Outside`."""

    def __init__(self, bench: Bench, *sbcs: Phone) -> None:
        self.bench = bench
        self.sbcs = sbcs
        self.full: set[Phone] = set()
        self.victims: list[str] = []
        """Whose calls may be ended to make room."""
        self.shown: list[Shows] = []

    def ways(self, groups: tuple[str, ...], shows: Shows, now: float) -> list[Way]:
        self.shown.append(shows)
        return [
            Way(sbc.extension, Target(f"sip:{shows.number}@{sbc.host}", sbc.flow, sbc.extension),
                sbc in self.full)
            for sbc in self.sbcs
        ]  # fmt: skip

    def make_room(self, line: str, now: float) -> str:
        return self.victims.pop(0) if self.victims else ""


class Site:
    """A bench with emergency settings; 1001 to 1003 are registered unless told otherwise."""

    def __init__(
        self, *, registered: str = "1001 1002 1003", sbcs: int = 1, outage: bool = True, **more: Any
    ) -> None:
        self.bench = Bench(self.bundle(**more))
        if outage:
            self.bench.advance(16)
        else:
            self.bench.zones_up = True
            self.bench.advance(6)
        named = registered.split()
        self.phones = dict(zip(named, self.bench.registered(*named), strict=True)) if outage else {}
        self.trunk = Trunk(self.bench, *[self.bench.phone(f"sbc{n + 1}") for n in range(sbcs)])
        self.connect()

    def bundle(self, users: dict[str, Any] | None = None, **more: Any) -> Bundle:
        site = site_bundle()
        changed = {name: value for name, value in more.items() if name in site.__struct_fields__}
        said = {name: value for name, value in more.items() if name not in changed}
        people = tuple(
            msgspec.structs.replace(one, **(users or {}).get(one.extension, {}))
            for one in site.users
        )
        return msgspec.structs.replace(
            site,
            **{"users": people, "locations": (HALL, ATTIC), "emergency": Emergency(**said)}
            | changed,
        )

    def connect(self) -> None:
        """Give the core its trunk, as at a start."""
        self.bench.core.ways = self.trunk
        self.bench.perform(self.bench.core.apply(self.bench.bundle, self.bench.now))

    def restart(self, offset: float = 0.0) -> None:
        """Kill the core and begin another one."""
        saved = {a.call_id: a.row for a in self.bench.others if isinstance(a, SaveCallback)}
        for action in self.bench.others:
            if isinstance(action, DropCallback):
                saved.pop(action.call_id, None)
        left = replace(
            self.bench.left(offset), callbacks=tuple(saved.values()), alerts=tuple(self.alerts())
        )
        self.bench.start(left)
        self.connect()

    def alerts(self) -> list[bytes]:
        """Return what the disk has of who is to be told."""
        saved: dict[str, bytes] = {}
        for action in self.bench.others:
            if isinstance(action, SaveAlert):
                saved[action.key] = action.row
            elif isinstance(action, DropAlert):
                saved.pop(action.key, None)
        return list(saved.values())

    @property
    def sbc(self) -> Phone:
        return self.trunk.sbcs[0]

    def dial(self, phone: Phone, number: str = "911", **more: Any) -> Request:
        """Call without credentials: nobody may ask for any."""
        body = more.pop("body", sdp(phone.host))
        invite = phone.request("INVITE", f"sip:{number}@{DOMAIN}", body=body, **more)
        phone.send(invite)
        return invite

    def help(self, extension: str = "1001", number: str = "911") -> Request:
        return self.dial(self.phones[extension], number)

    def answer(self, phone: Phone, tag: str = "psap") -> Request:
        """Have an SBC, or a phone that rings, answer."""
        (invite,) = [one for one in phone.requests() if one.method == "INVITE"]
        phone.answer(invite, 200, tag=tag, body=sdp(phone.host))
        return invite

    def acknowledge(self, phone: Phone, invite: Request) -> Response:
        """Have the caller acknowledge the 200 it got; return that."""
        (accepted,) = [
            m for m in phone.take() if isinstance(m, Response) and m.status == 200
            and m.cseq.method == "INVITE"
        ]  # fmt: skip
        phone.send(phone.within(invite, accepted, "ACK", cseq=invite.cseq.number))
        return accepted

    def talk(self, extension: str = "1001") -> Request:
        """Call for help, be answered, and hang up."""
        phone = self.phones[extension]
        invite = self.help(extension)
        self.answer(self.sbc)
        accepted = self.acknowledge(phone, invite)
        phone.send(phone.within(invite, accepted, "BYE"))
        bye = [one for one in self.sbc.requests() if one.method == "BYE"][-1]
        self.sbc.answer(bye, 200)
        phone.take()
        return invite

    def heard(self) -> list[str]:
        """Let every sound that plays come to its end; return their names."""
        names = []
        for relay in list(self.bench.relays.values()):
            sound = relay.a.hears
            if sound is not None:
                names.append(sound.name)
                event = SoundEnded(relay.key, "a", sound.serial)
                self.bench.perform(self.bench.core.media_event(event, self.bench.now))
        return names

    def press(self, key: str) -> None:
        for relay in list(self.bench.relays.values()):
            if relay.b is None:
                event = DigitPressed(relay.key, "a", key)
                self.bench.perform(self.bench.core.media_event(event, self.bench.now))

    def told(self, topic: str) -> list[str]:
        return [notice.text for notice in self.bench.notices if notice.topic == topic]
