"""The owner of a leg whose call is over: whoever still holds such a leg keeps no call alive.

A call and its legs know each other. Where the last doings of a leg let go of its call, all of them
die by their reference counts; as a cycle they would wait for the garbage collector, which looks
seldom: 24 KB for each call.
"""

from __future__ import annotations

from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response


class Over:
    """Take what comes too late, and do nothing."""

    def received(self, leg: object, request: Request, tx: ServerTransaction, now: float) -> None:
        """Refuse a request of a dialog that is gone (RFC 3261, 12.2.2)."""
        tx.respond(request.response(481), now)

    def lapsed(self, leg: object, reason: str, now: float) -> None:
        """Do nothing."""

    def described(self, leg: object, body: bytes) -> None:
        """Do nothing."""

    def changed(self) -> None:
        """Do nothing."""

    def ringing(self, branch: object, response: Response, now: float) -> None:
        """Do nothing."""

    def answered(self, branch: object, response: Response, now: float) -> None:
        """Do nothing: a branch that is over hangs up by itself."""

    def declined(self, branch: object, status: int, now: float) -> None:
        """Do nothing."""

    def refused_profile(self, branch: object, status: int) -> bytes:
        """Offer nothing else."""
        return b""


OVER = Over()
"""The only one: it has no state."""
