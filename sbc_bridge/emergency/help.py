"""The plan of a call for help, and of the call that comes back (E6-E8)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from appliance.bundle import Bundle
from appliance.bundle.emergency import EmergencyNumber
from appliance.call.actions import Action, Notice
from appliance.call.emergency import HelpCaller, HelpRecord
from appliance.call.reach import is_gone
from appliance.call.steps import Goto, Note, Outcome, Plan, Play, Reject, Ring, Step, Target
from appliance.sip.multipart import Part
from sbc_bridge.emergency.alerts import Alert, Alerts
from sbc_bridge.emergency.callbacks import Callback, Callbacks
from sbc_bridge.emergency.identity import Identities, Identity
from sbc_bridge.emergency.pidf import CONTENT_TYPE, pidf_lo
from sbc_bridge.emergency.places import Place, Places
from sbc_bridge.emergency.team import Incident, Phones, SafetyTeam

RING_TIME = 180.0
"""Seconds until the next way is tried where nobody answers: emergency services may have a queue."""
PATIENCE = 1.5
"""Seconds in which an SBC has to say anything: two ways are tried within the 3 s of the promise."""
PROGRESS = 10.0
"""Seconds in which an SBC that took the call has to say more, as long as there is another way."""
BACK_RING_TIME = 30.0
"""Seconds that the caller's phones ring for a call-back."""
TEAM_RING_TIME = 60.0
"""Seconds that the safety team rings for a caller who could not get out."""
FAILED = "emergency-failed"
"""Prompt that ships: what to do when no emergency call can be made."""
NOWHERE = "holdfast.invalid"
"""Host in names that go outside and lead nobody inside."""
FULL = (403, 480, 486, 503, 600)
"""Answers of an SBC that may mean that it has no line free."""


class Shows(NamedTuple):
    """What a call for help shows outside."""

    number: str
    """As the emergency network knows it."""
    identity: str
    """E.164; empty: the trunk's own choice."""
    name: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    """Go along with the description."""


class Way(NamedTuple):
    """One way out."""

    name: str
    """Of its line."""
    target: Target
    full: bool
    """Whether it has as many calls as it may."""
    well: bool = True
    """Whether it would be tried for any other call as well."""


class Outside(Protocol):
    """The trunk, as a call for help sees it: no limit and no pause keeps it away."""

    def ways(self, groups: tuple[str, ...], shows: Shows, now: float) -> list[Way]:
        """Return every way out by these route groups, in the order in which they are to be tried.

        What is known to be down comes last, and is tried all the same.
        """
        ...

    def make_room(self, line: str, now: float) -> str:
        """End one call on a line that is not for help; return whose, empty: there is none."""
        ...


class Help:
    """Calls for help at a site, by one bundle; the call-backs outlive it."""

    def __init__(
        self,
        bundle: Bundle,
        callbacks: Callbacks,
        phones: Phones,
        outside: Outside,
        team: SafetyTeam,
        alerts: Alerts,
        wall: Callable[[float], float],
        emit: Callable[[Action], None],
        incidents: dict[str, Incident],
    ) -> None:
        """`incidents` are of the calls that are up; they outlive the bundle."""
        self._bundle = bundle
        self._callbacks = callbacks
        self._phones = phones
        self._outside = outside
        self._alerts = alerts
        self._incidents = incidents
        self._wall = wall
        self._emit = emit
        self._users = {user.extension: user for user in bundle.users}
        named = bundle.emergency.route_groups
        self._groups = named or tuple(group.id for group in bundle.route_groups)
        self.team = team
        self.places = Places(bundle)
        self.identities = Identities(bundle, callbacks)

    # -- out ----------------------------------------------------------------------------------

    def plan(self, caller: HelpCaller, number: EmergencyNumber, now: float) -> Plan:
        """Alert the team and try every way out; then say what to do instead."""
        place = self.places.of(caller)
        identity = self.identities.of(caller, place.location, now)
        incident = Incident(caller, number.digits, place.location, identity.number)
        key = ""
        if not number.test:
            # Before who is called back: one wait for the disk does for both.
            waits = not identity.leads_back
            key = self._news("called", incident, self.team.due(caller), now, waits)
            if caller.contact:
                self._incidents[caller.call_id] = incident
        yield self._noted(caller, number, place, identity, now)
        yield Note(f"the caller is at {_where(place)}: {place.why}")
        yield Note(f"shown as {identity.number or 'nobody'}: {identity.why}")
        if number.test:
            yield Note("a test number: nobody is alerted")
        else:
            yield Note(self.team.alert(incident, key, now))
        status = yield from self._try(self._shows(incident, identity, now), now)
        if not number.test:
            self._news("failed", incident, (), now)
            self.team.follow_up(incident, f"it did not get out ({status})", now)
        yield from self._stranded(incident, status, number.test)

    def _noted(
        self,
        caller: HelpCaller,
        number: EmergencyNumber,
        place: Place,
        identity: Identity,
        now: float,
    ) -> Note:
        """Return what the record keeps; who is called back is on the disk before any INVITE."""
        location = place.location.id if place.location is not None else ""
        until = None
        if identity.leads_back and not number.test:
            seconds = self._bundle.policies.emergency_callback
            self._callbacks.remember(caller, identity.number, location, seconds, now)
            until = self._wall(now) + seconds
        kept = HelpRecord(
            number=number.digits,
            test=number.test,
            shown=identity.number,
            location=location,
            callback_until=until,
        )
        return Note(f"emergency call to {number.digits} by {caller.shown}", emergency=kept)

    def _news(
        self,
        kind: str,
        incident: Incident,
        due: tuple[str, ...],
        now: float,
        waits: bool = False,
    ) -> str:
        """Keep an alert for who is to be called and for the webhook; return its key."""
        caller, location = incident.caller, incident.location
        alert = Alert(
            key=f"{caller.call_id}-{kind}",
            kind=kind,
            at=self._wall(now),
            call=caller.call_id,
            number=incident.number,
            caller=caller.shown,
            extension=caller.extension,
            proved=caller.proved,
            address=caller.flow.remote[0],
            location=location.id if location is not None else "",
            where=incident.where,
            shown=incident.shown,
            flow=caller.flow,
            began=now,
            due=due,
            posts=bool(self._bundle.emergency.webhook),
        )
        self._alerts.add(alert, waits)
        return alert.key

    def _shows(self, incident: Incident, identity: Identity, now: float) -> Shows:
        headers: tuple[tuple[str, str], ...] = (("Priority", "emergency"),)
        parts: tuple[Part, ...] = ()
        if self._bundle.emergency.geolocation and incident.location is not None:
            name = f"{incident.caller.call_id}@{NOWHERE}"
            headers += (("Geolocation", f"<cid:{name}>"), ("Geolocation-Routing", "yes"))
            at = datetime.fromtimestamp(self._wall(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            country = self._bundle.number_plan.country
            document = pidf_lo(incident.location, country, f"pres:caller@{NOWHERE}", at)
            parts = (Part(CONTENT_TYPE, document, (("Content-ID", f"<{name}>"),)),)
        user = incident.caller.user
        shown = user.name if user is not None and incident.caller.proved else ""
        return Shows(incident.number, identity.number, shown, headers, parts)

    def _try(self, shows: Shows, now: float) -> Generator[Step, Outcome, int]:
        """Try every way, and once more those that may only have been full; return the status."""
        ways = self.ways(shows, now)
        if not ways:
            yield Note("no trunk leads to the emergency services")
            return 503
        refused: list[Way] = []
        for way in ways:
            if way.full:
                yield from self._make_room(way, now)
            progress = PROGRESS if way is not ways[-1] else 0.0
            outcome = yield Ring((way.target,), RING_TIME, patience=PATIENCE, progress=progress)
            now = outcome.at
            if outcome.word != "no_answer" and outcome.status in FULL:
                refused.append(way)
        for way in refused:
            if (yield from self._make_room(way, now)):
                outcome = yield Ring((way.target,), RING_TIME, patience=PATIENCE)
                now = outcome.at
        return outcome.status or 503

    def ways(self, shows: Shows, now: float) -> list[Way]:
        """Return every way out, in the order in which they are tried."""
        return self._outside.ways(self._groups, shows, now)

    def _make_room(self, way: Way, now: float) -> Generator[Step, Outcome, bool]:
        ended = self._outside.make_room(way.name, now)
        if ended:
            yield Note(f"{way.name} was full: the call of {ended} was ended to make room")
            self._emit(Notice("warning", "emergency.made_room", f"the call of {ended} was ended"))
        return bool(ended)

    def _stranded(self, incident: Incident, status: int, test: bool) -> Plan:
        """Let the caller hear what to do, and then let the safety team answer."""
        caller = incident.caller
        text = f"{caller.shown} called {incident.number} and did not get out ({status})"
        self._emit(Notice("alarm", "emergency.failed", text, caller.call_id))
        reason = f"no way to {incident.number} carried the call"
        if caller.standby:
            # The cloud is there: a phone that is refused at once tries its other servers.
            yield Reject(503, reason, "failed")
            return
        yield Play((FAILED,), answer=True)
        team = () if test else self.team.targets(caller)
        if team:
            yield Ring(team, TEAM_RING_TIME, each=True)
        yield Reject(503, reason, "failed")

    def over(self, call_id: str, gave_up: bool, now: float) -> None:
        """Tell the team of a caller who hung up before anybody answered: it may need help all the
        more."""
        incident = self._incidents.pop(call_id, None)
        if incident is not None and gave_up:
            self._news("gave_up", incident, (), now)
            self.team.follow_up(incident, "the caller hung up before anybody answered", now)

    # -- back ---------------------------------------------------------------------------------

    def callback(self, number: str, now: float) -> Plan | None:
        """Return the plan of a call that comes to a number, where somebody is called back on it.

        First the phones of those who called for help, then the safety group.
        """
        callers = self._callbacks.callers(number, now)
        return self._back(callers) if callers else None

    def _back(self, callers: list[Callback]) -> Plan:
        names = ", ".join(one.extension or f"a phone at {one.flow.remote[0]}" for one in callers)
        kept = HelpRecord(number=callers[0].number, back=True, location=callers[0].location)
        yield Note(f"called back after a call for help: {names}", emergency=kept)
        targets = self._phones_of(callers)
        if targets:
            outcome = yield Ring(targets, BACK_RING_TIME, each=True)
            yield Note(f"the caller did not answer: {outcome.word.replace('_', ' ')}")
        else:
            yield Note("no phone of the caller can be reached now")
        group = self._bundle.emergency.safety_group
        if group is not None:
            yield Goto(group)
        team = tuple(phone for member in self.team.members for phone in self._phones.phones(member))
        if team:
            yield Ring(team, TEAM_RING_TIME, each=True)
        yield Reject(480, "nobody answered the call-back")

    def _phones_of(self, callers: list[Callback]) -> tuple[Target, ...]:
        """Return the phones that called, and those of the same users, each once."""
        found: dict[tuple[str, tuple[str, int]], Target] = {}
        for one in callers:
            user = self._users.get(one.extension) if one.proved else None
            for phone in self._phones.phones(user) if user is not None else ():
                found.setdefault((phone.uri, phone.flow.remote), phone)
            if one.contact and not is_gone(one.flow):
                itself = Target(one.contact, one.flow, one.extension or one.flow.remote[0])
                found.setdefault((one.contact, one.flow.remote), itself)
        return tuple(found.values())


def _where(place: Place) -> str:
    return place.location.name if place.location is not None else "an unknown place"
