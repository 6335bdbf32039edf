"""REFER: what it asks for, and telling its sender what comes of it (RFC 3515, 3892, 4488, 5589)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from appliance.call.asked import Asked
from appliance.call.context import contact_uri
from appliance.call.leg import Headers, Leg
from appliance.errors import RemoteError
from appliance.sip.headers import NameAddr
from appliance.sip.message import Request, Response
from appliance.sip.status import reason_of
from appliance.sip.uri import SipUri
from appliance.sip.values import Replaces

FRAGMENT = "message/sipfrag;version=2.0"
ENDED = "terminated;reason=noresource"
LASTS = 180
"""Seconds a subscription is said to last: longer than anybody lets a phone ring."""


class ReferTo(msgspec.Struct, frozen=True):
    """Where a REFER leads."""

    dialled: str
    """What the other party would dial; of little use beside `replaces`."""
    replaces: Replaces | None = None
    """The dialog whose place it is to take, in the words of the REFER's sender."""


def read_refer(request: Request) -> ReferTo:
    """Return where a REFER leads; raises RemoteError 400 for what nobody can follow."""
    texts = request.values("Refer-To")
    if len(texts) != 1:
        raise RemoteError(400, "a REFER needs exactly one Refer-To")
    by = request.first("Referred-By")
    if by is not None:
        NameAddr.parse(by)
    uri = NameAddr.parse(texts[0]).uri
    if isinstance(uri, str):
        return ReferTo(_telephone_number(uri))
    if uri.params.get("method", "INVITE") != "INVITE":
        raise RemoteError(400, "Refer-To asks for another method than INVITE")
    return ReferTo(uri.user or "", _replaces(uri))


def _telephone_number(uri: str) -> str:
    scheme, _, number = uri.partition(":")
    if scheme.lower() != "tel":
        raise RemoteError(400, f"Refer-To has an address that nobody can call ({scheme})")
    return number.partition(";")[0]


def _replaces(uri: SipUri) -> Replaces | None:
    fields = [value for name, value in uri.headers if name.lower() == "replaces"]
    if len(fields) > 1:
        raise RemoteError(400, "Refer-To names two dialogs to be replaced")
    return Replaces.parse(fields[0]) if fields else None


class Referral:
    """Tell the sender of a REFER how it goes: the subscription that a REFER makes."""

    def __init__(self, leg: Leg, request: Request, alone: bool = False) -> None:
        """`leg` is the dialog in which the REFER came; `alone`: it is there for that only."""
        self._leg = leg
        # The first in a dialog needs no number, and old phones expect none (RFC 3515, 2.4.6).
        self._event = f"refer;id={request.cseq.number}" if leg.referrals else "refer"
        leg.referrals += 1
        self.silent = (request.first("Refer-Sub") or "").strip().lower() == "false"
        """Whether its sender wants to hear nothing (RFC 4488)."""
        self._alone = alone
        self._told = 0
        self._open = not self.silent
        self._asking = False
        self._waiting: list[tuple[int, str]] = []
        self._then: Callable[[float], None] | None = None

    @property
    def headers(self) -> Headers:
        """Return what the 202 says about it."""
        contact = ("Contact", contact_uri(self._leg.flow))
        return [contact, ("Refer-Sub", "false")] if self.silent else [contact]

    def tell(self, status: int, now: float) -> None:
        """Tell a provisional status, each once."""
        if self._open and status > self._told:
            self._told = status
            self._say(status, f"active;expires={LASTS}", now)

    def close(self, status: int, now: float, then: Callable[[float], None] | None = None) -> None:
        """Tell the end; call `then` once the phone has taken it, or cannot be told."""
        self._then = then
        if not self._open:
            self._over(now)
            return
        self._open = False
        self._say(status, ENDED, now)

    def _say(self, status: int, state: str, now: float) -> None:
        self._waiting.append((status, state))
        if not self._asking:
            self._notify(now)

    def _notify(self, now: float) -> None:
        """Send the next NOTIFY; one at a time, or over UDP a later one may come first."""
        if self._leg.ended or not self._waiting:
            self._refused(now)
            return
        status, state = self._waiting.pop(0)
        self._asking = True

        def answered(response: Response | None, status: int, now: float) -> None:
            self._asking = False
            if status >= 300 or state == ENDED:
                self._refused(now)  # RFC 6665, 4.2.2: it does not want to hear more
            elif self._waiting:
                self._notify(now)

        self._leg.request(
            "NOTIFY",
            now,
            Asked(answered),
            headers=[
                ("Event", self._event),
                ("Subscription-State", state),
                ("Contact", contact_uri(self._leg.flow)),
            ],
            body=f"SIP/2.0 {status} {reason_of(status)}\r\n".encode(),
            content_type=FRAGMENT,
        )

    def _refused(self, now: float) -> None:
        """Say no more; where the end has come already, that was it."""
        self._waiting.clear()
        if self._open:
            self._open = False
        else:
            self._over(now)

    def _over(self, now: float) -> None:
        then, self._then = self._then, None
        if self._alone:
            self._leg.close()
        if then is not None:
            then(now)


class Unasked:
    """Stand for a REFER that nobody has sent: who is handed on was handed on by a code."""

    def tell(self, status: int, now: float) -> None:
        """Tell nobody."""

    def close(self, status: int, now: float, then: Callable[[float], None] | None = None) -> None:
        """Go on at once."""
        if then is not None:
            then(now)
