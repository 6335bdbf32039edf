"""Who takes part in a call, as the others are shown it."""

from __future__ import annotations

import msgspec

from appliance.call.line import Line
from appliance.call.wording import quoted


class Party(msgspec.Struct, frozen=True):
    """The authenticated caller, as the callee is shown it."""

    extension: str
    name: str
    uri: str
    """Address of record, `sip:1001@example.com`."""
    line: Line | None = None
    """The line on which the call came from outside; None: from a phone here."""

    @property
    def shown(self) -> str:
        """Name and address as From has them."""
        return f"{quoted(self.name)} <{self.uri}>"
