"""Which addresses this machine has, and how SIP's sockets on them are opened."""

from __future__ import annotations

import ipaddress
import socket
import struct

from appliance.marking import SIGNALLING
from appliance.sip.flow import Address

KEEPALIVE_IDLE = 60
"""Seconds of silence before the kernel asks whether a TCP peer is still there."""
KEEPALIVE_INTERVAL = 15
KEEPALIVE_PROBES = 4
USER_TIMEOUT = 30_000
"""Milliseconds sent data may stay unacknowledged; a phone unplugged in mid-call is noticed then."""

_SO_RCVBUFFORCE = 33
_NETLINK_ROUTE = 0
_GET_ADDRESSES = 22
_NEW_ADDRESS = 20
_REQUEST_DUMP = 0x301
_DONE_OR_ERROR = (2, 3)
_HEADER = struct.Struct("=IHHII")
_ADDRESS_HEADER = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_ATTRIBUTE_ADDRESS = 1
_ATTRIBUTE_LOCAL = 2
_UNUSABLE = 0x01 | 0x08 | 0x40
"""Flags of a privacy address, one that is somebody else's too, and one not proved unique yet."""


def machine_addresses() -> list[str]:
    """Return every address of this machine that phones can use, IPv4 first.

    Link-local IPv6 is left out: such an address means nothing without its interface, and SIP has no
    place for that. Asked of the kernel itself, because a resolver knows one name's addresses only.
    """
    found: set[str] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as kernel:
        kernel.settimeout(2.0)
        kernel.sendall(_HEADER.pack(24, _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + bytes(8))
        while _read_dump(kernel.recv(1 << 16), found):
            pass
    return sorted(found, key=_order)


def _order(host: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host)
    return address.version, int(address)


def _read_dump(data: bytes, found: set[str]) -> bool:
    """Add the addresses of one netlink datagram; False when it was the last."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if kind in _DONE_OR_ERROR or length < _HEADER.size:
            return False
        if kind == _NEW_ADDRESS:
            host = _usable(data[start + _HEADER.size : start + length])
            if host is not None:
                found.add(host)
        start += (length + 3) & ~3
    return True


def _usable(message: bytes) -> str | None:
    family, _, flags, _, _ = _ADDRESS_HEADER.unpack_from(message)
    if flags & _UNUSABLE:
        return None
    attributes = _attributes(message[_ADDRESS_HEADER.size :])
    # On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL ours (rtnetlink(7)).
    packed = attributes.get(_ATTRIBUTE_LOCAL) or attributes.get(_ATTRIBUTE_ADDRESS)
    if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    address = ipaddress.ip_address(packed)
    return None if address.version == 6 and address.is_link_local else str(address)


def _attributes(data: bytes) -> dict[int, bytes]:
    attributes: dict[int, bytes] = {}
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind] = data[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    return attributes


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a numeric host."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_numeric(host: str) -> bool:
    """Tell whether `host` is an address; only those are sent to, names are resolved elsewhere."""
    try:
        socket.inet_pton(family_of(host), host)
    except OSError:
        return False
    return True


def open_datagram(address: Address, receive_buffer: int) -> socket.socket:
    """Open a non-blocking UDP socket bound to one address; raises OSError."""
    opened = socket.socket(family_of(address[0]), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        _prepare(opened)
        _widen(opened, receive_buffer)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def open_listener(address: Address, backlog: int) -> socket.socket:
    """Open a non-blocking TCP listener whose connections inherit all its options; OSError."""
    opened = socket.socket(family_of(address[0]), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _prepare(opened)
        _prepare_stream(opened)
        opened.bind(address)
        opened.listen(backlog)
    except OSError:
        opened.close()
        raise
    return opened


def open_stream(remote: Address, local: str) -> socket.socket:
    """Begin to connect from `local` (empty: as routed); writable when it is decided; OSError."""
    opened = socket.socket(family_of(remote[0]), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _prepare(opened)
        _prepare_stream(opened)
        if local:
            opened.bind((local, 0))
        opened.connect(remote)
    except BlockingIOError:
        return opened
    except OSError:
        opened.close()
        raise
    return opened


def _prepare(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    SIGNALLING.mark(opened)


def _prepare_stream(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, KEEPALIVE_IDLE),
        (socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL),
        (socket.TCP_KEEPCNT, KEEPALIVE_PROBES),
        (socket.TCP_USER_TIMEOUT, USER_TIMEOUT),
    ):
        opened.setsockopt(socket.IPPROTO_TCP, option, value)


def _widen(opened: socket.socket, receive_buffer: int) -> None:
    """Ask for a receive buffer beyond net.core.rmem_max, or for as much as that allows."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
