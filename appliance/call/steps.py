"""What a destination asks of a call: it yields steps and is resumed with their outcome.

A plan is a generator, `Plan`, and so reads from top to bottom; it has no clock and awaits nothing.
The call performs every step but `Goto`, which `call.path.follow` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Literal

import msgspec

from appliance.bundle import SrtpPolicy
from appliance.call.emergency import HelpRecord
from appliance.call.line import Line
from appliance.sip.flow import Flow
from appliance.sip.multipart import Part


class Shown(msgspec.Struct, frozen=True):
    """What an INVITE that leaves the site shows, instead of what a phone here is shown."""

    caller: str
    """From without tag."""
    callee: str
    """To."""
    headers: tuple[tuple[str, str], ...] = ()
    """What else it carries, e.g. P-Asserted-Identity."""
    hops: int = 70
    """Max-Forwards at most."""
    parts: tuple[Part, ...] = ()
    """What its body carries beside the description."""


class Target(msgspec.Struct, frozen=True):
    """One phone to ring."""

    uri: str
    """Request-URI: the contact the phone registered."""
    flow: Flow
    """The flow it registered on; requests go back on it (RFC 5626)."""
    extension: str
    """Whose phone it is, for the record."""
    srtp: SrtpPolicy | None = None
    """Whether this leg has to be SRTP, may be, or must not; None: as the site's policy has it."""
    line: Line | None = None
    """The way out of the site, for what is no phone here."""
    shown: Shown | None = None
    """None: the caller and the callee as the site knows them."""


class Diverted(msgspec.Struct, frozen=True):
    """One forwarding on the way of a call: who was to be reached, and why it went on (C10)."""

    extension: str
    """Of the user whose calls are forwarded; pays for what follows, by class of service."""
    reason: Literal["always", "busy", "no_answer", "unreachable", "do_not_disturb", "deflected"]


class Ring(msgspec.Struct, frozen=True):
    """Ring all targets at once; the first answer wins."""

    targets: tuple[Target, ...]
    timeout: float
    """Seconds until nobody has answered."""
    hears: str = ""
    """Name of a sound that the caller hears meanwhile, again and again; empty: ring-back."""
    each: bool = False
    """Let a phone that declines (6xx) speak for itself only: the others ring on."""
    diverted: tuple[Diverted, ...] = ()
    """Every forwarding before, the first one first; `path.follow` writes it."""
    patience: float = 0.0
    """Seconds in which somebody has to say anything, be it 100; 0: as long as SIP waits."""
    progress: float = 0.0
    """Seconds in which somebody has to say more than 100; 0: no such limit."""


class Play(msgspec.Struct, frozen=True):
    """Let the caller hear sounds, one after another to their ends; the outcome is `played`.

    A caller whose call is not answered yet hears them as early media. The outcome is `failed` when
    nothing could be played; plans go on all the same.
    """

    sounds: tuple[str, ...]
    """Names as in `actions.Sound`."""
    answer: bool = False
    """Answer the call first, so that every phone and every carrier lets the caller hear it."""


class Collect(msgspec.Struct, frozen=True):
    """Answer the call, play sounds, and collect the keys that the caller presses.

    The outcome is `keys` with `Outcome.keys`, or `no_key` when none was pressed in time.
    """

    sounds: tuple[str, ...]
    """Played one after another; the first key ends them (barge-in)."""
    wait: Callable[[str], float]
    """Return how many seconds to wait for another key after these; 0: they are enough.

    Asked with `` when the sounds have ended, and after each key.
    """
    barge_in: bool = True
    """Whether keys count, and end the sounds, before the sounds have ended."""


class Park(msgspec.Struct, frozen=True):
    """Let somebody who is handed on wait until another comes; the outcome is `waited`: none has.

    With it the handing on has succeeded: whoever did it may hang up.
    """

    place: str
    """Where others find whoever waits, from now until the plan ends."""
    hears: str
    """Name of a sound, as in `Ring.hears`."""
    timeout: float
    """Seconds."""
    left: int = 0
    """How often the plan looks for somebody after that; with it another process can go on."""


class Goto(msgspec.Struct, frozen=True):
    """Go on with the plan of another destination."""

    dialled: str
    """What somebody would dial for it: an extension, an alias, a number."""
    chosen: bool = False
    """The caller chose to go there, so that coming by again is no loop."""
    back: bool = False
    """Resume this plan with the outcome where nobody there takes the call."""
    diverted: Diverted | None = None
    """A user forwards the call; where that user has done so before, the outcome is `loop`."""


class Note(msgspec.Struct, frozen=True):
    """Write one line into the call's path; takes no time, the outcome is `noted`."""

    text: str
    status: int = 0
    """Provisional response that tells the caller as much, while it waits; 0: none."""
    emergency: HelpRecord | None = None
    """What the record keeps of a call for help."""


class Reject(msgspec.Struct, frozen=True):
    """Give the caller a final answer, or hang up where the call is answered; the plan ends."""

    status: int
    reason: str = ""
    """One sentence for the record."""
    word: str = ""
    """What came of the plan, as in `Outcome.word`; empty: what the status says."""
    says: str = ""
    """Name of a sound that the caller is to hear before."""


Step = Ring | Play | Collect | Park | Goto | Note | Reject


class Outcome(msgspec.Struct, frozen=True):
    """How a step ended."""

    word: str
    """`busy`, `no_answer`, `rejected`, `unavailable`, `failed`, `played`, `keys`, `waited` ..."""
    status: int = 0
    """The best SIP status seen, 300 to 699; 0: none was asked for."""
    at: float = 0.0
    """When, in monotonic seconds."""
    keys: str = ""
    """What the caller pressed, for `Collect`."""
    rang: bool = False
    """Whether whoever was rung last had begun to ring."""
    moved_to: str = ""
    """What a phone that was rung wants to be dialled in its place (3xx); empty: nothing."""
    retry_after: int = 0
    """Seconds for which whoever was rung last does not want to be asked again."""


Plan = Generator[Step, Outcome, None]
"""`answered` never comes back: an answered call has left its plan."""
