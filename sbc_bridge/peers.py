"""Other sites with a Holdfast: called by site code and extension, each for itself alone (F1).

A peer is watched and reached as an SBC is, over TLS with both certificates. What comes from one
reaches extensions of this site and nothing else, and is shown as coming from that site, whatever it
says.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, Peer, RouteGroup, Sbc, User
from appliance.call.steps import Shown
from appliance.call.wording import quoted
from appliance.errors import RemoteError
from appliance.sip.message import Request
from sbc_bridge.gateway import Gateway

HOPS = 5
"""Sites a call may go through: forwardings from site to site and back end there."""
PREFIX = "peer/"


class Away(NamedTuple):
    """Somebody at another site."""

    peer: Peer
    extension: str


class Peers:
    """Know the other sites of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._code = bundle.site.code
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

    def dressed(self, caller: User, away: Away, gateway: Gateway) -> tuple[str, Shown]:
        """Return the Request-URI of a call to another site, and what else it shows there."""
        host = gateway.domain
        uri = f"sip:{away.extension}@{host}"
        own = f"{self._code}{caller.extension}" if caller.id else caller.extension
        here = gateway.flow.local[0]
        here = f"[{here}]" if ":" in here else here
        return uri, Shown(f"{quoted(caller.name)} <sip:{own}@{here}>", f"<{uri}>", (), HOPS)

    def dialled(self, request: Request) -> str:
        """Return which extension of ours a peer calls; raises RemoteError 404 for anything else."""
        user = request.request_uri.user or ""
        for extension in (user, user.removeprefix(self._code)):
            if extension in self._extensions:
                return extension
        raise RemoteError(404, "no such extension here")

    def caller(self, request: Request, peer: Peer) -> User:
        """Return who calls from another site: somebody there, whatever the request says."""
        shown = request.from_
        said = getattr(shown.uri, "user", None) or ""
        own = said.startswith(peer.code) and said.isdigit() and len(said) <= 30
        number = said if own else peer.code
        name = (shown.display if own else "") or peer.site
        return User(id="", name=name[:128], extension=number, class_of_service="internal")


def _group(name: str, peer: Peer) -> RouteGroup:
    sbc = Sbc(host=peer.host, port=peer.port)
    return RouteGroup(id=name, sbcs=(sbc,), srtp=peer.srtp, ca=peer.ca, crl=peer.crl)
