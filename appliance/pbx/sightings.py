"""When users' phones were last here, and with what success: kept when they are gone (A8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from appliance.call.actions import Action, SaveSighting
from appliance.pbx.location import Binding
from appliance.sip.flow import Flow

SAVE_INTERVAL = 3600.0
"""Seconds between two writes of one user's sightings: anybody can knock in a user's name."""
LONGEST_AGENT = 128
"""Characters kept of User-Agent."""

_pack = msgspec.msgpack.Encoder().encode


class Sighting(msgspec.Struct, kw_only=True):
    """The last that was seen of one user's phones; times are wall-clock seconds (Unix)."""

    user: str
    """Id of the bundle's user."""
    registered_at: float | None = None
    """When a phone of the user was last registered here: proved by its password."""
    knocked_at: float | None = None
    """When one was last turned away in standby; who it was is what it said, unproved."""
    failed_at: float | None = None
    """When somebody last answered a challenge in the user's name with a wrong password."""
    address: str = ""
    """Where it came from."""
    transport: str = ""
    user_agent: str = ""


class Sightings:
    """Note what is seen of users' phones; one entry for each user of the bundle at most."""

    def __init__(self, emit: Callable[[Action], None], clock: Callable[[], float]) -> None:
        """`clock` tells the wall-clock time of what is being handled."""
        self._emit = emit
        self._clock = clock
        self._seen: dict[str, Sighting] = {}
        self._saved: dict[tuple[str, str], float] = {}

    def of(self, user: str) -> Sighting | None:
        """Return what was last seen of a user who is not registered now."""
        return self._seen.get(user)

    def left(self, binding: Binding) -> None:
        """Note that a phone was registered until now."""
        self._note(binding.user, "registered_at", binding.flow, binding.user_agent)

    def knocked(self, user: str, flow: Flow, agent: str) -> None:
        """Note that a phone wanted to register in standby: it knows where we are."""
        self._note(user, "knocked_at", flow, agent)

    def failed(self, user: str, flow: Flow) -> None:
        """Note a wrong password."""
        self._note(user, "failed_at", flow, "")

    def keep(self, users: Iterable[str]) -> None:
        """Forget everybody else: a new bundle may know fewer users."""
        for user in self._seen.keys() - set(users):
            del self._seen[user]
            self._emit(SaveSighting(user, None))

    def restore(self, rows: Iterable[bytes]) -> None:
        """Take back what was written before a restart; a row nobody can read is skipped."""
        for row in rows:
            try:
                sighting = msgspec.msgpack.decode(row, type=Sighting)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            self._seen.setdefault(sighting.user, sighting)

    def _note(self, user: str, field: str, flow: Flow, agent: str) -> None:
        now = self._clock()
        sighting = self._seen.get(user)
        if sighting is None:
            sighting = self._seen[user] = Sighting(user=user)
        setattr(sighting, field, now)
        sighting.address, sighting.transport = flow.remote[0], flow.transport
        sighting.user_agent = agent[:LONGEST_AGENT] or sighting.user_agent
        # A clock that was set back must not keep it from being written for years.
        if abs(now - self._saved.get((user, field), 0.0)) >= SAVE_INTERVAL:
            self._saved[user, field] = now
            self._emit(SaveSighting(user, _pack(sighting)))
