"""Two of the demo's phones in a call, and the proof that they hear each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.cloud.reference.phone import Phone
from appliance.cloud.reference.phone_call import PhoneCall
from appliance.demo.steps import StepFailed

ANSWER = 20.0
"""Seconds to wait for ringing, answer or hang-up on a busy machine; usually a tenth of one."""
HEARD = 10.0
"""Seconds to wait for a tone; 200 ms of it are enough."""
LOOKS, PAUSE = 4, 0.25
"""How often audio is looked at in one check, and the seconds between."""
POLL = 0.05


class Conversation:
    """One call between two phones; `begin` makes it."""

    def __init__(
        self,
        caller: Phone,
        callee: Phone,
        made: PhoneCall,
        got: PhoneCall,
        relays: tuple[tuple[int, int], ...],
    ) -> None:
        self._relays = relays
        self.caller = caller
        self.callee = callee
        self.made = made
        """The call as the caller has it."""
        self.got = got
        """The call as the called phone has it."""

    @classmethod
    async def begin(
        cls, caller: Phone, callee: Phone, *relays: tuple[int, int], number: str = ""
    ) -> Conversation:
        """Call, let it ring and be answered; HoldfastError when that does not come about.

        `relays` are the first and last port of each Holdfast's audio. `number` is what is dialled;
        without it the extension.
        """
        number = number or callee.settings.extension
        made = await caller.call(number)
        state = await made.until("talking", "ended", timeout=ANSWER)
        if state == "ended":
            raise StepFailed(f"{number} to answer", made.told())
        got = await callee.rings(ANSWER)
        await got.until("talking", timeout=ANSWER)
        return cls(caller, callee, made, got, relays)

    async def check_audio(self) -> str:
        """Listen for a while; each must hear the other's tone and not its own. Say how."""
        for _ in range(LOOKS):
            await self._wait(self._both_hear, HEARD, "each phone to hear the other's tone")
            await asyncio.sleep(PAUSE)
        self._check_relayed()
        return (
            f"{self._name(self.caller)} hears {self.callee.settings.tone} Hz,"
            f" {self._name(self.callee)} hears {self.caller.settings.tone} Hz"
            f" (Goertzel filter on received RTP, {LOOKS} times 200 ms)"
        )

    async def check_key(self, key: str) -> None:
        """Have the caller press a key; the called phone must get it (RFC 4733)."""
        before = self.got.audio.keys
        self.made.audio.press(key)
        there = self.got.audio
        await self._wait(
            lambda: there.keys == before + key, HEARD, f"key {key} at the called phone"
        )

    async def check_held(self, holder: PhoneCall) -> None:
        """Wait until the holder receives nothing, and the other music in place of its tone."""
        here = holder.audio
        there = (self.got if holder is self.made else self.made).audio

        def held() -> bool:
            music = there.hears_sound() and not there.hears(here.frequency)
            return here.is_silent() and music

        await self._wait(held, HEARD, "silence at the holder and music at the other")

    async def end(self, by: PhoneCall) -> str:
        """Let one side hang up and see that the other notices; return what passed."""
        other = self.got if by is self.made else self.made
        await by.hang_up()
        await other.until("ended", timeout=ANSWER)
        if other.ended_by != "them":
            raise StepFailed("the other side to end by BYE", f"it ended itself: {other.status}")
        return self.counted()

    def counted(self) -> str:
        """Say how many packets passed."""
        one, two = self.made.audio, self.got.audio
        sent, received = one.sent + two.sent, one.received + two.received
        return f"{sent} RTP packets sent, {received} received, {one.missing + two.missing} missing"

    def _both_hear(self) -> bool:
        one, two = self.made.audio, self.got.audio
        return (
            one.hears(two.frequency)
            and two.hears(one.frequency)
            and not one.hears(one.frequency)
            and not two.hears(two.frequency)
        )

    def _check_relayed(self) -> None:
        """See that the audio goes through Holdfast, not from phone to phone."""
        for call in (self.made, self.got):
            port = call.remote.port if call.remote else 0
            if not any(first <= port <= last for first, last in self._relays):
                ranges = " or ".join(f"{first}-{last}" for first, last in self._relays)
                raise StepFailed(f"audio relayed by a port of {ranges}", str(port))

    async def _wait(self, claim: Callable[[], bool], limit: float, expected: str) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + limit
        while not claim():
            if loop.time() > ends:
                states = f"caller: {self.made.told()}, called: {self.got.told()}"
                raise StepFailed(f"{expected} within {limit:g} s", f"{states}; {self.counted()}")
            await asyncio.sleep(POLL)

    @staticmethod
    def _name(phone: Phone) -> str:
        return phone.settings.extension
