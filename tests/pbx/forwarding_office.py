"""Phones 1001 to 1005 around one real core, some of whose users forward their calls."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from appliance.bundle import Forwarding, Group
from appliance.call.record import CallRecord
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone, sdp, site_bundle


class Forwarders:
    """A site in an outage; `ways` are the forwardings of the bundle by extension."""

    def __init__(self, phones: str = "1001 1002 1003 1004", **ways: Forwarding) -> None:
        bundle = site_bundle()
        users = tuple(
            replace(user, forwarding=ways.get(f"u{user.extension}", Forwarding()))
            for user in bundle.users
        )
        groups = (Group(id="g", name="G", extension="7000", members=("u1003",), overflow="1004"),)
        self.bench = Bench.in_outage(replace(bundle, users=users, groups=groups))
        names = phones.split()
        self.phones = dict(zip(names, self.bench.registered(*names), strict=True))

    def call(self, number: str, caller: str = "1001") -> list[int]:
        """Have a phone call; return the statuses it got besides 100."""
        self.caller = self.phones[caller]
        self.invite = self.caller.invite(number)
        return self.statuses()

    def statuses(self) -> list[int]:
        """Return what the caller was told since the last time; a failure is acknowledged."""
        answers = [m for m in self.caller.take() if isinstance(m, Response) and m.status > 100]
        for answer in answers:
            if answer.status >= 300:
                self.caller.send(self.caller.ack_failure(self.invite, answer))
        return [answer.status for answer in answers]

    def rung(self, extension: str) -> Request:
        """Return the INVITE that a phone got."""
        return self.phones[extension].expect("INVITE")

    def refuse(self, extension: str, status: int) -> Request:
        """Have a phone refuse its INVITE, and return that."""
        invite = self.rung(extension)
        self.phones[extension].answer(invite, status)
        self.phones[extension].expect("ACK")
        return invite

    def let_ring(self, extension: str, seconds: float) -> None:
        """Have a phone ring until it is cancelled."""
        phone = self.phones[extension]
        invite = self.rung(extension)
        phone.answer(invite, 180)
        self.bench.advance(seconds)
        phone.answer(phone.expect("CANCEL"), 200)
        phone.answer(invite, 487)
        phone.expect("ACK")

    def pick_up(self, extension: str) -> list[int]:
        """Have a phone answer; return what the caller is told."""
        phone: Phone = self.phones[extension]
        phone.answer(self.rung(extension), 200, body=sdp(phone.host))
        return self.statuses()

    @property
    def record(self) -> CallRecord:
        return list(self.bench.records.values())[-1]

    def forward(self, **ways: Any) -> None:
        """Change nothing but what 1002 has set on the phone."""
        site = self.bench.core.switchboard.site
        assert site is not None
        user = site.directory.by_extension("1002")
        assert user is not None
        self.bench.core.switchboard.people.forwardings.set(user, **ways)
