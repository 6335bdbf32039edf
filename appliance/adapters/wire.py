"""All SIP transports on all our addresses, kept in step as the machine's addresses change."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Literal

from appliance.adapters.addresses import machine_addresses
from appliance.adapters.listener import Listener
from appliance.adapters.mutual_tls import MutualTls
from appliance.adapters.stream import Streams
from appliance.adapters.udp import Datagrams
from appliance.call.actions import Notice
from appliance.ports import Inbox
from appliance.settings import Settings
from appliance.sip.flow import Address, Flow, Transport, host_port

REFRESH = 2.0
"""Seconds between two looks at the machine's addresses; a new one is served at most this late."""

Notify = Callable[[Notice], None]
Kind = Literal["UDP", "TCP", "TLS", "trunk"]
"""What is served: a transport for phones, or TLS for SBCs and other sites."""
Place = tuple[Kind, Address]


class SipWire:
    """Serve UDP, TCP and TLS; fulfils `ports.Wire`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        inbox: Inbox,
        notify: Notify,
        settings: Settings,
        server: ssl.SSLContext | None = None,
        trunk: MutualTls | None = None,
        limit: int = 65_536,
    ) -> None:
        self._loop = loop
        self._notify = notify
        self._settings = settings
        self._trunk = trunk
        self._datagrams = Datagrams(loop, inbox, settings.udp_receive_buffer)
        self._streams = Streams(loop, inbox, settings, server, trunk, limit)
        self._served: dict[Place, Listener | Address] = {}
        self._failed: set[Place] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Open every socket that can be opened now, and the others when they can be."""
        self._refresh()

    def look(self) -> None:
        """Look at the machine's addresses now; they have changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._refresh()

    def stop(self) -> None:
        """Close everything."""
        if self._timer is not None:
            self._timer.cancel()
        for place in list(self._served):
            self._close(place)
        self._streams.stop()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send now or queue; never blocks. Failure of a stream is told by the `lost` callback."""
        if flow.transport == "UDP":
            self._datagrams.send(flow, data)
        else:
            self._streams.send(flow, data)

    def close(self, flow: Flow) -> None:
        """Close one stream connection after what is queued has been sent."""
        if flow.transport != "UDP":
            self._streams.close(flow)

    def reload(self, server: ssl.SSLContext | None) -> None:
        """Show new TLS connections another certificate; those that are there go on."""
        self._streams.server = server

    @property
    def served(self) -> dict[Kind, list[Address]]:
        """Return where each transport is served now."""
        places: dict[Kind, list[Address]] = {"UDP": [], "TCP": [], "TLS": []}
        for (kind, _), held in self._served.items():
            local = held.local if isinstance(held, Listener) else held
            places.setdefault(kind, []).append(local)
        return places

    def statistics(self) -> dict[str, int]:
        """Return counters since the start, and `connections` as of now."""
        udp = self._datagrams
        return {
            "udp_received": udp.received,
            "udp_received_octets": udp.octets_received,
            "udp_sent": udp.sent,
            "udp_sent_octets": udp.octets_sent,
            "udp_dropped": udp.dropped,
            "stream_received_octets": self._streams.octets_received,
            "stream_sent_octets": self._streams.octets_sent,
            "connections": len(self._streams),
            **{f"stream_{name}": number for name, number in self._streams.counts.items()},
        }

    def _refresh(self) -> None:
        wanted = self._wanted()
        for place in [place for place in self._served if place not in wanted]:
            self._close(place)
            self._say("info", f"{_name(place)} is served no more: the address has gone")
        for place in wanted:
            if place not in self._served:
                self._open(place)
        self._failed &= wanted.keys()
        self._timer = self._loop.call_later(REFRESH, self._refresh)

    def _wanted(self) -> dict[Place, None]:
        settings = self._settings
        try:
            hosts = settings.addresses or tuple(machine_addresses())
        except OSError:  # The kernel was too busy to say; nothing changes until it does.
            return dict.fromkeys(self._served)
        ports: list[tuple[Kind, int]] = [
            ("UDP", settings.sip_port),
            ("TCP", settings.sip_port),
            ("TLS", settings.sips_port),
        ]
        if self._trunk is not None and self._trunk.server is not None:
            ports.append(("trunk", settings.trunk_port))
        return {(kind, (host, port)): None for host in hosts for kind, port in ports}

    def _open(self, place: Place) -> None:
        kind, address = place
        try:
            if kind == "UDP":
                self._served[place] = self._datagrams.open(address)
            else:
                self._served[place] = self._listen(kind, address)
        except OSError as error:
            if place not in self._failed:
                self._failed.add(place)
                self._say("alarm", f"{_name(place)} cannot be served: {error.strerror}; trying on")
            return
        if place in self._failed:
            self._failed.discard(place)
            self._say("info", f"{_name(place)} is served now")

    def _listen(self, kind: Kind, address: Address) -> Listener:
        outside, backlog = kind == "trunk", self._settings.listen_backlog
        admit = self._streams.admit_outsider if outside else self._streams.admit
        transport: Transport = "TCP" if kind == "TCP" else "TLS"
        return Listener(self._loop, transport, address, backlog, admit)

    def _close(self, place: Place) -> None:
        held = self._served.pop(place)
        if isinstance(held, Listener):
            held.close()
        else:
            self._datagrams.close(held)

    def _say(self, severity: str, text: str) -> None:
        self._notify(Notice(severity, "wire.address", text))


def _name(place: Place) -> str:
    return f"{place[0]} {host_port(place[1])}"
