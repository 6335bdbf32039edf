"""Who asks: a user of the site, proved by digest, or a challenge to prove it (B1).

Nothing is remembered of strangers, and known and unknown names get the same answer by the same
work. A nonce that isn't ours, is too old or was given to another address is answered `stale`:
phones come from the cloud with the cloud's nonces and must not ask their owner for the password
again. Its digest is not looked at, so the answer tells nothing about the password.
"""

from __future__ import annotations

from appliance.bundle import Bundle, User
from appliance.pbx.directory import Account, Directory
from appliance.pbx.guard import Guard
from appliance.pbx.location import Location
from appliance.sip.credentials import Credentials
from appliance.sip.digest import Nonces, count_of, verify
from appliance.sip.flow import Flow
from appliance.sip.identifiers import Identifiers
from appliance.sip.message import Header, Request, Response
from appliance.sip.scan import quote


class Authentication:
    """Check credentials for one bundle; nonces and guard outlive it."""

    def __init__(
        self,
        directory: Directory,
        bundle: Bundle,
        nonces: Nonces,
        guard: Guard,
        identifiers: Identifiers,
        location: Location,
    ) -> None:
        self._directory = directory
        self._nonces = nonces
        self._guard = guard
        self._identifiers = identifiers
        self._location = location
        self._realm = bundle.site.realm
        self._algorithms = directory.usable(bundle.policies.digest_algorithms)
        self._start = f"Digest realm={quote(self._realm)}, algorithm="
        self.tag = identifiers.token()
        """To tag of every answer outside a dialog; the same for all, so retransmissions agree."""
        nobody = User(id="nobody", name="nobody", extension="000")
        self._nobody = Account(nobody, "0" * 32, "0" * 64)

    def check(self, request: Request, flow: Flow, now: float) -> User | Response:
        """Return who asks, or the answer that must be sent instead: 401, or 503 for a guesser.

        Raises RemoteError(400) for credentials nobody can read.
        """
        credentials = request.authorization
        if credentials is not None and not self._answers(credentials):
            credentials = self._further(request)
        if credentials is None:
            return self._challenge(request, flow, now)
        username = credentials.username
        account = self._directory.account(username, self._realm)
        if len(self._guard) and (wait := self._pause(credentials, account, flow, now)):
            headers = (("Retry-After", str(wait)),)
            return request.response(503, to_tag=self.tag, headers=headers)
        nonce, address = credentials.nonce, flow.remote[0]
        if self._nonces.check(nonce, now, address) != "fresh":
            return self._challenge(request, flow, now, stale=True)
        known = account or self._nobody
        right = verify(credentials, request.method, known.md5, known.sha256, request.uri)
        if not right or account is None:
            self._guard.failed(address, username, self._location.holds(address), now)
            return self._challenge(request, flow, now)
        if self._nonces.used(nonce, count_of(credentials)):
            return self._challenge(request, flow, now, stale=True)
        return account.user

    def _further(self, request: Request) -> Credentials | None:
        """Return the credentials for our realm that come behind those for other realms."""
        for text in request.all("Authorization")[1:]:
            credentials = Credentials.parse(text)
            if self._answers(credentials):
                return credentials
        return None

    def _answers(self, credentials: Credentials) -> bool:
        return credentials.realm == self._realm and credentials.algorithm in self._algorithms

    def _pause(
        self, credentials: Credentials, account: Account | None, flow: Flow, now: float
    ) -> int:
        if account is not None and self._location.proves(flow, account.user.id):
            return 0
        return self._guard.refuse(flow.remote[0], credentials.username, now)

    def _challenge(self, request: Request, flow: Flow, now: float, stale: bool = False) -> Response:
        nonce = self._nonces.issue(now, self._identifiers.token(), flow.remote[0])
        end = f', nonce="{nonce}", qop="auth"' + (", stale=true" if stale else "")
        headers: list[Header] = [
            ("WWW-Authenticate", f"{self._start}{algorithm}{end}") for algorithm in self._algorithms
        ]
        return request.response(401, to_tag=self.tag, headers=headers)
