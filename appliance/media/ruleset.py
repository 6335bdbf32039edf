"""The one nftables table of the media plane: its maps, chains and rules.

    prerouting   source, our port -> mark, new addresses: `taken`; anything else is not touched
    taken4, 6    the DSCP value; a copy of each RTCP packet and of some RTP headers for the tap
    input        the source of what stays on this machine becomes our address
    postrouting  the source of what leaves it becomes our address
    forward      no router: where we switched forwarding on, only what is marked may pass
    output       no ICMP redirect tells phones to talk past us

A mark is made of four bits that say it is ours, six for our address that the other phone sees, and
the number of the flow:

    0100 ssss ssrr rrrr rrrr rrrr rrrr rrxc     s address, r relay, x side b, c RTCP

The source is written last, as the kernel would refuse to route what comes from its own address. The
elements that give it count what leaves, beside those of the flows, which count what comes.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable
from typing import Final

from appliance.media.expression import (
    ACCEPT,
    DROP,
    GOTO,
    L4PROTO,
    MARK,
    NETWORK,
    NFPROTO,
    TRANSPORT,
    UNEQUAL,
    compare,
    counter,
    load,
    log,
    lookup,
    mask,
    meta,
    notrack,
    set_mark,
    store_address,
    store_class,
    store_ports,
    verdict,
)
from appliance.media.netlink import (
    ACK,
    CREATE,
    Netfilter,
    Request,
    attribute,
    attributes,
    nested,
    number,
    text,
)
from appliance.rtp.sampled import KERNEL_PERIOD

TABLE: Final = "holdfast_media"
MARK_PREFIX: Final = 0x40000000
PREFIX_MASK: Final = 0xF0000000
SLOT_SHIFT: Final = 22
SLOTS: Final = 64
RELAYS: Final = 1 << 20
SHARDS: Final = 16
"""Most processes that share the table; the number of a relay modulo this tells whose it is."""
FLOWS: Final = 49_152
"""Most flows of one family: four for each relay, and there are at most 11,001 relays. The kernel
makes 4/3 of it buckets, rounded up to a power of two: this number just fits."""
TAP_GROUP: Final = 5004
"""NFLOG group of the first process; the next ones follow."""
HEADER_OCTETS: Final = 88
"""Of a copied RTP packet: IPv6, UDP, and RTP with CSRCs."""

NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, NEWRULE, DELRULE = 0, 1, 2, 3, 6, 8
NEWSET, NEWSETELEM, GETSETELEM, DELSETELEM = 9, 12, 13, 14
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = range(5)
_RAW, _FILTER, _LAST = -300, 0, 300
_MAP: Final = 0x8
_TYPE_MARK, _TYPE_IPV4, _TYPE_IPV6, _TYPE_PORT = 19, 7, 8, 13
_HOST_ORDER: Final = attribute(13, bytes((0, 4)) + (1).to_bytes(4, sys.byteorder))
"""User data of a map by which `nft list` shows its keys the right way round."""
_UDP, _ICMP, _ICMPV6 = b"\x11", b"\x01", b"\x3a"
_IPV4, _IPV6 = b"\x02", b"\x0a"


def host_order(value: int) -> bytes:
    """Return a mark as it is in registers."""
    return value.to_bytes(4, sys.byteorder)


def table_name() -> bytes:
    """Return the attributes of a message about the table."""
    return text(1, TABLE)


def table_number(netfilter: Netfilter) -> int | None:
    """Return a number that no other table has had; None where there is no table."""
    try:
        (reply,) = netfilter.ask(Request(GETTABLE, ACK, table_name()))
    except (OSError, ValueError):
        return None
    return int.from_bytes(dict(attributes(reply.body[4:])).get(4, b""), "big")


def install(netfilter: Netfilter, shards: int, closed: Iterable[int], dscp: int = 46) -> None:
    """Make the table as it must be, keeping the elements it has.

    `closed` names the IP versions in which only our own packets may be forwarded; `dscp` is what
    all that pass are marked with. Raises OSError.
    """
    table = text(1, TABLE)
    netfilter.transact([Request(NEWTABLE, CREATE, table), *_maps()])
    requests = [_chain(name, *hook) for name, hook in _HOOKS.items()]
    requests += [Request(NEWCHAIN, CREATE, table + text(3, name)) for name in _TAKEN]
    for chain in (*_HOOKS, *_TAKEN):
        # All rules of a chain go and come in one transaction: no packet sees it without them.
        requests.append(Request(DELRULE, 0, table + text(2, chain)))
    requests += [_rule(chain, *rule) for chain, rule in _rules(shards, set(closed), dscp)]
    netfilter.transact(requests)


def remove(netfilter: Netfilter) -> None:
    """Remove the table with all that is in it, if it is there; raises OSError."""
    try:
        netfilter.transact([Request(DELTABLE, 0, text(1, TABLE))])
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


_TAKEN: Final = ("taken4", "taken6")
_HOOKS: Final = {
    "prerouting": (PREROUTING, _RAW),
    "input": (INPUT, _LAST),
    "forward": (FORWARD, _FILTER),
    "output": (OUTPUT, _FILTER),
    "postrouting": (POSTROUTING, _LAST),
}


def _maps() -> list[Request]:
    places = {"4": (_TYPE_IPV4, 4), "6": (_TYPE_IPV6, 16)}
    made = []
    for family, (kind, size) in places.items():
        key = _concatenation(kind, _TYPE_PORT, kind, _TYPE_PORT)
        value = _concatenation(_TYPE_MARK, kind, _TYPE_MARK)
        counted = nested(17, text(1, "counter"), nested(2))
        made.append(_map(f"flows{family}", (key, 2 * size + 8), (value, size + 8), FLOWS, counted))
        shown = _HOST_ORDER + counted
        made.append(_map(f"sources{family}", (_TYPE_MARK, 4), (kind, size), SLOTS, shown))
    return made


def _map(
    name: str, key: tuple[int, int], value: tuple[int, int], size: int, more: bytes = b""
) -> Request:
    body = text(1, TABLE) + text(2, name) + number(3, _MAP) + number(10, 1)
    body += number(4, key[0]) + number(5, key[1]) + number(6, value[0]) + number(7, value[1])
    return Request(NEWSET, CREATE, body + nested(9, number(1, size)) + more)


def _concatenation(*types: int) -> int:
    joined = 0
    for kind in types:
        joined = joined << 6 | kind
    return joined


def _chain(name: str, hook: int, priority: int) -> Request:
    place = nested(4, number(1, hook), number(2, priority & 0xFFFFFFFF))
    body = text(1, TABLE) + text(3, name) + place + number(5, ACCEPT) + text(7, "filter")
    return Request(NEWCHAIN, CREATE, body)


def _rule(chain: str, *expressions: bytes) -> Request:
    body = text(1, TABLE) + text(2, chain) + nested(4, *expressions)
    return Request(NEWRULE, CREATE | 0x800, body)


def _rules(shards: int, closed: set[int], dscp: int) -> Iterable[tuple[str, tuple[bytes, ...]]]:
    taken = [(notrack(), verdict(GOTO, chain)) for chain in _TAKEN]
    yield "prerouting", (*_whole_udp_4(), *_relayed("4", 12, 4), *taken[0])
    yield "prerouting", (*_whole_udp_6(), *_relayed("6", 8, 16), *taken[1])
    for chain, marked in zip(_TAKEN, (_marked_4(dscp), _marked_6(dscp)), strict=True):
        yield chain, marked
        for shard in range(min(shards, SHARDS)):
            mine = _of_shard(shard) if shards > 1 else ()
            yield chain, (*_is_rtcp(), *mine, log(TAP_GROUP + shard, 0), verdict(ACCEPT))
            yield chain, (*_is_sample(), *mine, log(TAP_GROUP + shard, HEADER_OCTETS))
    for chain in ("input", "postrouting"):
        yield chain, _from_us(_IPV4, "sources4", 12, 4)
        yield chain, _from_us(_IPV6, "sources6", 8, 16)
    if closed:
        yield "forward", (*_ours(), verdict(ACCEPT))
    for version, family in ((4, _IPV4), (6, _IPV6)):
        if version in closed:
            yield "forward", (meta(NFPROTO, 0), compare(0, family), counter(), verdict(DROP))
    if 4 in closed:
        redirect = (load(TRANSPORT, 0, 1, 0), compare(0, b"\x05"), verdict(DROP))
        yield "output", (*_protocol(_IPV4, _ICMP), *redirect)
    if 6 in closed:
        redirect = (load(TRANSPORT, 0, 1, 0), compare(0, b"\x89"), verdict(DROP))
        yield "output", (*_protocol(_IPV6, _ICMPV6), *redirect)


def _protocol(family: bytes, protocol: bytes) -> tuple[bytes, ...]:
    return meta(NFPROTO, 0), compare(0, family), meta(L4PROTO, 0), compare(0, protocol)


def _whole_udp_4() -> tuple[bytes, ...]:
    """Leave fragments to user space, which gets them put together."""
    whole = (load(NETWORK, 6, 2, 0), mask(0, b"\x3f\xff"), compare(0, bytes(2)))
    return (*_protocol(_IPV4, _UDP), *whole)


def _whole_udp_6() -> tuple[bytes, ...]:
    """Leave packets with extension headers, fragments among them, to user space."""
    return (meta(NFPROTO, 0), compare(0, _IPV6), load(NETWORK, 6, 1, 0), compare(0, _UDP))


def _relayed(family: str, at: int, size: int) -> tuple[bytes, ...]:
    """Find the flow by both ends; mark it and name its next end.

    The map gives mark, address and ports in one go: a map for each of them would cost a search
    each.
    """
    words = size // 4
    key = (
        load(NETWORK, at, size, 0),
        load(TRANSPORT, 0, 2, words),
        load(NETWORK, at + size, size, words + 1),
        load(TRANSPORT, 2, 2, 2 * words + 1),
    )
    # What is found takes the registers of like parts of the key, as `nft list` looks for words
    # for each register and ends badly where it has none: it shows `ip daddr set ip daddr`.
    found = lookup(f"flows{family}", 0, words)
    address = store_address(at + size, size, words + 1)
    return (*key, found, set_mark(words), address, store_ports(2 * words + 1))


def _marked_4(dscp: int) -> tuple[bytes, ...]:
    """Set the DSCP value where the phone has not, and keep ECN."""
    value = bytes((0, dscp << 2))
    other = (load(NETWORK, 1, 1, 0), mask(0, b"\xfc"), compare(0, value[1:], UNEQUAL))
    return (*other, load(NETWORK, 0, 2, 0), mask(0, b"\xff\x03", value), store_class(0, True))


def _marked_6(dscp: int) -> tuple[bytes, ...]:
    """Do the same for IPv6, where the traffic class lies across two octets."""
    value = bytes((dscp >> 2, (dscp & 3) << 6))
    other = (load(NETWORK, 0, 2, 0), mask(0, b"\x0f\xc0"), compare(0, value, UNEQUAL))
    return (*other, load(NETWORK, 0, 2, 0), mask(0, b"\xf0\x3f", value), store_class(0, False))


def _of_shard(shard: int) -> tuple[bytes, ...]:
    return (
        meta(MARK, 1),
        mask(1, host_order((SHARDS - 1) << 2)),
        compare(1, host_order(shard << 2)),
    )


def _is_rtcp() -> tuple[bytes, ...]:
    """Match payload types 192 to 223, which RTP leaves to RTCP (RFC 5761)."""
    return load(TRANSPORT, 9, 1, 0), mask(0, b"\xe0"), compare(0, b"\xc0")


def _is_sample() -> tuple[bytes, ...]:
    bits = (KERNEL_PERIOD - 4).to_bytes(2, "big")
    return load(TRANSPORT, 10, 2, 0), mask(0, bits), compare(0, bytes(2))


def _from_us(family: bytes, name: str, at: int, size: int) -> tuple[bytes, ...]:
    slot = mask(0, host_order(0xFFFFFFFF << SLOT_SHIFT & 0xFFFFFFFF))
    found = lookup(name, 0, 1)
    return (
        meta(NFPROTO, 0),
        compare(0, family),
        meta(MARK, 0),
        slot,
        found,
        store_address(at, size, 1),
    )


def _ours() -> tuple[bytes, ...]:
    return meta(MARK, 0), mask(0, host_order(PREFIX_MASK)), compare(0, host_order(MARK_PREFIX))
