"""What is kept about a site's users: where their phones are, what they set, what they were sent."""

from __future__ import annotations

from collections.abc import Callable

from appliance.bundle import Bundle
from appliance.call.actions import Action
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.location import Location
from appliance.pbx.presence import Presence
from appliance.pbx.sightings import Sightings
from appliance.pbx.survival import Mode
from appliance.pbx.texts import TextSender
from appliance.sip.identifiers import Identifiers
from appliance.sip.matching import Transactions
from appliance.sip.timers import TimerQueue


class People:
    """Outlive every bundle; forget only who is in none."""

    def __init__(
        self,
        timers: TimerQueue,
        transactions: Transactions,
        identifiers: Identifiers,
        emit: Callable[[Action], None],
        connected: Callable[[str, float], None],
        wall: Callable[[float], float],
    ) -> None:
        self.sightings = Sightings(emit, lambda: wall(timers.now))
        self.location = Location(
            timers,
            emit,
            connected,
            lambda binding, now: self.texts.registered(binding, now),
            self.sightings.left,
        )
        self.texts = TextSender(timers, transactions, identifiers, self.location)
        self.forwardings = Forwardings(emit)
        self.presence = Presence(self.location, self.forwardings)
        self._bundle: Bundle | None = None

    @property
    def outage(self) -> bool:
        """Tell whether the site serves itself because its cloud is gone."""
        return self.texts.outage

    def apply(self, bundle: Bundle, mode: Mode) -> None:
        """Serve the users of this bundle from now on."""
        self._bundle = bundle
        extensions = {user.id: user.extension for user in bundle.users}
        self.texts.apply(bundle.texts, bundle.site.domain, extensions, mode)
        self.location.keep(extensions)
        self.forwardings.keep(extensions)
        self.sightings.keep(extensions)
        self.presence.keep(extensions.values())

    def restore(
        self,
        bindings: tuple[bytes, ...],
        forwardings: tuple[bytes, ...],
        sightings: tuple[bytes, ...],
        offset: float,
        now: float,
    ) -> None:
        """Take what the last process left; the first bundle is applied already."""
        users = [user.id for user in (self._bundle.users if self._bundle else ())]
        self.location.restore(bindings, offset, now)
        self.forwardings.restore(forwardings)
        self.forwardings.keep(users)
        self.sightings.restore(sightings)
        self.sightings.keep(users)
        self.texts.restored(now)

    def mode_changed(self, mode: Mode, now: float) -> None:
        """Take a change of mode: nothing that lasts is touched by it (A4)."""
        self.texts.mode_changed(mode, now)
