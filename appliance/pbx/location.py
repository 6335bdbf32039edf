"""Where users' phones are: every binding, found by user and by connection (RFC 3261, section 10).

All names of a user are one address of record, the user's id, so a phone that registers as the
extension and one that registers as an alias ring together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from math import ceil
from typing import TypeVar

import msgspec

from appliance.call.actions import Action, DropBinding, SaveBinding
from appliance.errors import RemoteError
from appliance.sip.flow import Flow
from appliance.sip.timers import TimerQueue
from appliance.sip.uri import SipUri, parse_uri

Key = TypeVar("Key")

_pack = msgspec.msgpack.Encoder().encode


class Binding(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """One phone of one user; also the row that `SaveBinding` writes."""

    user: str
    """Id of the bundle's user: the address of record."""
    contact: str
    """The URI as the phone wrote it; what its requests are addressed to."""
    flow: Flow
    """The path it registered on, which requests to it reuse."""
    expires_at: float
    """Monotonic seconds."""
    granted: int
    """Seconds it was last registered for."""
    call_id: str
    """Call-ID of the REGISTER that made or last changed it."""
    cseq: int
    q: float = 1.0
    """The phone's preference, 0 to 1."""
    instance: str = ""
    """+sip.instance without quotes, e.g. `<urn:uuid:...>`; the same phone whatever its address."""
    reg_id: int = 0
    """reg-id (RFC 5626); 0: none."""
    user_agent: str = ""
    registered_at: float = 0.0
    """Monotonic seconds of the first REGISTER of this binding."""
    flow_lost: bool = False
    """The connection it registered on is gone; only a new REGISTER makes sure of it again."""
    told: bool = False
    """Whether it was sent that the site serves itself, and not yet that this is over."""
    no_texts: bool = False
    """Whether it has refused a text."""
    due: int = 0
    """Second in which `Location` looks at it next."""

    @property
    def target(self) -> str:
        """Return the contact as a Request-URI, which carries no headers (RFC 3261, 19.1.1)."""
        return self.contact.partition("?")[0]


class Location:
    """Keep bindings, find them, and let them expire.

    Indexes hold tuples, because nearly every user has one phone and nearly every phone one user.
    A binding that is refreshed costs no timer: it waits in the bucket of a second, and when that
    second comes and it has been refreshed meanwhile it moves on to a later one.
    """

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Action], None],
        connected: Callable[[str, float], None] = lambda host, now: None,
        added: Callable[[Binding, float], None] = lambda binding, now: None,
        removed: Callable[[Binding], None] = lambda binding: None,
    ) -> None:
        """Name who is told what: addresses of phones newly connected; new and ended bindings."""
        self._timers = timers
        self._emit = emit
        self._connected = connected
        self._added = added
        self._removed = removed
        self._users: dict[str, tuple[Binding, ...]] = {}
        self._connections: dict[int, tuple[Binding, ...]] = {}
        self._hosts: dict[str, int] = {}
        self._buckets: dict[int, dict[int, Binding]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Binding]:
        for bindings in tuple(self._users.values()):
            yield from bindings

    def users(self) -> int:
        """Return how many users have at least one phone."""
        return len(self._users)

    def of_user(self, user: str) -> tuple[Binding, ...]:
        """Return a user's bindings, the oldest first."""
        return self._users.get(user, ())

    def reachable(self, user: str) -> tuple[Binding, ...]:
        """Return the bindings a request can be sent to, the preferred first (RFC 3261, 16.6)."""
        there = [b for b in self.of_user(user) if not b.flow_lost or b.flow.connection == 0]
        return tuple(sorted(there, key=lambda binding: -binding.q))

    def on_flow(self, flow: Flow) -> tuple[Binding, ...]:
        """Return the bindings made on a stream connection."""
        return self._connections.get(flow.connection, ())

    def proves(self, flow: Flow, user: str) -> bool:
        """Tell whether this user is registered on exactly this flow."""
        return any(binding.flow == flow for binding in self.of_user(user))

    def holds(self, address: str) -> bool:
        """Tell whether any phone is registered from this address."""
        return address in self._hosts

    def add(self, binding: Binding) -> None:
        """Take a new binding and have it saved; the place of its contact must be free."""
        self._insert(binding)
        self._added(binding, binding.registered_at)
        self.save(binding)
        if binding.flow.connection > 0:
            self._connected(binding.flow.remote[0], binding.registered_at)

    def refresh(
        self, binding: Binding, flow: Flow, granted: int, now: float, changed: bool = False
    ) -> None:
        """Prolong a binding, on another flow if the phone moved.

        Saved only if `changed` or when more than the time changed here: a restart grants the whole
        time again anyway.
        """
        binding.expires_at = now + granted
        if binding.flow != flow or binding.flow_lost or binding.granted != granted:
            self._unlink(binding)
            binding.flow, binding.granted, binding.flow_lost = flow, granted, False
            self._link(binding)
            self._wait(binding)
            changed = True
            if flow.connection > 0:
                self._connected(flow.remote[0], now)
        if changed:
            self.save(binding)

    def remove(self, binding: Binding) -> None:
        """Forget a binding."""
        _take_out(self._users, binding.user, binding)
        self._count -= 1
        self._unlink(binding)
        self._leave(binding)
        self._emit(DropBinding(binding.user, binding.contact))
        self._removed(binding)

    def lost(self, flow: Flow, now: float) -> None:
        """Mark what was registered on a stream connection that ended."""
        for binding in self.on_flow(flow):
            self._unlink(binding)
            _mark_lost(binding)
            self._link(binding)

    def restore(self, rows: Iterable[bytes], offset: float, now: float) -> None:
        """Take back what `SaveBinding` wrote before a restart; a row nobody can read is skipped.

        Refreshes are not written, so each binding gets its whole time again: a phone that is still
        there comes back within it. `offset` brings the times in the rows onto today's clock.
        """
        for row in rows:
            try:
                binding = msgspec.msgpack.decode(row, type=Binding)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if any(binding.contact == other.contact for other in self.of_user(binding.user)):
                continue
            binding.expires_at = now + binding.granted
            binding.registered_at += offset
            binding.due = 0
            if binding.flow.reliable:
                _mark_lost(binding)
            self._insert(binding)

    def keep(self, users: Iterable[str]) -> None:
        """Forget the bindings of everybody else: a new bundle may know fewer users."""
        for user in self._users.keys() - set(users):
            for binding in self.of_user(user):
                self.remove(binding)

    def _insert(self, binding: Binding) -> None:
        self._users[binding.user] = (*self._users.get(binding.user, ()), binding)
        self._count += 1
        self._link(binding)
        self._wait(binding)

    def _link(self, binding: Binding) -> None:
        flow = binding.flow
        host = flow.remote[0]
        self._hosts[host] = self._hosts.get(host, 0) + 1
        if flow.connection > 0:
            there = self._connections.get(flow.connection, ())
            self._connections[flow.connection] = (*there, binding)

    def _unlink(self, binding: Binding) -> None:
        flow = binding.flow
        host = flow.remote[0]
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        if flow.connection > 0:
            _take_out(self._connections, flow.connection, binding)

    def _wait(self, binding: Binding) -> None:
        """Put a binding into the bucket of its expiry, unless it is looked at in time anyway."""
        second = ceil(binding.expires_at)
        if binding.due:
            if binding.due <= second:
                return
            self._leave(binding)
        binding.due = second
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = {}
            self._timers.arm(second, lambda now: self._look(second, now))
        bucket[id(binding)] = binding

    def _leave(self, binding: Binding) -> None:
        bucket = self._buckets.get(binding.due)
        if bucket is not None:
            bucket.pop(id(binding), None)
        binding.due = 0

    def _look(self, second: int, now: float) -> None:
        for binding in self._buckets.pop(second).values():
            binding.due = 0
            if binding.expires_at <= now:
                self.remove(binding)
            else:
                self._wait(binding)

    def save(self, binding: Binding) -> None:
        """Have a binding written as it is now."""
        self._emit(SaveBinding(binding.user, binding.contact, _pack(binding)))


def _take_out(index: dict[Key, tuple[Binding, ...]], key: Key, binding: Binding) -> None:
    rest = tuple([other for other in index[key] if other is not binding])
    if rest:
        index[key] = rest
    else:
        del index[key]


def _mark_lost(binding: Binding) -> None:
    """Note that a connection is gone, and where a new one may be made."""
    binding.flow_lost = True
    binding.flow = way_back(binding.flow, binding.contact)


def way_back(flow: Flow, contact: str) -> Flow:
    """Return what is left of a flow whose connection has ended: `GONE`, or "connect anew".

    A phone that takes TCP connections names its own address and port as contact; one behind a NAT,
    or on TLS without a certificate of its own, can only come back by itself.
    """
    try:
        uri = parse_uri(contact)
        if isinstance(uri, SipUri) and uri.port and flow.transport == "TCP":
            host = str(ip_address(uri.host.strip("[]")))
            if host == flow.remote[0]:
                return Flow("TCP", flow.local, (host, uri.port))
    except (RemoteError, ValueError):
        pass
    return flow.gone
