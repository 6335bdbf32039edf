"""Other sites with a Holdfast: called by site code and extension, each for itself alone (F1).

A peer is watched and reached as an SBC is, over TLS with both certificates. What comes from one
reaches extensions of this site and nothing else, and is shown as coming from that site, whatever it
says. A call carries the extensions that have sent it on, in `Holdfast-Passed`: where it comes to
one of them again it goes round, and ends there.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, Peer, RouteGroup, Sbc, User
from appliance.call.outside import Leaving
from appliance.call.steps import Shown
from appliance.call.wording import quoted
from appliance.errors import RemoteError
from appliance.sip.message import Request
from sbc_bridge.gateway import Gateway

HOPS = 5
"""Sites a call may go through: forwardings from site to site and back end there."""
PREFIX = "peer/"
PASSED = "Holdfast-Passed"
"""Header of INVITEs between sites alone."""
LONGEST_NUMBER = 30
"""Digits of site code and extension that are believed to be such."""
LONGEST_WAY = 40
"""Extensions a call may have passed: five sites with the eight a call goes on to at each."""


class Away(NamedTuple):
    """Somebody at another site."""

    peer: Peer
    extension: str

    def number(self, prefix: str) -> str:
        """Return what reaches it over the trunk, as it is dialled here."""
        number = f"{self.peer.numbers or ''}{self.extension}"
        return number if number.startswith("+") else prefix + number


class Peers:
    """Know the other sites of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._code = bundle.site.code
        self.all = bundle.peers
        self._peers = {PREFIX + peer.site: peer for peer in bundle.peers}
        owned = {user.extension for user in bundle.users}
        self._extensions = owned | {group.extension for group in bundle.groups}
        self.groups = {name: _group(name, peer) for name, peer in self._peers.items()}
        """Each peer as a route group of its own."""

    def find(self, dialled: str) -> Away | None:
        """Return whom site code and extension mean at another site."""
        for peer in self._peers.values():
            rest = dialled.removeprefix(peer.code)
            if rest and rest != dialled and rest.isdigit():
                return Away(peer, rest)
        return None

    def of(self, group: RouteGroup) -> Peer | None:
        """Return the peer that a route group stands for."""
        return self._peers.get(group.id)

    def group(self, peer: Peer) -> RouteGroup:
        """Return the route group that stands for a peer."""
        return self.groups[PREFIX + peer.site]

    def dressed(self, leaving: Leaving, away: Away, gateway: Gateway) -> tuple[str, Shown]:
        """Return the Request-URI of a call to another site, and what else it shows there."""
        caller, host = leaving.caller, gateway.domain
        uri = f"sip:{away.extension}@{host}"
        own = f"{self._code}{caller.extension}" if caller.id else caller.extension
        here = gateway.flow.local[0]
        here = f"[{here}]" if ":" in here else here
        way = tuple(dict.fromkeys(leaving.passed))[-LONGEST_WAY:]
        passed = ((PASSED, ", ".join(way)),) if way else ()
        return uri, Shown(f"{quoted(caller.name)} <sip:{own}@{here}>", f"<{uri}>", passed, HOPS)

    def dialled(self, request: Request) -> str:
        """Return which extension of ours a peer calls.

        Raises RemoteError 404 for anything else, and 482 for one that has sent the call on before.
        """
        user = request.request_uri.user or ""
        for extension in (user, user.removeprefix(self._code)):
            if extension in self._extensions:
                if f"{self._code}{extension}" in self.passed(request):
                    raise RemoteError(482, f"the call went round: {extension} has sent it on")
                return extension
        raise RemoteError(404, "no such extension here")

    def passed(self, request: Request) -> tuple[str, ...]:
        """Return which extensions have sent a call of a peer on, with their site codes."""
        said = [one.strip() for line in request.all(PASSED) for one in line.split(",")]
        if len(said) > LONGEST_WAY:
            raise RemoteError(482, f"the call has passed {len(said)} extensions")
        return tuple(one for one in said if one.isdigit() and len(one) <= LONGEST_NUMBER)

    def caller(self, request: Request, peer: Peer) -> User:
        """Return who calls from another site: somebody there, whatever the request says."""
        shown = request.from_
        said = getattr(shown.uri, "user", None) or ""
        own = said.startswith(peer.code) and said.isdigit() and len(said) <= LONGEST_NUMBER
        number = said if own else peer.code
        name = (shown.display if own else "") or peer.site
        return User(id="", name=name[:128], extension=number, class_of_service="internal")


def _group(name: str, peer: Peer) -> RouteGroup:
    sbc = Sbc(host=peer.host, port=peer.port)
    # One answer is enough of a site: there is no other to try, but the trunk that costs money.
    return RouteGroup(
        id=name,
        sbcs=(sbc,),
        srtp=peer.srtp,
        ca=peer.ca,
        crl=peer.crl,
        certificate_grace=peer.certificate_grace,
        answers=1,
    )
