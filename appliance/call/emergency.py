"""A call for help as rooms hand it on: who calls, from where, what the record keeps (E6, E7)."""

from __future__ import annotations

import msgspec

from appliance.bundle import User
from appliance.sip.flow import Flow


class HelpCaller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who calls for help, known or not."""

    call_id: str
    user: User | None
    """None: neither credentials nor a registration nor From tell who it is."""
    proved: bool
    """Whether credentials or the flow of a registration prove it; else From only says so."""
    flow: Flow
    """The way the call came; where no registration is, the way back too."""
    contact: str
    """Where this very phone takes calls."""
    says: str = ""
    """What the phone says of itself (instance, User-Agent): some name their hardware address."""
    standby: bool = False
    """Whether phones may still reach the cloud, so that a quick failure sends this one there."""

    @property
    def extension(self) -> str:
        """Return the extension, empty where nobody knows it."""
        return self.user.extension if self.user is not None else ""

    @property
    def shown(self) -> str:
        """Return who calls, in words."""
        if self.user is None:
            return f"a phone at {self.flow.remote[0]}"
        name = f"{self.user.name} ({self.user.extension})"
        return name if self.proved else f"somebody who says to be {name}"


class HelpRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a record keeps of a call for help or its call-back; the cloud learns both from it."""

    number: str
    """As the emergency network knows it; of a call-back the number it came to."""
    back: bool = False
    """Whether somebody is called back who called for help."""
    test: bool = False
    shown: str = ""
    """Number that was shown; empty: none."""
    location: str = ""
    """Id of the caller's location; empty: nobody knows it."""
    callback_until: float | None = None
    """Until when `shown` leads back to the caller, Unix seconds; None: as it always does."""
