"""As large a site as one appliance serves, with much of everything that pages list."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from appliance.bundle import Bundle, Group, Peer, RouteGroup, Sbc, TrunkNumber
from appliance.call.record import CallRecord
from appliance.cloud.sample import make_sample
from appliance.diagnostics.check import Check, Outcome, Surroundings, fail
from tests.fake_core import CALLS, EMERGENCY, EVIDENCE, PEERS, PHONES, STATUS, TRUNK, FakeCore
from tests.fake_core import record as plain_record
from tests.web.house import House

USERS, CONTACTS = 10_000, 50_000
NOW = 1_800_000_000.0
AGENTS = ("Yealink SIP-T46U 108.86.0.20", "PolyVVX-450-UA/6.4.3", "Cisco-CP-8851-3PCC/12.0")
REASONS = (
    ("no_credentials", "no password for the realm chicago.example.com has come from the cloud"),
    ("never_seen", "no phone of this user has ever come here; a test would show whether one does"),
)
"""Of phones that would not work."""


class LargeCore(FakeCore):
    """Answers as the core of such a site does, each row unlike the next."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self._dice = random.Random(1)
        self._users = bundle.users
        self.calls = [self._call(index) for index in range(2000)]
        self.sites = [
            row | {"site": peer.site, "code": peer.code, "host": peer.host}
            for peer, row in zip(bundle.peers, PEERS * 500, strict=False)
        ]
        self.waiting = [self._record(index) for index in range(2000)]
        zones = [STATUS["zones"][0] | {"id": zone.id, "host": zone.host} for zone in bundle.zones]
        self.status = STATUS | {
            "since": NOW - 7 * 86400,
            "zones": zones,
            "phones": {"registered": USERS, "expected": USERS},
            "users": {"registered": USERS, "total": USERS},
        }

    def _apply(self, path: str) -> None:
        self.version = (self.version or 0) + 1

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        large = {
            "phones.page": self._phones,
            "readiness.part": self._readiness,
            "forwardings": self._forwardings,
            "trunk": self._trunk,
            "notices": self._notices,
            "mode.history": self._history,
            "evidence": self._evidence,
            "emergency": self._emergency,
        }
        return large[name](**arguments) if name in large else super()._answer(name, arguments)

    def _phones(self, offset: int, limit: int, **asked: Any) -> Any:
        some = self._users[offset : offset + limit]
        return {"total": USERS, "rows": [self._phone(user) for user in some]}

    def _phone(self, user: Any) -> dict[str, Any]:
        there = {"address": self._address(), "port": self._dice.randrange(1024, 65536)}
        who = {"user": user.id, "name": user.name, "extension": user.extension}
        agent = {"user_agent": self._dice.choice(AGENTS), "expires_in": self._dice.randrange(120)}
        return PHONES[0] | who | there | agent

    def _address(self) -> str:
        return ".".join(str(self._dice.randrange(1, 255)) for _ in range(4))

    def _call(self, index: int) -> dict[str, Any]:
        caller, callee = self._dice.sample(self._users, 2)
        begun = NOW - self._dice.randrange(3600)
        plain = CALLS[0] | {"id": f"{self._dice.getrandbits(64):016x}", "started": begun}
        steps = [f"dialled {callee.extension}", f"ring {callee.name} for 60 s", "answered"]
        who = {"caller": caller.extension, "callee": callee.extension, "answered_by": ""}
        parked = str(7700 + index) if index < 200 else ""
        heard = {"from_caller": self._heard(), "from_callee": self._heard()}
        return plain | who | heard | {"steps": steps, "answered": begun + 4, "parked": parked}

    def _heard(self) -> dict[str, Any]:
        found = {name: self._dice.random() / 50 for name in ("loss", "jitter", "delay")}
        plain: dict[str, Any] = CALLS[0]["from_caller"]
        return plain | {"quality": plain["quality"] | found | {"mos": 3 + self._dice.random()}}

    def _record(self, index: int) -> CallRecord:
        caller, callee = self._dice.sample(self._users, 2)
        who = {"caller": caller.extension, "caller_name": caller.name, "callee": callee.extension}
        begun = NOW - index * 60
        times = {"started": begun, "answered": begun + 4, "ended": begun + 20 + index % 600}
        return plain_record(f"{self._dice.getrandbits(64):016x}", **who, **times)

    def _readiness(self, offset: int, limit: int) -> Any:
        some, end = self._users[offset : offset + limit], offset + limit
        rows = [self._judged(user, index) for index, user in enumerate(some)]
        return {"lines": rows, "next": end if end < USERS else None}

    def _judged(self, user: Any, index: int) -> dict[str, Any]:
        who = {"user": user.id, "name": user.name, "extension": user.extension}
        phone = {"device": f"phone-{user.id}", "model": AGENTS[index % 3], "mac": user.id}
        verdict = ("not_ready", "doubtful", "ready")[index % 3]
        reasons = [{"code": code, "text": text} for code, text in REASONS[: 2 - index % 3]]
        seen = {"seen_at": NOW - index, "address": self._address()}
        return {**who, **phone, **seen, "verdict": verdict, "reasons": reasons, "tier": "normal"}

    def _forwardings(self) -> Any:
        return [
            {
                "user": user.id,
                "name": user.name,
                "extension": user.extension,
                "in_force": {"no_answer": self._dice.choice(self._users).extension},
                "in_bundle": {},
                "set_on_phone": {"always": self._dice.choice(self._users).extension},
            }
            for user in self._users
        ]

    def _trunk(self) -> Any:
        plain = TRUNK["sbcs"][0]
        names = [f"pstn/sbc{number}.example.net:5061" for number in range(40)]
        sbcs = [plain | {"sbc": name, "address": self._address()} for name in names]
        why = "more than 10 international calls within an hour"
        stopped = [{"user": user.id, "until": NOW, "reason": why} for user in self._users[:500]]
        return {"sbcs": sbcs, "stopped": stopped}

    def _notices(self) -> Any:
        text = "{} sends what is no SIP; what came was ignored, as were {} more before it"
        numbers = range(1000)
        plain = {"severity": "warning", "topic": "sip.garbage"}
        return [plain | {"at": NOW, "text": text.format(self._address(), n)} for n in numbers]

    def _history(self, limit: int) -> Any:
        reason = "every zone is down: primary answered last {} s ago, secondary {} s ago"
        plain = {"before": "standby", "after": "survivability", "evidence": []}
        return [
            plain | {"at": NOW - number * 600, "reason": reason.format(number, number % 7)}
            for number in range(limit)
        ]

    def _evidence(self, limit: int) -> Any:
        return [EVIDENCE[0] | {"at": NOW - number * 600} for number in range(limit)]

    def _emergency(self) -> Any:
        plain = EMERGENCY["callbacks"][0]
        callbacks = [
            plain | {"name": user.name, "extension": user.extension, "address": self._address()}
            for user in self._users[:100]
        ]
        return EMERGENCY | {"callbacks": callbacks}


def large_bundle() -> Bundle:
    """Return a site with as much of everything as one can have, or as anybody would."""
    plain = make_sample(USERS, CONTACTS).bundle
    peers = [
        Peer(site=f"branch-{number}", code=str(6000 + number), host=f"holdfast.b{number}.example")
        for number in range(1000)
    ]
    sbcs = [Sbc(host=f"sbc{number}.example.net", priority=number + 1) for number in range(40)]
    users = [
        msgspec.structs.replace(user, numbers=(f"+177355{index:05d}",))
        for index, user in enumerate(plain.users)
    ]
    numbers = [
        TrunkNumber(
            number=f"+1414556{index:04d}",
            cloud_numbers=tuple(user.numbers[0] for user in users[index * 30 : index * 30 + 30]),
        )
        for index in range(300)
    ]
    return msgspec.structs.replace(
        plain,
        users=tuple(users),
        groups=(*plain.groups, *_departments(plain)),
        peers=tuple(peers),
        route_groups=(RouteGroup(id="pstn", sbcs=tuple(sbcs)),),
        trunk_numbers=tuple(numbers),
    )


def _departments(bundle: Bundle) -> Iterator[Group]:
    for number in range(480):
        members = tuple(user.id for user in bundle.users[number * 20 : number * 20 + 20])
        name, extension = f"Department {number}", str(50_000 + number)
        yield Group(id=f"department-{number}", name=name, extension=extension, members=members)


def _checks() -> Iterator[Check]:
    lines = [f"  hop {number}: 192.0.2.{number} marks 46 as {number}" for number in range(100)]

    async def run(around: Surroundings) -> Outcome:
        return fail("the mark is lost on the way", "Have the switch trust it.", *lines)

    return (Check(f"check-{n}", f"Check {n}", "Looks at something.", 5.0, run) for n in range(20))


async def furnish(house: House, bundle: Bundle) -> None:
    """Bring all of it into a house with a `LargeCore`."""
    house.examiner._checks = {check.name: check for check in _checks()}
    await house.sync.offer(msgspec.json.encode(bundle))
    moved = [_renamed(user, index) for index, user in enumerate(bundle.users)]
    second = msgspec.structs.replace(bundle, version=2, users=tuple(moved))
    await house.sync.offer(msgspec.json.encode(second))
    held = msgspec.structs.replace(second, version=3, contacts=())
    await house.sync.offer(msgspec.json.encode(held))
    house.directory.apply(bundle)
    await house.directory.settled()
    for number in range(100):
        at, before = f"192.0.2.{number}", {"role": "auditor", "number": number * 7919}
        await house.people.note(f"operator{number}", at, "account.role", f"zoe{number}", before)
        await house.people.add(f"operator{number}", "operator")
        await house.people.add_token(f"script {number}", ["read", "metrics"], 90, "zoe")
    house.examiner.start((), "zoe")
    await house.examiner.done()


def _renamed(user: Any, index: int) -> Any:
    """Return a user as the next version has it."""
    return msgspec.structs.replace(user, name=f"{user.name} the {index}th")
