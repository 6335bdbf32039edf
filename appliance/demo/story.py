"""The story of one outage, step by step, each step checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from appliance.demo.beyond import Beyond
from appliance.demo.conversation import Conversation
from appliance.demo.fleet import Fleet
from appliance.demo.stage import Stage
from appliance.demo.steps import StepFailed, Steps
from appliance.demo.timeline import Timeline

DETECT = 40.0
"""Seconds for the outage to be noticed; 4 are usual at the demo's pace."""
MOVE = 60.0
"""Seconds for all phones to change their server."""
RECORDS = 40.0
"""Seconds for the call records to be uploaded."""
RETURN = 30.0
"""Seconds for the return beyond the stable window."""
WRONG = "not-the-password"

Work = Callable[[], Awaitable[str]]


class Story:
    """Play the outage on a stage; `play` returns when it is over or cannot go on."""

    def __init__(self, stage: Stage, timeline: Timeline, phones: int) -> None:
        self._stage = stage
        self._tell = timeline
        self._count = phones
        self.fleet: Fleet | None = None
        self._cut_at = 0.0
        self._back_at = 0.0
        self._first: Conversation | None = None
        self._long: Conversation | None = None
        self.calls = 0
        """Calls through this Holdfast; each leaves a record."""
        self._beyond = Beyond(stage, timeline, self)
        self._acts: dict[str, Work] = {
            "Start the cloud and Holdfast": self._start,
            "Phones register at the cloud": self._register,
            "Standby: Holdfast sends phones away": self._stand_by,
            "Both zones go down": self._cut,
            "Phones fail over by themselves": self._fail_over,
            "Extension call, audio both ways": self._call,
            "Hold and resume": self._hold,
            "Hang-up": self._hang_up,
            "Call over TLS with SRTP": self._call_encrypted,
            "Wrong password": self._guess,
            **self._beyond.acts,
            "A call that will outlast the outage": self._begin_long_call,
            "The zones are back": self._bring_back,
            "Stable window, then standby": self._return,
            "The long call goes on": self._end_long_call,
            "Phones go back to the cloud": self._go_back,
            "Call records reach the cloud": self._deliver,
        }
        self.steps = Steps(timeline, list(self._acts))

    async def play(self) -> None:
        """Do every step; after a failed one the rest would prove nothing."""
        for title, work in self._acts.items():
            if not await self.steps.run(title, work):
                for fallen in self._stage.fallen():
                    self._tell.bad(fallen)
                return

    async def close(self) -> None:
        """Switch the phones off."""
        if self.fleet is not None:
            await self.fleet.stop()

    async def go_down_again(self) -> None:
        """Begin another outage and bring the phones to Holdfast."""
        await self._cut()
        await self._fail_over()

    # -- before -----------------------------------------------------------------------------

    async def _start(self) -> str:
        await self._stage.open_cloud()
        self._tell.good("reference cloud: HTTPS API and two SIP zones answer")
        await self._stage.open_holdfast()
        status = await self._status(lambda status: status["mode"] == "standby", DETECT, "standby")
        await self._zones("up", DETECT)
        await self._beyond.start()
        version = status["bundle"]["version"]
        self._tell.good(f"Holdfast: core, media and admin run; bundle {version} pulled; standby")
        return f"standby, both zones up, bundle version {version}"

    async def _register(self) -> str:
        self.fleet = Fleet(self._stage, self._count)
        await self.fleet.start()
        await self.fleet.all_at("zone A", MOVE, self._bar("at zone A"))
        counted = await self._stage.wait(
            self._at_cloud, lambda count: count == self._count, MOVE, "the cloud to count them all"
        )
        told = f"{counted} phones at zone A, as the cloud counts; UDP, TCP and TLS mixed"
        self._tell.good(told)
        return told

    async def _stand_by(self) -> str:
        standing = await self._fleet.knock(0)
        if set(standing.refusals) != {503} or not standing.retry_after:
            raise StepFailed("503 with Retry-After", str(dict(standing.refusals)))
        told = f"REGISTER at Holdfast gets 503, Retry-After {standing.retry_after}"
        self._tell.good(told)
        return told

    # -- the outage -------------------------------------------------------------------------

    async def _cut(self) -> str:
        await self._stage.command_zones("down")
        self._cut_at = time.monotonic()
        self._tell.tell("zone A and zone B closed their sockets and cut every connection")
        await self._zones("down", DETECT)
        self._tell.good(f"Holdfast has lost both zones after {self._since_cut()}")
        status = await self._status(
            lambda status: status["mode"] == "survivability", DETECT, "survivability"
        )
        self._tell.good(f"mode survivability after {self._since_cut()}: {status['reason']}")
        return f"mode survivability {self._since_cut()} after the cut"

    async def _fail_over(self) -> str:
        await self._fleet.all_at("Holdfast", MOVE, self._bar("at Holdfast"))
        status = await self._status(
            lambda status: status["phones"]["registered"] == self._count,
            DETECT,
            f"{self._count} phones as Holdfast counts",
        )
        registered = status["phones"]["registered"]
        told = f"{registered} phones at Holdfast {self._since_cut()} after the cut"
        self._tell.good(told)
        return told

    async def _call(self) -> str:
        self._first, audio = await self._converse(0, 1)
        return audio

    async def _hold(self) -> str:
        call = self._need(self._first)
        await call.got.hold()
        await call.check_held(call.got)
        name = call.callee.settings.extension
        self._tell.good(f"{name} holds (re-INVITE, sendonly): it hears nothing, the other music")
        await call.got.resume()
        audio = await call.check_audio()
        self._tell.good(f"{name} resumes: {audio}")
        return "music while held, both tones again afterwards"

    async def _hang_up(self) -> str:
        call = self._need(self._first)
        passed = await call.end(call.got)
        told = f"the called phone hangs up, the caller is told; {passed}"
        self._tell.good(told)
        return told

    async def _call_encrypted(self) -> str:
        call, _ = await self._converse(2, 5)
        sides = [call.made.remote, call.got.remote]
        keys = {side.key for side in sides if side is not None and side.key is not None}
        if len(keys) != 2:
            raise StepFailed("an SDES key of each phone to reach the other", f"{len(keys)} keys")
        bad = call.made.audio.unreadable + call.got.audio.unreadable
        if bad:
            raise StepFailed("every SRTP packet to pass its check", f"{bad} did not")
        await call.end(call.made)
        self._tell.good(f"the caller hangs up; {call.counted()}, all authentic")
        return "SDES keys passed through, tones heard, every packet authentic"

    async def _guess(self) -> str:
        extension = self._stage.entries[0].extension
        before = await asyncio.to_thread(self._contacts, extension)
        standing = await self._fleet.knock(0, WRONG)
        if not set(standing.refusals) <= {401, 403}:
            raise StepFailed("401 or 403", str(dict(standing.refusals)))
        after = await asyncio.to_thread(self._contacts, extension)
        if not before or before != after:
            raise StepFailed(f"the good binding {before} to stay", str(after))
        status = next(iter(standing.refusals))
        told = f"refused with {status}; the good phone of {extension} stays registered"
        self._tell.good(told)
        return told

    # -- the return -------------------------------------------------------------------------

    async def _begin_long_call(self) -> str:
        self._long, audio = await self._converse(3, 4)
        return audio

    async def _bring_back(self) -> str:
        await self._stage.command_zones("up")
        self._back_at = time.monotonic()
        self._tell.tell("zone A and zone B listen again")
        status = await self._status(
            lambda status: status["mode"] == "recovering", DETECT, "recovering"
        )
        told = f"mode recovering after {self._since_back()}: {status['reason']}"
        self._tell.good(told)
        return told

    async def _return(self) -> str:
        window = self._stage.pace.window
        self._tell.tell(f"the zones must be stable for {window:g} s (shortened; usually 300 s)")
        await self._status(
            lambda status: status["mode"] == "standby", window + RETURN, "standby again"
        )
        took = time.monotonic() - self._back_at
        if took < window:
            raise StepFailed(f"no return before {window:g} s", f"{took:.1f} s")
        told = f"mode standby {self._since_back()} after the zones came back"
        self._tell.good(told)
        await self._show_history()
        return told

    async def _show_history(self) -> None:
        """Show what the admin finds afterwards."""
        changes = await asyncio.to_thread(self._stage.holdfast, "mode/history")
        changes.sort(key=lambda change: change["at"])
        seen = [change["after"] for change in changes]
        if seen[-3:] != ["survivability", "recovering", "standby"]:
            raise StepFailed("the history to show the outage once", " → ".join(seen))
        for change in changes[-3:]:
            self._tell.tell(f"kept in the history: {change['after']}, {change['reason']}")

    async def _end_long_call(self) -> str:
        call = self._need(self._long)
        audio = await call.check_audio()
        self._tell.good(f"in standby the call still lives: {audio}")
        passed = await call.end(call.made)
        self._tell.good(f"the caller hangs up; {passed}")
        return "not dropped by the return; ended by the caller"

    async def _go_back(self) -> str:
        await self._fleet.all_at("zone A", MOVE, self._bar("back at zone A"))
        await self._stage.wait(
            self._at_cloud, lambda count: count == self._count, MOVE, "the cloud to count them all"
        )
        told = f"{self._count} phones at zone A again {self._since_back()} after the zones"
        self._tell.good(told)
        return told

    async def _deliver(self) -> str:
        ours = await self._records(
            lambda records: len(records) == self.calls, f"{self.calls} records at Holdfast"
        )
        theirs = await self._stage.wait(
            self._stage.cloud_records,
            lambda records: len(records) >= len(ours),
            RECORDS,
            f"{len(ours)} records at the cloud",
            lambda records: f"{len(records)} records",
        )
        _check_delivery(ours, theirs)
        await self._records(
            lambda records: all(record.get("uploaded") for record in records),
            "Holdfast to know that the cloud has them all",
        )
        told = f"{len(theirs)} records, each exactly once as the cloud counts, all acknowledged"
        self._tell.good(told)
        return told

    # -- small print ------------------------------------------------------------------------

    @property
    def _fleet(self) -> Fleet:
        if self.fleet is None:
            raise StepFailed("phones", "they were never switched on")
        return self.fleet

    @staticmethod
    def _need(call: Conversation | None) -> Conversation:
        if call is None:
            raise StepFailed("a call to be up", "there is none")
        return call

    async def _converse(self, caller: int, callee: int) -> tuple[Conversation, str]:
        """Let one phone call another and listen; return the call and what was heard."""
        one, two = self._fleet.phones[caller], self._fleet.phones[callee]
        began = time.monotonic()
        call = await Conversation.begin(one, two, self._stage.ports.relay)
        self.calls += 1
        took = time.monotonic() - began
        ways = [str(phone.settings.servers[0].transport) for phone in (one, two)]
        names = f"{one.settings.extension} ({ways[0]}) calls {two.settings.extension} ({ways[1]})"
        self._tell.good(f"{names}: answered after {took:.1f} s")
        audio = await call.check_audio()
        self._tell.good(audio)
        return call, audio

    async def _status(
        self, good: Callable[[dict[str, Any]], bool], limit: float, expected: str
    ) -> dict[str, Any]:
        return await self._stage.wait(
            lambda: self._stage.holdfast("status"),
            good,
            limit,
            expected,
            lambda status: f"mode {status['mode']}, {status['reason']}, {status['phones']}",
        )

    async def _records(
        self, good: Callable[[list[dict[str, Any]]], bool], expected: str
    ) -> list[dict[str, Any]]:
        return await self._stage.wait(
            lambda: self._stage.holdfast("records?limit=1000"),
            good,
            RECORDS,
            expected,
            lambda records: f"{len(records)} records",
        )

    async def _zones(self, state: str, limit: float) -> None:
        await self._stage.wait(
            lambda: self._stage.holdfast("zones"),
            lambda zones: all(zone["state"] == state for zone in zones) and bool(zones),
            limit,
            f"both zones {state}",
            lambda zones: ", ".join(f"{zone['id']} {zone['state']}" for zone in zones),
        )

    def _at_cloud(self) -> int:
        zones: list[dict[str, Any]] = self._stage.cloud_status()["zones"]
        return int(zones[0]["registered"])

    def _contacts(self, extension: str) -> list[str]:
        phones = self._stage.holdfast("phones")
        return [
            phone["contact"]
            for phone in phones
            if phone["extension"] == extension and phone["registered"]
        ]

    def _bar(self, label: str) -> Callable[[int, int], None]:
        return lambda done, total: self._tell.progress(label, done, total)

    def _since_cut(self) -> str:
        return f"{time.monotonic() - self._cut_at:.1f} s"

    def _since_back(self) -> str:
        return f"{time.monotonic() - self._back_at:.1f} s"


def _check_delivery(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """See that the cloud has each record once, and that it is marked as the outage's."""
    if {record["id"] for record in ours} != {entry["id"] for entry in theirs}:
        raise StepFailed("the cloud to have the same records", f"{len(ours)} and {len(theirs)}")
    again = [entry["id"] for entry in theirs if entry["arrivals"] != 1]
    if again:
        raise StepFailed("each record to arrive once", f"{again} came more often")
    marks = {entry["record"].get("mode") for entry in theirs}
    if marks != {"survivability"}:
        raise StepFailed("every record marked survivability", str(sorted(map(str, marks))))
