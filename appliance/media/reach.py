"""Which flows the kernel can carry here: it depends on addresses, routes and kernel settings."""

from __future__ import annotations

import socket
from typing import Final

from appliance.media.flow import Flow
from appliance.media.sysctl import forwards

_REMEMBERED: Final = 4096
"""Addresses whose place is remembered between two refreshes."""


class Reach:
    """What is known of the ways between phones; `refresh` looks again."""

    def __init__(self) -> None:
        self._forwards = _forwarding()
        self._local: dict[str, bool] = {}
        self._blocked: set[str] = set()

    def block(self, host: str) -> None:
        """Carry nothing more that leaves as if from this address of ours.

        For good: to try again would silence calls again, and whoever changes the rules that drop
        packets can start media anew.
        """
        self._blocked.add(host)

    def carries(self, flow: Flow) -> bool:
        """Tell whether a flow can pass through the kernel.

        Between phones elsewhere it is forwarded; between two on this machine it is delivered. From
        a phone here to one elsewhere the kernel would not look for a route again.
        """
        if flow.via[0] in self._blocked or any(_is_narrow(host) for host, _ in flow):
            return False
        if len({":" in host for host, _ in flow}) > 1:
            return False
        here = self._is_local(flow.source[0]), self._is_local(flow.target[0])
        return all(here) or (not any(here) and self._forwards[flow.version])

    def refresh(self) -> bool:
        """Look again; True where answers may differ from now on."""
        before = self._forwards, self._local
        self._forwards = _forwarding()
        known, self._local = self._local, {}
        return before != (self._forwards, {host: self._is_local(host) for host in known})

    def _is_local(self, host: str) -> bool:
        if host not in self._local:
            if len(self._local) >= _REMEMBERED:
                self._local.clear()
            self._local[host] = _can_bind(host)
        return self._local[host]


def _forwarding() -> dict[int, bool]:
    return {version: forwards(version) for version in (4, 6)}


def _is_narrow(host: str) -> bool:
    """Tell whether an address means something on one link only, which a map cannot say."""
    return "%" in host or host.lower().startswith("fe80:")


def _can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, 0))
        except OSError:
            return False
    return True
