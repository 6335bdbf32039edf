"""What sites tell each other of themselves, and how each of them is from here (F1).

Sites ask each other OPTIONS anyway. The question and the answer carry `Holdfast-Mode`: whether that
site serves its users itself, or they are with their cloud. Nothing is decided by it but the way of
calls to that very site, so a site that lies about it misleads nobody but its own callers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from appliance.bundle import Peer, RouteGroup
from appliance.call.line import Lines
from appliance.sip.head import Header
from appliance.sip.message import Request, Response
from sbc_bridge.gateway import Gateway
from sbc_bridge.gateways import Gateways, place_key
from sbc_bridge.peers import Peers

MODE: Final = "Holdfast-Mode"
"""Header of OPTIONS and of the answers to it, between sites alone."""
MODES: Final = frozenset({"standby", "testing", "survivability", "recovering"})
"""What it may say; anything else says nothing."""
WITH_CLOUD: Final = "standby"
"""Of a site whose users are with their cloud: it takes no calls itself."""
BEST: Final = ("up", "failing", "unknown", "rising", "down")
"""States of an address, the best first: a site is as well as its best address."""


class _Said:
    """What a site has said last."""

    def __init__(self, mode: str, now: float) -> None:
        self.mode = mode
        self.since = self.at = now


class Peering:
    """Know the mode of each other site, and tell them ours."""

    def __init__(
        self,
        gateways: Gateways,
        lines: Lines,
        wall: Callable[[float], float],
        mode: Callable[[], str],
    ) -> None:
        """`mode` returns our own; empty: there is none yet."""
        self.peers: Peers | None = None
        """Those of the bundle in force."""
        self._gateways = gateways
        self._lines = lines
        gateways.told, gateways.heard = self.told, self.heard
        self._wall = wall
        self._mode = mode
        self._said: dict[str, _Said] = {}
        """By peer's site."""

    def apply(self, peers: Peers) -> None:
        """Know these sites from now on; what the others have said is forgotten."""
        self.peers = peers
        known = {peer.site for peer in peers.all}
        self._said = {site: said for site, said in self._said.items() if site in known}

    # -- what is exchanged --------------------------------------------------------------------

    def told(self, group: RouteGroup) -> tuple[Header, ...]:
        """Return what is told whom a route group stands for; nothing, where that is no site."""
        mode = self._mode()
        if self._of(group) is None or mode not in MODES:
            return ()
        return ((MODE, mode),)

    def heard(self, group: RouteGroup, message: Request | Response, now: float) -> None:
        """Take what a site says of itself."""
        peer, mode = self._of(group), message.first(MODE) or ""
        if peer is None:
            return
        said = self._said.get(peer.site)
        if mode not in MODES:
            self._said.pop(peer.site, None)
        elif said is None or said.mode != mode:
            self._said[peer.site] = _Said(mode, now)
        else:
            said.at = now

    def changed(self, now: float) -> None:
        """Tell every site at once that our mode is another."""
        for group in self.peers.groups if self.peers is not None else ():
            self._gateways.ask(group, now)

    def is_with_cloud(self, peer: Peer) -> bool:
        """Tell whether a site has said that its users are with their cloud."""
        said = self._said.get(peer.site)
        return said is not None and said.mode == WITH_CLOUD

    def _of(self, group: RouteGroup) -> Peer | None:
        return self.peers.of(group) if self.peers is not None else None

    # -- what admins see ----------------------------------------------------------------------

    def rows(self, has_trunk: bool, now: float) -> list[dict[str, Any]]:
        """Return every other site as it is from here, and which way a call there goes now."""
        peers = self.peers
        if peers is None:
            return []
        return [self._row(peer, peers.group(peer), has_trunk, now) for peer in peers.all]

    def _row(self, peer: Peer, group: RouteGroup, has_trunk: bool, now: float) -> dict[str, Any]:
        key = place_key(group.id, group.sbcs[0])
        found = sorted(self._gateways.of(key), key=lambda one: BEST.index(one.state))
        best, said = (found[0] if found else None), self._said.get(peer.site)
        failed = max(found, key=lambda one: one.failed_at or 0.0, default=None)
        drained = key in self._gateways.drained
        return {
            "site": peer.site,
            "code": peer.code,
            "host": peer.host,
            "port": peer.port,
            "srtp": peer.srtp,
            "numbers": peer.numbers,
            "state": best.state if best else "unknown",
            "since": self._wall(best.since) if best else None,
            "reason": best.reason if best else self._gateways.lost_at(key),
            "rtt": best.rtt if best else None,
            "mode": said.mode if said else None,
            "mode_since": self._wall(said.since) if said else None,
            "mode_at": self._wall(said.at) if said else None,
            "drained": drained,
            "calls": sum(self._lines.count(one.line.name) for one in found),
            "way": self._way(peer, best, has_trunk, drained, now),
            "addresses": [f"{one.flow.remote[0]} {one.state}" for one in found],
            "last_error": _error(failed, self._wall),
        }

    def _way(
        self, peer: Peer, best: Gateway | None, has_trunk: bool, drained: bool, now: float
    ) -> str:
        """Return how a call to a site would go now: `direct`, `trunk`, or `none`."""
        over_trunk = has_trunk and peer.numbers is not None
        reached = best is not None and best.usable(now) and not drained
        if reached and not self.is_with_cloud(peer):
            return "direct"
        return "trunk" if over_trunk else "none"


def _error(gateway: Gateway | None, wall: Callable[[float], float]) -> dict[str, Any] | None:
    if gateway is None or gateway.failed_at is None:
        return None
    return {"at": wall(gateway.failed_at), "text": gateway.failure}
