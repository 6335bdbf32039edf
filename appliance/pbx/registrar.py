"""Answer REGISTER: bind users' phones to where they are (RFC 3261, section 10.3)."""

from __future__ import annotations

from collections.abc import Callable
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
from appliance.sip.plain import AT, bare_contact, party_address
from appliance.sip.uri import SipUri, parse_uri

LONGEST_CONTACT = 1024
"""Characters of one contact URI: kept for every phone, written to disk and into every INVITE."""
LONGEST_TEXT = 256
"""Characters kept of User-Agent and +sip.instance."""
FULL_RETRY = 60
"""Retry-After of the 503 for a user whose places are all taken: a phone may go meanwhile."""


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
        self._tag = authentication.tag
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
            self._check_owner(request, user, flow)
            plain = request.plain
            bare = bare_contact(plain) if plain is not None else None
            if bare is not None and not self._location.of_user(user.id):
                self._bind_first(request, user, bare, flow, now)
            elif contacts := request.contacts:
                if contacts[0] is STAR:
                    self._remove_all(request, user)
                else:
                    self._bind(request, user, contacts, flow, now)
            return request.response(200, None, self._tag, self._bound(user, now))
        except RemoteError as error:
            return request.response(error.status, error.reason, self._tag, error.headers)

    def _check_owner(self, request: Request, user: User, flow: Flow) -> None:
        """Refuse to touch anybody else's address of record (step 4)."""
        name, host = _owner(request)
        if name is None:
            raise RemoteError(404, "The address of record names no user")
        ours = host in self._hosts or host.strip("[]") == flow.local[0]
        if not ours or self._directory.by_address(name) is not user:
            raise RemoteError(403, "The address of record belongs to somebody else")

    def _remove_all(self, request: Request, user: User) -> None:
        if request.expires != 0:
            raise RemoteError(400, "Contact: * needs Expires: 0")
        bindings = self._location.of_user(user.id)
        for binding in bindings:
            _check_order(request, binding)
        for binding in bindings:
            self._location.remove(binding)

    def _bind_first(
        self, request: Request, user: User, contact: str, flow: Flow, now: float
    ) -> None:
        """Bind a contact without parameters for a user without a phone.

        The same as `_bind`, where nothing is found, nothing comes late and there is room.
        """
        _check_length(contact)
        expires = self._granted(request.expires)
        if not expires:
            return
        binding = Binding(
            user=user.id,
            contact=contact,
            flow=flow,
            expires_at=now + expires,
            granted=expires,
            call_id=request.call_id,
            cseq=request.cseq.number,
            user_agent=(request.first("User-Agent") or "")[:LONGEST_TEXT],
            registered_at=now,
        )
        self._location.add(binding)

    def _bind(
        self, request: Request, user: User, contacts: tuple[NameAddr, ...], flow: Flow, now: float
    ) -> None:
        if len(contacts) == 1:
            wish = self._wish(request, user, request.first("Contact") or "", contacts[0])
            if wish.old is None and wish.expires:
                self._make_room(user, [wish])
            self._grant(request, user, wish, flow, now)
            return
        texts = request.values("Contact")
        wishes = [self._wish(request, user, *both) for both in zip(texts, contacts, strict=True)]
        self._make_room(user, wishes)
        for wish in wishes:
            # An earlier contact of this very request may have taken the place of an old binding.
            old = self._find(user, wish.contact, wish.address)
            self._grant(request, user, wish._replace(old=old), flow, now)

    def _wish(self, request: Request, user: User, text: str, address: NameAddr) -> _Wish:
        contact = _uri_text(text, address)
        expires = self._expires(request, address)
        old = self._find(user, contact, address)
        if old is not None:
            _check_order(request, old)
        return _Wish(contact, address, expires, old)

    def _expires(self, request: Request, address: NameAddr) -> int:
        """Return the seconds to grant, 0 to remove (step 6 and section 10.2.1.1)."""
        wanted = address.expires if address.params else None
        if wanted is None:
            wanted = request.expires
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

    def _grant(self, request: Request, user: User, wish: _Wish, flow: Flow, now: float) -> None:
        location, old = self._location, wish.old
        if old is not None:
            if wish.expires and old.contact == wish.contact:
                changed = _update(old, request, wish)
                location.refresh(old, flow, wish.expires, now, changed)
                return
            location.remove(old)
            self._full.discard(user.id)
        if wish.expires:
            location.add(_binding(request, user, wish, flow, now))

    def _bound(self, user: User, now: float) -> list[Header]:
        """Return the Contact headers that list a user's bindings (step 8)."""
        return [("Contact", _shown(binding, now)) for binding in self._location.of_user(user.id)]


def closed(request: Request, retry_after: int, tag: str) -> Response:
    """Return the answer to a REGISTER in standby: come back later, never "no" (A2)."""
    return request.response(503, None, tag, (("Retry-After", str(retry_after)),))


def _check_order(request: Request, binding: Binding) -> None:
    """Refuse a REGISTER that comes late (step 7): its Call-ID's CSeq must have grown."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
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


def _owner(request: Request) -> tuple[str | None, str]:
    """Return user and host of the address of record; no user for what is no SIP address."""
    plain = request.plain
    if plain is not None:
        return party_address(plain, AT["To"])
    uri = request.to.uri
    return (uri.user, uri.host) if isinstance(uri, SipUri) else (None, "")


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


def _binding(request: Request, user: User, wish: _Wish, flow: Flow, now: float) -> Binding:
    address = wish.address
    # Most contacts have no parameters, and to look for each of them costs 1 us.
    instance, reg_id = _identity(address) if address.params else ("", 0)
    return Binding(
        user=user.id,
        contact=wish.contact,
        flow=flow,
        expires_at=now + wish.expires,
        granted=wish.expires,
        call_id=request.call_id,
        cseq=request.cseq.number,
        q=address.q if address.params else 1.0,
        instance=instance,
        reg_id=reg_id,
        user_agent=(request.first("User-Agent") or "")[:LONGEST_TEXT],
        registered_at=now,
    )


def _update(binding: Binding, request: Request, wish: _Wish) -> bool:
    """Take what a refresh says anew; tell whether any of it is worth saving."""
    binding.cseq = request.cseq.number
    call_id = request.call_id
    agent = (request.first("User-Agent") or "")[:LONGEST_TEXT]
    changed = call_id != binding.call_id or agent != binding.user_agent
    binding.call_id, binding.user_agent = call_id, agent
    address = wish.address
    if address.params or binding.instance or binding.q != 1.0:
        before = (binding.q, binding.instance, binding.reg_id)
        binding.q = address.q
        binding.instance, binding.reg_id = _identity(address)
        changed = changed or before != (binding.q, binding.instance, binding.reg_id)
    return changed


def _shown(binding: Binding, now: float) -> str:
    text = f"<{binding.contact}>;expires={max(round(binding.expires_at - now), 0)}"
    if binding.q != 1.0:
        text += f";q={binding.q:g}"
    if binding.instance:
        text += f';+sip.instance="{binding.instance}"'
    if binding.reg_id:
        text += f";reg-id={binding.reg_id}"
    return text
