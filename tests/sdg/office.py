"""Phones and groups around one real core: calls to groups as phones see them."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.bundle import Bundle, Group, Hours, Prompt
from appliance.call.actions import Sound
from appliance.call.events import DigitPressed, SoundEnded
from appliance.sip.message import Request, Response
from tests.phones import Bench, Phone, sdp, site_bundle, user

PROMPTS = tuple(Prompt(id=name, text=name) for name in ("welcome", "night", "hello"))


def group(extension: str = "7000", **more: Any) -> Group:
    """Make a group whose members are given by their extensions."""
    members = more.pop("members", "")
    ids = tuple(f"u{member}" for member in members.split())
    return Group(id=f"g{extension}", name=f"G{extension}", extension=extension, members=ids, **more)


def with_groups(*groups: Group, hours: tuple[Hours, ...] = (), count: int = 5) -> Bundle:
    """Return the bench's site with groups and this many users, from 1001 on."""
    users = tuple(user(str(1001 + index)) for index in range(count))
    return msgspec.structs.replace(
        site_bundle(), users=users, groups=groups, hours=hours, prompts=PROMPTS
    )


class Office:
    """A site in an outage whose phones 1001 to 1005 are registered, or those that are named."""

    def __init__(self, *groups: Group, phones: str = "1001 1002 1003 1004 1005", **more: Any):
        names = dict(more.pop("called", {}))
        bundle = with_groups(*groups, **more)
        users = tuple(
            msgspec.structs.replace(one, name=names.get(one.extension, one.name))
            for one in bundle.users
        )
        self.bench = Bench.in_outage(msgspec.structs.replace(bundle, users=users))
        there = phones.split()
        self.phones = dict(zip(there, self.bench.registered(*there), strict=True))
        self.invite: Request | None = None

    @property
    def caller(self) -> Phone:
        return self.phones["1001"]

    def call(self, number: str = "7000", caller: str = "1001") -> list[int]:
        """Have a phone call; return the statuses it got, without 100."""
        phone = self.phones[caller]
        self.invite = phone.invite(number)
        answers = [m for m in phone.take() if isinstance(m, Response) and m.status > 100]
        if answers and answers[-1].status == 200:
            self.acknowledge(answers[-1])
        return [answer.status for answer in answers]

    def refresh(self) -> None:
        """Forget what phones got, and have them register again."""
        for phone in self.phones.values():
            phone.take()
            phone.register()

    def give_up(self) -> None:
        """Have the caller cancel its call, and some time pass."""
        assert self.invite is not None
        self.caller.send(self.caller.cancel(self.invite))
        self.rung()
        self.bench.advance(40)
        self.refresh()

    def end_calls(self) -> None:
        """End every call that is up."""
        for call in tuple(self.bench.core.switchboard.calls.values()):
            call.end("system", "enough", self.bench.now)

    def acknowledge(self, answer: Response) -> None:
        assert self.invite is not None
        ack = self.caller.within(self.invite, answer, "ACK", cseq=self.invite.cseq.number)
        self.caller.send(ack)

    def rung(self) -> dict[str, Request]:
        """Return the INVITEs that came since the last time, by extension; all begin to ring."""
        found = {}
        for extension, phone in self.phones.items():
            kept = []
            for message in phone.take():
                if isinstance(message, Request) and message.method == "INVITE":
                    assert extension not in found, "rung twice at once"
                    found[extension] = message
                    phone.answer(message, 180, tag=f"t{extension}")
                elif isinstance(message, Request) and message.method == "CANCEL":
                    self._cancelled(phone, extension, message)
                else:
                    kept.append(message)
            phone.inbox = [*kept, *phone.inbox]
        return found

    def _cancelled(self, phone: Phone, extension: str, cancel: Request) -> None:
        phone.answer(cancel, 200, tag=f"t{extension}")
        via = cancel.first("Via")
        invite = Request("INVITE", cancel.uri, list(cancel.headers))
        invite.set("CSeq", f"{cancel.cseq.number} INVITE")
        invite.set("Via", via or "")
        phone.answer(invite, 487, tag=f"t{extension}")

    def pick_up(self, extension: str, invite: Request) -> None:
        """Have a phone answer and its caller acknowledge."""
        phone = self.phones[extension]
        phone.answer(invite, 200, tag=f"t{extension}", body=sdp(phone.host))
        answers = [m for m in self.caller.take() if isinstance(m, Response)]
        if answers and answers[-1].status == 200:
            self.acknowledge(answers[-1])

    def talk(self, one: str, other: str) -> None:
        """Put two phones into a call with each other."""
        invite = self.phones[one].invite(other)
        (incoming,) = self.phones[other].requests()
        self.phones[other].answer(incoming, 200, tag="talk", body=sdp(self.phones[other].host))
        answer = self.phones[one].take()[-1]
        assert isinstance(answer, Response)
        ack = self.phones[one].within(invite, answer, "ACK", cseq=invite.cseq.number)
        self.phones[one].send(ack)
        self.phones[other].take()

    def wait(self, seconds: float) -> dict[str, Request]:
        """Let time pass, and return who is rung then."""
        self.bench.advance(seconds)
        return self.rung()

    # -- sounds -------------------------------------------------------------------------------

    @property
    def hears(self) -> Sound | None:
        (relay,) = self.bench.relays.values()
        return relay.a.hears

    def heard(self) -> str:
        """Let the sound that the caller hears come to its end; return its name."""
        (relay,) = self.bench.relays.values()
        sound = relay.a.hears
        assert sound is not None
        event = SoundEnded(relay.key, "a", sound.serial)
        self.bench.perform(self.bench.core.media_event(event, self.bench.now))
        return sound.name

    def press(self, keys: str) -> None:
        for key in keys:
            (relay,) = self.bench.relays.values()
            event = DigitPressed(relay.key, "a", key)
            self.bench.perform(self.bench.core.media_event(event, self.bench.now))

    @property
    def steps(self) -> tuple[str, ...]:
        """The path of the only call there is or was."""
        if self.bench.core.switchboard.calls:
            return self.bench.record_of_the_only_call().steps
        return self.bench.record.steps
