"""Answer REGISTER: bind users' phones to where they are (RFC 3261, section 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.bundle import Bundle, User
from appliance.call.actions import Action, Notice
from appliance.errors import RemoteError
from appliance.pbx.authentication import Authentication
from appliance.pbx.directory import Directory
from appliance.pbx.location import Binding, Location
from appliance.sip.flow import Flow
from appliance.sip.headers import STAR, NameAddr
from appliance.sip.message import Header, Request, Response
from appliance.sip.uri import SipUri, parse_uri

LONGEST_CONTACT = 1024
"""Characters of one contact URI: kept for every phone, written to disk and into every INVITE."""
LONGEST_TEXT = 256
"""Characters kept of User-Agent and +sip.instance."""
FULL_RETRY = 60
"""Retry-After of the 503 for a user whose places are all taken: a phone may go meanwhile."""


class Registration(NamedTuple):
    """What a REGISTER says besides its contacts."""

    call_id: str
    cseq: int
    expires: int | None
    """Its Expires header; None: there is none that can be read."""
    agent: str
    """Its User-Agent."""


class _Wish(NamedTuple):
    """What a REGISTER asks for one contact, found to be allowed and not yet done."""

    contact: str
    address: NameAddr
    expires: int
    old: Binding | None


class Registrar:
    """Keep `Location` as phones want it, within one bundle's policies.

    Every change of one REGISTER is made or none is: all that can fail is checked first.
    """

    def __init__(
        self,
        directory: Directory,
        bundle: Bundle,
        location: Location,
        authentication: Authentication,
        emit: Callable[[Action], None],
    ) -> None:
        self._directory = directory
        self._location = location
        self._authentication = authentication
        self._emit = emit
        self._policies = bundle.policies
        self.tag = authentication.tag
        """To tag of every answer."""
        zones = (zone.host.lower() for zone in bundle.zones)
        self._hosts = frozenset((directory.domain, *zones))
        """Hosts of our addresses of record: a phone without a domain setting uses its server's."""
        self._full: set[str] = set()
        """Ids of users told of as having no place left."""

    def receive(self, request: Request, flow: Flow, now: float) -> Response:
        """Do what an authenticated REGISTER wants; return the answer, which is always final."""
        try:
            user = self._authentication.check(request, flow, now)
            if isinstance(user, Response):
                return user
            uri = request.to.uri
            name, host = (uri.user, uri.host) if isinstance(uri, SipUri) else (None, "")
            self.check_owner(name, host, user, flow)
            contacts, said = request.contacts, _said(request)
            if contacts and contacts[0] is STAR:
                self._remove_all(said, user)
            elif contacts:
                texts = (
                    request.values("Contact")
                    if len(contacts) > 1
                    else (request.first("Contact") or "",)
                )
                self._bind(said, user, texts, contacts, flow, now)
            return request.response(200, None, self.tag, self.bound(user, now))
        except RemoteError as error:
            return request.response(error.status, error.reason, self.tag, error.headers)

    def check_owner(self, name: str | None, host: str, user: User, flow: Flow) -> None:
        """Refuse to touch anybody else's address of record (step 4)."""
        if name is None:
            raise RemoteError(404, "The address of record names no user")
        ours = host in self._hosts or host.strip("[]") == flow.local[0]
        if not ours or self._directory.by_address(name) is not user:
            raise RemoteError(403, "The address of record belongs to somebody else")

    def _remove_all(self, said: Registration, user: User) -> None:
        if said.expires != 0:
            raise RemoteError(400, "Contact: * needs Expires: 0")
        bindings = self._location.of_user(user.id)
        for binding in bindings:
            _check_order(said, binding)
        for binding in bindings:
            self._location.remove(binding)

    def bind(
        self, said: Registration, user: User, text: str, uri: str, flow: Flow, now: float
    ) -> None:
        """Bind the one contact of a REGISTER, given whole and as its URI (steps 6 and 7).

        Raises RemoteError for what must not be. Nearly all are the first of their user, or prolong
        the only one, and have no parameters behind the URI: these need not be parsed.
        """
        bindings = self._location.of_user(user.id)
        if len(text) == len(uri) + 2 and len(uri) <= LONGEST_CONTACT:
            if not bindings:
                self._bind_first(said, user, uri, flow, now)
                return
            old = bindings[0]
            is_same = len(bindings) == 1 and old.contact == uri
            if is_same and not old.instance and old.q == 1.0:
                self._prolong(said, user, old, flow, now)
                return
        self._bind(said, user, (text,), (NameAddr.parse(text),), flow, now)

    def _bind_first(
        self, said: Registration, user: User, contact: str, flow: Flow, now: float
    ) -> None:
        expires = self._granted(said.expires)
        if expires:
            binding = Binding(
                user=user.id,
                contact=contact,
                flow=flow,
                expires_at=now + expires,
                granted=expires,
                call_id=said.call_id,
                cseq=said.cseq,
                user_agent=said.agent,
                registered_at=now,
            )
            self._location.add(binding)

    def _prolong(
        self, said: Registration, user: User, old: Binding, flow: Flow, now: float
    ) -> None:
        expires = self._granted(said.expires)
        _check_order(said, old)
        if not expires:
            self._location.remove(old)
            self._full.discard(user.id)
            return
        changed = said.call_id != old.call_id or said.agent != old.user_agent or bool(old.reg_id)
        old.cseq, old.call_id, old.user_agent, old.reg_id = said.cseq, said.call_id, said.agent, 0
        self._location.refresh(old, flow, expires, now, changed)

    def _bind(
        self,
        said: Registration,
        user: User,
        texts: Sequence[str],
        contacts: tuple[NameAddr, ...],
        flow: Flow,
        now: float,
    ) -> None:
        wishes = [self._wish(said, user, *both) for both in zip(texts, contacts, strict=True)]
        self._make_room(user, wishes)
        for wish in wishes:
            # An earlier contact of this very request may have taken the place of an old binding.
            old = self._find(user, wish.contact, wish.address)
            self._grant(said, user, wish._replace(old=old), flow, now)

    def _wish(self, said: Registration, user: User, text: str, address: NameAddr) -> _Wish:
        contact = _uri_text(text, address)
        expires = self._expires(said, address)
        old = self._find(user, contact, address)
        if old is not None:
            _check_order(said, old)
        return _Wish(contact, address, expires, old)

    def _expires(self, said: Registration, address: NameAddr) -> int:
        """Return the seconds to grant, 0 to remove (step 6 and section 10.2.1.1)."""
        wanted = address.expires if address.params else None
        if wanted is None:
            wanted = said.expires
        return self._granted(wanted)

    def _granted(self, wanted: int | None) -> int:
        policies = self._policies
        if wanted is None or wanted > policies.max_expires:
            return policies.max_expires
        if 0 < wanted < policies.min_expires:
            shortest = (("Min-Expires", str(policies.min_expires)),)
            raise RemoteError(423, "Interval Too Brief", shortest)
        return wanted

    def _find(self, user: User, contact: str, address: NameAddr) -> Binding | None:
        """Return the binding that a contact means: written the same, the same phone, or equal."""
        bindings = self._location.of_user(user.id)
        for binding in bindings:
            if binding.contact == contact:
                return binding
        if bindings and (identity := _identity(address))[0]:
            for binding in bindings:
                if identity == (binding.instance, binding.reg_id):
                    return binding
        for binding in bindings:
            if parse_uri(binding.contact) == address.uri:
                return binding
        return None

    def _make_room(self, user: User, wishes: list[_Wish]) -> None:
        """Refuse more phones than a user may have; lost ones give way first."""
        bindings, most = self._location.of_user(user.id), self._policies.bindings_per_user
        if len(bindings) + len(wishes) <= most:
            return
        new = sum(1 for wish in wishes if wish.expires and wish.old is None)
        surplus = len(bindings) + new - most
        if surplus <= 0 or not new:
            return
        asked = [wish.old for wish in wishes]
        lost = [binding for binding in bindings if binding.flow_lost and binding not in asked]
        if len(lost) < surplus:
            self._refuse_more(user, len(bindings))
        for binding in lost[:surplus]:
            self._location.remove(binding)

    def _refuse_more(self, user: User, count: int) -> None:
        if user.id not in self._full:
            self._full.add(user.id)
            text = f"{user.name} ({user.extension}) has {count} phones registered; one more refused"
            self._emit(Notice("warning", "registrar.full", text))
        retry = (("Retry-After", str(FULL_RETRY)),)
        raise RemoteError(503, "This user has too many phones registered", retry)

    def _grant(self, said: Registration, user: User, wish: _Wish, flow: Flow, now: float) -> None:
        location, old = self._location, wish.old
        if old is not None:
            if wish.expires and old.contact == wish.contact:
                changed = _update(old, said, wish)
                location.refresh(old, flow, wish.expires, now, changed)
                return
            location.remove(old)
            self._full.discard(user.id)
        if wish.expires:
            location.add(_binding(said, user, wish, flow, now))

    def bound(self, user: User, now: float) -> list[Header]:
        """Return the Contact headers that list a user's bindings (step 8)."""
        return [("Contact", _shown(binding, now)) for binding in self._location.of_user(user.id)]


def closed(request: Request, retry_after: int, tag: str) -> Response:
    """Return the answer to a REGISTER in standby: come back later, never "no" (A2)."""
    return request.response(503, None, tag, (("Retry-After", str(retry_after)),))


def _said(request: Request) -> Registration:
    agent = (request.first("User-Agent") or "")[:LONGEST_TEXT]
    return Registration(request.call_id, request.cseq.number, request.expires, agent)


def _check_order(said: Registration, binding: Binding) -> None:
    """Refuse a REGISTER that comes late (step 7): its Call-ID's CSeq must have grown."""
    if binding.call_id == said.call_id and said.cseq <= binding.cseq:
        raise RemoteError(500, "A later REGISTER of this phone was here before")


def _uri_text(text: str, address: NameAddr) -> str:
    """Return a contact's URI as the phone wrote it, by which it recognises itself."""
    if not isinstance(address.uri, SipUri):
        raise RemoteError(400, "Only a sip or sips contact can be called")
    uri = text[1 : text.index(">")] if text.startswith("<") else str(address.uri)
    _check_length(uri)
    return uri


def _check_length(contact: str) -> None:
    if len(contact) > LONGEST_CONTACT:
        raise RemoteError(400, "The contact is too long")


def _identity(address: NameAddr) -> tuple[str, int]:
    """Return +sip.instance and reg-id (RFC 5626, section 4.2), `("", 0)` where there is none."""
    if not address.params:
        return "", 0
    instance = (address.param("+sip.instance") or "")[:LONGEST_TEXT]
    if '"' in instance or "\\" in instance:
        return "", 0
    number = address.params.get("reg-id") or ""
    return instance, int(number) if number.isascii() and number.isdigit() and len(
        number
    ) < 10 else 0


def _binding(said: Registration, user: User, wish: _Wish, flow: Flow, now: float) -> Binding:
    address = wish.address
    instance, reg_id = _identity(address)
    return Binding(
        user=user.id,
        contact=wish.contact,
        flow=flow,
        expires_at=now + wish.expires,
        granted=wish.expires,
        call_id=said.call_id,
        cseq=said.cseq,
        q=address.q,
        instance=instance,
        reg_id=reg_id,
        user_agent=said.agent,
        registered_at=now,
    )


def _update(binding: Binding, said: Registration, wish: _Wish) -> bool:
    """Take what a refresh says anew; tell whether any of it is worth saving."""
    address = wish.address
    instance, reg_id = _identity(address)
    before = (
        *(binding.call_id, binding.user_agent),
        *(binding.q, binding.instance, binding.reg_id),
    )
    binding.cseq = said.cseq
    binding.call_id, binding.user_agent = said.call_id, said.agent
    binding.q, binding.instance, binding.reg_id = address.q, instance, reg_id
    return before != (said.call_id, said.agent, address.q, instance, reg_id)


def _shown(binding: Binding, now: float) -> str:
    text = f"<{binding.contact}>;expires={max(round(binding.expires_at - now), 0)}"
    if binding.q != 1.0:
        text += f";q={binding.q:g}"
    if binding.instance:
        text += f';+sip.instance="{binding.instance}"'
    if binding.reg_id:
        text += f";reg-id={binding.reg_id}"
    return text
