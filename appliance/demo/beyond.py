"""The acts of the demo that go beyond the site: the trunk, calls for help, and other sites."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, Protocol

from appliance.bundle.emergency import emergency_numbers
from appliance.cloud.reference.carrier import Carrier
from appliance.cloud.reference.phone import Phone
from appliance.demo.abroad import CARRIER_DIALLED, CARRIER_NUMBER, OtherSite
from appliance.demo.conversation import Conversation
from appliance.demo.fleet import Fleet
from appliance.demo.stage import START, Stage
from appliance.demo.steps import StepFailed
from appliance.demo.timeline import Timeline

KEY = "7"
MOVE = 40.0
"""Seconds for phones of other sites to register, and for sites to see each other."""

Work = Callable[[], Awaitable[str]]


class Play(Protocol):
    """The story, as its further acts see it."""

    fleet: Fleet | None
    calls: int


class Beyond:
    """Further acts of a story; `acts` are those that were asked for."""

    def __init__(self, stage: Stage, timeline: Timeline, play: Play) -> None:
        self._stage = stage
        self._tell = timeline
        self._play = play
        trunk: dict[str, Work] = {
            "A call out over the trunk": self._call_out,
            "A call in over the trunk": self._call_in,
            "A call for help, and the call back": self._call_for_help,
        }
        sites: dict[str, Work] = {
            "The sites find each other": self._find,
            "Calls between sites": self._call_sites,
        }
        self.acts = {
            **(trunk if stage.abroad.wanted.trunk else {}),
            **(sites if stage.abroad.sites else {}),
        }

    async def start(self) -> None:
        """Start what is beyond, and see that the site knows it well."""
        await self._stage.open_abroad()
        if self._stage.abroad.wanted.trunk:
            trunk = await self._stage.wait(
                lambda: self._stage.holdfast("trunk")["sbcs"],
                lambda sbcs: [sbc["state"] for sbc in sbcs] == ["up"],
                START,
                "the SBC to be up",
            )
            self._tell.good(f"SBC {trunk[0]['address']} answers over TLS, certificates both ways")
        if self._stage.abroad.sites:
            await self._see_sites("standby", "none")
            self._tell.good(f"{self._names()}: Holdfasts of their own, with the same cloud")

    # -- the trunk ----------------------------------------------------------------------------

    async def _call_out(self) -> str:
        phone, carrier = self._phone(0), self._carrier
        call = await self._converse(phone, carrier, CARRIER_DIALLED)
        site = self._stage.bundle.number_plan.site_number
        shown = _own_number(self._stage, phone) or site or ""
        self._check_shown(call, shown)
        told = f"{phone.settings.extension} dials {CARRIER_DIALLED}; the carrier sees {shown}"
        return await self._heard(call, told)

    async def _call_in(self) -> str:
        phone, number = self._with_number()
        call = await self._converse(self._carrier, phone, number)
        self._check_shown(call, CARRIER_NUMBER)
        extension = phone.settings.extension
        return await self._heard(call, f"the carrier calls {number}: {extension} rings")

    async def _call_for_help(self) -> str:
        phone, carrier = self._phone(0), self._carrier
        number = emergency_numbers(self._stage.bundle)[0]
        call = await self._converse(phone, carrier, number)
        shown = call.got.other
        places = {place.elin for place in self._stage.bundle.locations}
        if shown not in places:
            raise StepFailed(f"the number of a place, one of {sorted(map(str, places))}", shown)
        extension = phone.settings.extension
        await self._heard(call, f"{extension} dials {number}; the carrier sees {shown}, its place")
        back = await self._converse(carrier, phone, shown)
        told = f"{number} from {extension}, called back at {shown}: the same phone rings"
        return await self._heard(back, told)

    # -- other sites --------------------------------------------------------------------------

    async def _find(self) -> str:
        for site in self._stage.abroad.sites:
            await self._stage.wait(
                site.mode, lambda mode: mode == "survivability", MOVE, f"{site.name} to serve"
            )
            for phone in site.phones:
                phone.start()
        await self._see_sites("survivability", "direct")
        await self._stage.wait(
            self._homeless, lambda count: count == 0, MOVE, "phones of other sites to register"
        )
        told = f"{self._names()}: up, survivability, calls go directly; no server in between"
        self._tell.good(told)
        return told

    async def _call_sites(self) -> str:
        here, code = self._phone(1), self._stage.bundle.site.code
        own = f"{code}{here.settings.extension}"
        for site in self._stage.abroad.sites:
            there = site.phones[0]
            call = await self._converse(here, there, site.number(there), site.relay)
            self._check_shown(call, own)
            await call.check_key(KEY)
            text = f"{own} calls {site.number(there)}, key {KEY} arrives"
            await self._heard(call, text)
            back = await self._converse(there, here, own, site.relay)
            self._check_shown(back, site.number(there))
            await self._heard(back, f"{site.number(there)} calls {own}")
        await self._call_among_others()
        return f"to and from {self._names()}: callers shown, keys arrive, tones heard both ways"

    async def _call_among_others(self) -> None:
        """Have every other site call the next one, without ours."""
        sites = self._stage.abroad.sites
        for one, other in pairwise(sites):
            caller, callee = one.phones[1], other.phones[1]
            number, relays = other.number(callee), (one.relay, other.relay)
            call = await Conversation.begin(caller, callee, *relays, number=number)
            self._check_shown(call, one.number(caller))
            await self._heard(call, f"{one.number(caller)} calls {number}")

    def _homeless(self) -> int:
        sites = self._stage.abroad.sites
        return sum(phone.server is None for site in sites for phone in site.phones)

    async def _see_sites(self, mode: str, way: str) -> None:
        wanted = [("up", mode, way)] * len(self._stage.abroad.sites)

        def well(rows: list[dict[str, Any]]) -> bool:
            return [(row["state"], row["mode"], row["way"]) for row in rows] == wanted

        expected = f"every other site up, in {mode}"
        await self._stage.wait(lambda: self._stage.holdfast("peers"), well, MOVE, expected)

    # -- small print --------------------------------------------------------------------------

    async def _converse(
        self, caller: Phone, callee: Phone, number: str, *relays: tuple[int, int]
    ) -> Conversation:
        ours = self._stage.ports.relay
        call = await Conversation.begin(caller, callee, ours, *relays, number=number)
        self._play.calls += 1
        return call

    async def _heard(self, call: Conversation, told: str) -> str:
        """Listen, hang up, and return what came of it."""
        audio = await call.check_audio()
        self._tell.good(f"{told}; {audio}")
        await call.end(call.made)
        return f"{told}; tones heard both ways"

    @staticmethod
    def _check_shown(call: Conversation, expected: str) -> None:
        if call.got.other != expected:
            raise StepFailed(f"{expected} to be shown as the caller", call.got.other)

    @property
    def _carrier(self) -> Carrier:
        if self._stage.abroad.carrier is None:
            raise StepFailed("a carrier", "it was never started")
        return self._stage.abroad.carrier

    def _phone(self, index: int) -> Phone:
        if self._play.fleet is None:
            raise StepFailed("phones", "they were never switched on")
        return self._play.fleet.phones[index]

    def _with_number(self) -> tuple[Phone, str]:
        """Return the first phone whose user has a number of the trunk, and that number."""
        for index in range(1, len(self._stage.entries)):
            phone = self._phone(index)
            number = _own_number(self._stage, phone)
            if number:
                return phone, number
        raise StepFailed("a user with a number of the trunk", "none")

    def _names(self) -> str:
        return " and ".join(_named(site) for site in self._stage.abroad.sites)


def _named(site: OtherSite) -> str:
    return f"{site.name} (code {site.code})"


def _own_number(stage: Stage, phone: Phone) -> str:
    extension = phone.settings.extension
    users = [user for user in stage.bundle.users if user.extension == extension]
    return next((number for user in users for number in user.numbers), "")
