"""The site's safety team: told of every call for help at once, by text and by a call (E8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from appliance.bundle import Bundle, Location, User
from appliance.bundle.spoken import location_sound, user_sound
from appliance.call.actions import Action, Notice
from appliance.call.announcement import Announcement, Message
from appliance.call.emergency import HelpCaller
from appliance.call.steps import Target
from appliance.call.wording import quoted

ALERT, EXTENSION, LISTEN = "emergency-alert", "extension", "emergency-alert-listen"
"""Prompts that ship: an emergency call was made; press 1 or 2."""
CONFIRMED = "emergency-confirmed"
"""Prompt that ships: thank you."""
UNKNOWN = "emergency-alert-unknown"
"""Prompt that ships: in place of the extension, where nobody knows it."""
CALLS_LIMIT = 32
"""Alert calls at a time, 64 ports: texts go out all the same."""
TEXT_LIMIT = 900
"""Characters of a text: it has to fit into one datagram (RFC 3428, section 8)."""


class Phones(Protocol):
    """Knows the phones of users; `pbx.presence.Presence` fulfils it."""

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the phones of a user that can be rung, the preferred first."""
        ...


class Speaker(Protocol):
    """Calls and texts phones in our own name; `pbx.own_calls.OwnCalls` fulfils it."""

    def announce(
        self,
        target: Target,
        message: Message,
        over: Callable[[Announcement, str, float], None],
        now: float,
    ) -> None:
        """Ring a phone and tell it something."""
        ...

    def text(self, target: Target, sender: str, text: str, now: float) -> None:
        """Send a text to a phone (RFC 3428)."""
        ...


class Incident(NamedTuple):
    """One call for help, as those are told of it who shall come."""

    caller: HelpCaller
    number: str
    location: Location | None
    shown: str
    """Number that was shown; empty: none."""

    @property
    def where(self) -> str:
        """Return the place in one line."""
        if self.location is None:
            return f"location unknown (address {self.caller.flow.remote[0]})"
        address = " ".join(self.location.address.split())
        return f"{self.location.name}, {address}" if address else self.location.name


class SafetyTeam:
    """The team of one bundle."""

    def __init__(
        self, bundle: Bundle, phones: Phones, speaker: Speaker, emit: Callable[[Action], None]
    ) -> None:
        users = {user.id: user for user in bundle.users}
        self._members = tuple(users[id] for id in bundle.emergency.safety_team if id in users)
        self._domain = bundle.site.domain
        self._phones = phones
        self._speaker = speaker
        self._emit = emit
        self._ringing = 0

    @property
    def members(self) -> tuple[User, ...]:
        """Return who is told."""
        return self._members

    def targets(self, caller: HelpCaller) -> tuple[Target, ...]:
        """Return the phones that are told; not the one that calls for help."""
        return tuple(
            phone
            for member in self._members
            for phone in self._phones.phones(member)
            if phone.flow != caller.flow or phone.flow.reliable != caller.flow.reliable
        )

    def alert(self, incident: Incident, now: float) -> str:
        """Tell everybody; return in one sentence who was told."""
        text = f"{incident.caller.shown} called {incident.number} from {incident.where}"
        self._emit(Notice("alarm", "emergency.call", text, incident.caller.call_id))
        return self._tell(incident, f"EMERGENCY CALL: {text}", now, ring=True)

    def follow_up(self, incident: Incident, news: str, now: float) -> None:
        """Tell everybody what became of it, by text."""
        text = f"EMERGENCY CALL by {incident.caller.shown}, {incident.where}: {news}"
        self._emit(Notice("alarm", "emergency.news", text, incident.caller.call_id))
        self._tell(incident, text, now, ring=False)

    def _tell(self, incident: Incident, text: str, now: float, ring: bool) -> str:
        targets = self.targets(incident.caller)
        sender = f"{quoted('Emergency')} <sip:{incident.number}@{self._domain}>"
        for target in targets:
            self._speaker.text(target, sender, text[:TEXT_LIMIT], now)
        if ring:
            for target in targets:
                self._ring(target, incident, now)
        if not self._members:
            return "the site has no safety team to alert"
        told = ", ".join(dict.fromkeys(target.extension for target in targets))
        return f"the safety team is alerted: {told or 'nobody of it has a phone here now'}"

    def _ring(self, target: Target, incident: Incident, now: float) -> None:
        if self._ringing >= CALLS_LIMIT:
            return
        caller = incident.caller
        name = caller.user.name if caller.user is not None else "unknown phone"
        address = caller.extension or incident.number
        message = Message(
            caller=f"{quoted('Emergency: ' + name)} <sip:{address}@{self._domain}>",
            callee=f"<sip:{target.extension}@{self._domain}>",
            sounds=sounds_of(incident),
            thanks=CONFIRMED,
        )
        self._ringing += 1
        self._speaker.announce(target, message, self._told, now)

    def _told(self, announcement: Announcement, word: str, now: float) -> None:
        self._ringing -= 1
        severity = "info" if word in ("confirmed", "heard") else "warning"
        text = f"the alert call to {announcement.extension}: {word.replace('_', ' ')}"
        self._emit(Notice(severity, "emergency.alerted", text))


def sounds_of(incident: Incident) -> tuple[str, ...]:
    """Return what an alert call plays: who, where, and what to press."""
    caller, location = incident.caller, incident.location
    digits = tuple(f"digit-{key}" for key in caller.extension if key.isdigit())
    who: tuple[str, ...] = (ALERT, *digits) if digits else (UNKNOWN,)
    if caller.user is not None:
        who += (user_sound(caller.user.id),)
    where = (location_sound(location.id),) if location is not None else ()
    return (*who, *where, LISTEN)
