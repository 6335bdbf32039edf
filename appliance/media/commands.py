"""What may be asked of the media process, and how its events are written.

| do | with | ok |
|---|---|---|
| media.put | relays | number of relays that live now |
| media.drop | keys | the same; a `relay_ended` for each key, known or not, comes before it |
| media.resync | relays | the same; all other relays end |
| media.marks | media, a DSCP value | number of relays whose packets carry it from now on |
| media.stats | | `Stats` |
| media.quality | keys, or none: all | a list of `call.record.LiveQuality`, of keys that are known |
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from appliance.call.actions import Relay
from appliance.call.events import (
    DigitPressed,
    MediaEvent,
    RecordingEnded,
    RelayEnded,
    RelayFailed,
    RelaySilent,
    SoundEnded,
)
from appliance.errors import LocalError
from appliance.ipc import Fault, Message


class Put(msgspec.Struct, frozen=True):
    """Open or change relays."""

    relays: list[Relay]


class Drop(msgspec.Struct, frozen=True):
    """End relays."""

    keys: list[str]


class Resync(msgspec.Struct, frozen=True):
    """Make exactly these relays exist."""

    relays: list[Relay]


class SetMarks(msgspec.Struct, frozen=True):
    """Mark packets with another DSCP value from now on, those of live relays too."""

    media: Annotated[int, Meta(ge=0, le=63)]


class AskStats(msgspec.Struct, frozen=True):
    """Return the counters."""


class AskQuality(msgspec.Struct, frozen=True):
    """Return how relays are heard now."""

    keys: list[str] | None = None
    """None: all."""


Command = Put | Drop | Resync | SetMarks | AskStats | AskQuality

COMMANDS: Final[dict[str, type[Command]]] = {
    "media.put": Put,
    "media.drop": Drop,
    "media.resync": Resync,
    "media.marks": SetMarks,
    "media.stats": AskStats,
    "media.quality": AskQuality,
}

QUESTIONS: Final = ("media.stats", "media.quality")
"""What changes nothing, and may come from anybody."""

EVENTS: Final[dict[str, type[MediaEvent]]] = {
    "relay_ended": RelayEnded,
    "relay_failed": RelayFailed,
    "relay_silent": RelaySilent,
    "sound_ended": SoundEnded,
    "digit_pressed": DigitPressed,
    "recording_ended": RecordingEnded,
}
_NAMES = {kind: name for name, kind in EVENTS.items()}


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the media process is doing; sums over its workers."""

    workers: int = 0
    relays: int = 0
    capacity: int = 0
    """Most relays at a time, by ports and descriptors."""
    descriptors: int = 0
    packets: int = 0
    """RTP packets of the relays that live now, and of those that ended."""
    octets: int = 0
    dropped: int = 0
    opened: int = 0
    failed: int = 0
    """Relays that could not be opened."""

    def plus(self, other: Stats) -> Stats:
        """Return the sums."""
        mine, theirs = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return Stats(**{name: mine[name] + theirs[name] for name in mine})


def read_command(message: Message) -> Command:
    """Return the command in a request; raises LocalError for what is none."""
    kind = COMMANDS.get(message.do)
    if kind is None:
        raise LocalError(f"{message.do[:64]!r} is no command of the media process")
    try:
        return msgspec.convert(message.arguments, kind)
    except msgspec.ValidationError as error:
        raise LocalError(f"{message.do}: {error}") from error


def event_message(event: MediaEvent) -> Message:
    """Return the message that pushes an event."""
    return Message(event=_NAMES[type(event)], data=event)


def read_event(message: Message) -> MediaEvent:
    """Return the event pushed; raises LocalError for what is none."""
    kind = EVENTS.get(message.event)
    if kind is None:
        raise LocalError(f"{message.event[:64]!r} is no event of the media process")
    try:
        return msgspec.convert(message.data, kind)
    except msgspec.ValidationError as error:
        raise LocalError(f"{message.event}: {error}") from error


def answer(message: Message, ok: Any) -> Message:
    """Return the answer to a request that was done."""
    return Message(id=message.id, ok=ok)


def refusal(message: Message, error: LocalError) -> Message:
    """Return the answer to a request that could not be done."""
    return Message(id=message.id, error=Fault("refused", str(error)))
