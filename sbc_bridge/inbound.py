"""Calls from outside: which number of ours was called, and by whom (E3)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle import Bundle, Group, RouteGroup, TrunkNumber, User
from appliance.errors import RemoteError
from appliance.sip.headers import NameAddr
from appliance.sip.message import Request
from appliance.sip.uri import SipUri
from sbc_bridge.numbers import Numbers

ANONYMOUS = "anonymous"
HINTS = ("Diversion", "History-Info", "P-Called-Party-ID", "To")
"""Headers that tell which cloud number was called, in the order in which they are believed."""
HINTS_LIMIT = 20
"""Values of one header that are looked at: a call is forwarded a few times, not a hundred."""


class Inbound:
    """Read calls from SBCs by one bundle."""

    def __init__(self, bundle: Bundle, numbers: Numbers) -> None:
        self._numbers = numbers
        owned: list[User | Group] = [*bundle.users, *bundle.groups]
        self._extensions = {one.extension for one in owned}
        self.owned = {number for one in owned for number in one.numbers}
        """Numbers that ring somebody here."""
        self._trunk = {row.number: row for row in bundle.trunk_numbers}

    def dialled(self, request: Request, group: RouteGroup) -> str:
        """Return what was called, in our own words; raises RemoteError 404 for what is not ours."""
        user = request.request_uri.user or ""
        number = self._numbers.heard(user)
        if number in self.owned:
            return number
        if (row := self._trunk.get(number)) is not None:
            return self._meant(request, row)
        if group.prefixes and user in self._extensions:
            return user  # the PBX behind that SBC is a part of the house
        raise RemoteError(404, "no such number here")

    def _meant(self, request: Request, row: TrunkNumber) -> str:
        """Return which of many cloud numbers was called, that are forwarded to one of the trunk."""
        for name in HINTS:
            for user in _users(request, name):
                number = self._numbers.heard(user)
                if number in row.cloud_numbers and number in self.owned:
                    return number
        if row.target is not None:
            return row.target
        raise RemoteError(404, "no such number here")

    def caller(self, request: Request) -> User:
        """Return who calls, as far as the SBC says so; nobody who may call outside."""
        hidden = "id" in (request.first("Privacy") or "")
        asserted = [] if hidden else list(_named(request, "P-Asserted-Identity"))
        shown = asserted[0] if asserted else request.from_
        user = _user_of(shown)
        if hidden or not user or user.lower() == ANONYMOUS:
            return User(id="", name="Anonymous", extension=ANONYMOUS, class_of_service="internal")
        number = self._numbers.heard(user)[:64]
        name = shown.display or request.from_.display or number
        return User(id="", name=name[:128], extension=number, class_of_service="internal")


def _users(request: Request, header: str) -> Iterator[str]:
    for named in _named(request, header):
        if user := _user_of(named):
            yield user


def _named(request: Request, header: str) -> Iterator[NameAddr]:
    """Yield the addresses of a header; one that cannot be read is passed over."""
    try:
        values = request.values(header)
    except RemoteError:
        return
    for value in values[:HINTS_LIMIT]:
        try:
            yield NameAddr.parse(value)
        except RemoteError:
            continue


def _user_of(named: NameAddr) -> str:
    if isinstance(named.uri, SipUri):
        return named.uri.user or ""
    scheme, _, rest = named.uri.partition(":")
    return rest.partition(";")[0] if scheme.lower() == "tel" else ""
