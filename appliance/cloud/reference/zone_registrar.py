"""A zone's registrar: digest, bindings and expiry, without I/O (RFC 3261, section 10.3).

It answers without transactions (RFC 3261, 8.2.7): every answer follows from the request and the
bindings alone, so a retransmission simply gets the same answer again. For the same reason it keeps
no record of nonces used: guarding against replay is Holdfast's duty, not this one's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from appliance.bundle import Bundle, Credential, User
from appliance.errors import RemoteError
from appliance.sip.credentials import Credentials
from appliance.sip.digest import Nonces, challenge, verify
from appliance.sip.flow import Flow
from appliance.sip.headers import STAR, NameAddr
from appliance.sip.message import Request, Response
from appliance.sip.uri import SipUri

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER"
DEFAULT_EXPIRES = 3600
MAX_EXPIRES = 3600
MIN_EXPIRES = 5


@dataclass(frozen=True, slots=True)
class CloudBinding:
    """Where one of a user's phones is, until when."""

    contact: str
    flow: Flow
    expires_at: float
    """Monotonic seconds."""
    call_id: str
    cseq: int


class _Directory:
    """Look users up by the names that phones give."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.by_name: dict[str, User] = {}
        self.by_login: dict[str, tuple[User, Credential]] = {}
        for user in bundle.users:
            for name in (user.id, *user.aliases, user.extension):
                self.by_name[name] = user
            for credential in user.credentials:
                self.by_login[credential.username] = (user, credential)


class ZoneRegistrar:
    """Answer the requests one zone gets; `bundle` returns the site as it is now."""

    def __init__(self, bundle: Callable[[], Bundle], key: bytes) -> None:
        self._bundle = bundle
        self._directory = _Directory(bundle())
        self._nonces = Nonces(key)
        self._key = key
        self._bindings: dict[str, dict[str, CloudBinding]] = {}

    def clear(self) -> None:
        """Forget every binding."""
        self._bindings.clear()

    def registered(self, now: float) -> list[str]:
        """Return the ids of the users that have a phone here now."""
        return sorted(user for user in self._bindings if self._current(user, now))

    def answer(self, request: Request, flow: Flow, now: float) -> Response:
        """Answer one request; RemoteError when it is malformed."""
        self._refresh()
        if request.method == "OPTIONS":
            return self._respond(request, 200, [("Allow", ALLOW)])
        if request.method == "REGISTER":
            return self._register(request, flow, now)
        if request.method == "INVITE":
            known = request.request_uri.user in self._directory.by_name
            return self._respond(request, 480 if known else 404)
        if request.method in ("BYE", "CANCEL"):
            return self._respond(request, 481)
        return self._respond(request, 405, [("Allow", ALLOW)])

    def _refresh(self) -> None:
        bundle = self._bundle()
        if bundle is not self._directory.bundle:
            self._directory = _Directory(bundle)

    def _respond(
        self, request: Request, status: int, headers: list[tuple[str, str]] | None = None
    ) -> Response:
        """Answer with a tag that is the same for every retransmission of the request."""
        seed = f"{request.call_id} {request.cseq} {request.via.branch}".encode()
        tag = hashlib.blake2s(seed, key=self._key, digest_size=8).hexdigest()
        return request.response(status, to_tag=tag, headers=headers or [])

    def _register(self, request: Request, flow: Flow, now: float) -> Response:
        asked = request.to.uri
        user = self._directory.by_name.get(asked.user or "") if isinstance(asked, SipUri) else None
        refusal = self._authenticate(request, user, now)
        if refusal is not None or user is None:
            return refusal or self._respond(request, 404)
        try:
            self._bind(request, user.id, flow, now)
        except RemoteError as error:
            headers = [("Min-Expires", str(MIN_EXPIRES))] if error.status == 423 else []
            return self._respond(request, error.status, headers)
        contacts = [
            ("Contact", f"<{binding.contact}>;expires={round(binding.expires_at - now)}")
            for binding in self._current(user.id, now).values()
        ]
        return self._respond(request, 200, contacts)

    def _authenticate(self, request: Request, user: User | None, now: float) -> Response | None:
        """Return the refusal, or None when the request proves that it is `user`."""
        realm = self._directory.bundle.site.realm
        shown = [Credentials.parse(value) for value in request.all("Authorization")]
        ours = next((each for each in shown if each.realm == realm), None)
        if ours is None:
            return self._challenge(request, now, stale=False)
        freshness = self._nonces.check(ours.nonce, now)
        if freshness != "fresh":
            return self._challenge(request, now, stale=freshness == "stale")
        owner, login = self._directory.by_login.get(ours.username, (None, None))
        if login is None or not verify(ours, request.method, login.md5, login.sha256):
            return self._challenge(request, now, stale=False)
        return None if owner is user else self._respond(request, 403)

    def _challenge(self, request: Request, now: float, *, stale: bool) -> Response:
        """Offer every algorithm in the site's order (RFC 8760, 2.4)."""
        bundle = self._directory.bundle
        token = hashlib.blake2s(
            f"{request.call_id} {request.cseq}".encode(), key=self._key, digest_size=8
        ).hexdigest()
        values = challenge(
            bundle.site.realm,
            self._nonces.issue(now, token),
            bundle.policies.digest_algorithms,
            stale,
        )
        headers = [("WWW-Authenticate", value) for value in values]
        return self._respond(request, 401, headers)

    def _bind(self, request: Request, user: str, flow: Flow, now: float) -> None:
        bindings = self._current(user, now)
        if request.contacts and request.contacts[0] is STAR:
            if request.expires != 0:
                raise RemoteError(400, "Contact: * goes with Expires: 0 only")
            bindings.clear()
        else:
            for contact in request.contacts:
                self._bind_one(request, bindings, contact, flow, now)
        self._bindings[user] = bindings

    def _bind_one(
        self,
        request: Request,
        bindings: dict[str, CloudBinding],
        contact: NameAddr,
        flow: Flow,
        now: float,
    ) -> None:
        uri, number = str(contact.uri), request.cseq.number
        seconds = _expires(request, contact)
        if 0 < seconds < MIN_EXPIRES:
            raise RemoteError(423, "Too brief")
        old = bindings.get(uri)
        if old is not None and old.call_id == request.call_id and number < old.cseq:
            raise RemoteError(500, "An older REGISTER came late")
        bindings.pop(uri, None)
        if seconds:
            ends = now + min(seconds, MAX_EXPIRES)
            bindings[uri] = CloudBinding(uri, flow, ends, request.call_id, number)

    def _current(self, user: str, now: float) -> dict[str, CloudBinding]:
        """Return a copy of a user's bindings without those that have expired."""
        bindings = self._bindings.get(user, {})
        return {uri: each for uri, each in bindings.items() if each.expires_at > now}


def _expires(request: Request, contact: NameAddr) -> int:
    """Return the seconds asked for: the contact's, else the request's, else the usual."""
    text = contact.param("expires")
    if text is not None and text.isascii() and text.isdigit():
        return int(text[:9])
    return DEFAULT_EXPIRES if request.expires is None else request.expires
