"""The site's safety team: told of every call for help at once, by text and by a call (E8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from appliance.bundle import Bundle, Location, User
from appliance.bundle.spoken import location_sound, user_sound
from appliance.call.actions import Action, Notice
from appliance.call.announcement import Announcement, Message
from appliance.call.emergency import HelpCaller
from appliance.call.steps import Target
from appliance.call.wording import quoted
from sbc_bridge.emergency.alerts import Alert, Alerts

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
        self,
        bundle: Bundle,
        phones: Phones,
        speaker: Speaker,
        alerts: Alerts,
        emit: Callable[[Action], None],
    ) -> None:
        """`alerts` learns who has been reached."""
        self._users = {user.extension: user for user in bundle.users}
        self._locations = {location.id: location for location in bundle.locations}
        users = {user.id: user for user in bundle.users}
        self._members = tuple(users[id] for id in bundle.emergency.safety_team if id in users)
        self._domain = bundle.site.domain
        self._phones = phones
        self._speaker = speaker
        self._alerts = alerts
        self._emit = emit
        self._ringing: Counter[tuple[str, str]] = Counter()
        """Phones that are being called, by alert and member."""

    @property
    def members(self) -> tuple[User, ...]:
        """Return who is told."""
        return self._members

    def due(self, caller: HelpCaller) -> tuple[str, ...]:
        """Return who has to be called: every member but the caller."""
        return tuple(user.extension for user in self._members if user != caller.user)

    def targets(self, caller: HelpCaller) -> tuple[Target, ...]:
        """Return the phones that are told; not the one that calls for help."""
        return tuple(phone for member in self._members for phone in self._phones_of(member, caller))

    def _phones_of(self, member: User, caller: HelpCaller) -> list[Target]:
        return [
            phone
            for phone in self._phones.phones(member)
            if phone.flow != caller.flow or phone.flow.reliable != caller.flow.reliable
        ]

    def alert(self, incident: Incident, key: str, now: float) -> str:
        """Tell everybody; return in one sentence who was told. `key` is the alert's."""
        text = f"{incident.caller.shown} called {incident.number} from {incident.where}"
        self._emit(Notice("alarm", "emergency.call", text, incident.caller.call_id))
        targets = self.targets(incident.caller)
        self._text(targets, incident, f"EMERGENCY CALL: {text}", now)
        for target in targets:
            self._ring(target, incident, key, now)
        if not self._members:
            return "the site has no safety team to alert"
        told = ", ".join(dict.fromkeys(target.extension for target in targets))
        return f"the safety team is alerted: {told or 'nobody of it has a phone here now'}"

    def remind(self, alert: Alert, extension: str, now: float) -> bool:
        """Tell one member of a call for help who has not been told; False: it has no phone now."""
        member = self._users.get(extension)
        if member is None or member not in self._members or self._is_busy:
            return False
        incident = self._incident(alert)
        targets = self._phones_of(member, incident.caller)
        text = f"EMERGENCY CALL: {alert.caller} called {alert.number} from {alert.where}"
        self._text(targets, incident, text, now)
        for target in targets:
            self._ring(target, incident, alert.key, now)
        return bool(targets)

    def _incident(self, alert: Alert) -> Incident:
        caller = HelpCaller(
            call_id=alert.call,
            user=self._users.get(alert.extension),
            proved=alert.proved,
            flow=alert.flow,
            contact="",
        )
        location = self._locations.get(alert.location)
        return Incident(caller, alert.number, location, alert.shown)

    def follow_up(self, incident: Incident, news: str, now: float) -> None:
        """Tell everybody what became of it, by text."""
        text = f"EMERGENCY CALL by {incident.caller.shown}, {incident.where}: {news}"
        self._emit(Notice("alarm", "emergency.news", text, incident.caller.call_id))
        self._text(self.targets(incident.caller), incident, text, now)

    def _text(self, targets: Iterable[Target], incident: Incident, text: str, now: float) -> None:
        sender = f"{quoted('Emergency')} <sip:{incident.number}@{self._domain}>"
        for target in targets:
            self._speaker.text(target, sender, text[:TEXT_LIMIT], now)

    @property
    def _is_busy(self) -> bool:
        return self._ringing.total() >= CALLS_LIMIT

    def _ring(self, target: Target, incident: Incident, key: str, now: float) -> None:
        if self._is_busy:
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
        self._alerts.rings(key, target.extension)
        self._ringing[key, target.extension] += 1
        self._speaker.announce(target, message, partial(self._told, key), now)

    def _told(self, key: str, announcement: Announcement, word: str, now: float) -> None:
        who = key, announcement.extension
        self._ringing[who] -= 1
        listened = word in ("confirmed", "heard")
        text = f"the alert call to {announcement.extension}: {word.replace('_', ' ')}"
        self._emit(Notice("info" if listened else "warning", "emergency.alerted", text))
        if not self._ringing[who]:
            del self._ringing[who]
        if listened or who not in self._ringing:
            self._alerts.reached(*who)


def sounds_of(incident: Incident) -> tuple[str, ...]:
    """Return what an alert call plays: who, where, and what to press."""
    caller, location = incident.caller, incident.location
    digits = tuple(f"digit-{key}" for key in caller.extension if key.isdigit())
    who: tuple[str, ...] = (ALERT, *digits) if digits else (UNKNOWN,)
    if caller.user is not None:
        who += (user_sound(caller.user.id),)
    where = (location_sound(location.id),) if location is not None else ()
    return (*who, *where, LISTEN)
