"""What groups ask about people: who can be rung now, and who has waited longest for a call."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol

from appliance.bundle import User
from appliance.call.steps import Target


class Presence(Protocol):
    """A view of the site's users that is always of now; `pbx.presence.Presence` fulfils it."""

    def phones(self, user: User) -> tuple[Target, ...]:
        """Return the phones of a user that can be rung; none: nobody is registered."""
        ...

    def busy(self) -> Container[str]:
        """Return the extensions that are in a call, or begin one."""
        ...

    def ringing(self) -> Container[str]:
        """Return the extensions that are being rung by a call."""
        ...

    def do_not_disturb(self, user: User) -> bool:
        """Tell whether a user wants no calls now."""
        ...

    def idle_since(self, user: User) -> float:
        """Return when the user's last call ended, Unix seconds; 0: there was none yet."""
        ...
