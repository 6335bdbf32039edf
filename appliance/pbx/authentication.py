"""Who asks: a user of the site, proved by digest, or a challenge to prove it (B1).

Nothing is remembered of strangers, and known and unknown names get the same answer by the same
work. A nonce that isn't ours, is too old or was given to another address is answered `stale`:
phones come from the cloud with the cloud's nonces and must not ask their owner for the password
again. Its digest is not looked at, so the answer tells nothing about the password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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


class Refusal(NamedTuple):
    """What to answer instead of doing what was asked."""

    status: int
    headers: list[Header]


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
        realm = quote(self._realm)
        self.failed: Callable[[str, Flow], None] = lambda user, flow: None
        """Told of each wrong password: in whose name, and where it came from."""
        self._starts = [
            f'Digest realm={realm}, algorithm={algorithm}, nonce="'
            for algorithm in self._algorithms
        ]
        self.tag = identifiers.token()
        """To tag of every answer outside a dialog; the same for all, so retransmissions agree."""
        nobody = User(id="nobody", name="nobody", extension="000")
        self._nobody = Account(nobody, "0" * 32, "0" * 64)

    def check(self, request: Request, flow: Flow, now: float) -> User | Response:
        """Return who asks, or the answer that must be sent instead: 401, or 503 for a guesser.

        Raises RemoteError(400) for credentials nobody can read.
        """
        credentials = request.authorization
        if credentials is not None and not self.answers(credentials):
            credentials = self._further(request)
        if credentials is None:
            verdict: User | Refusal = self.challenge(flow, now)
        else:
            verdict = self.judge(credentials, request.method, request.uri, flow, now)
        if isinstance(verdict, User):
            return verdict
        return request.response(verdict.status, to_tag=self.tag, headers=verdict.headers)

    def judge(
        self, credentials: Credentials, method: str, uri: str, flow: Flow, now: float
    ) -> User | Refusal:
        """Return whom credentials for our realm prove, or what to answer instead.

        Raises RemoteError(400) for a nonce-count nobody can read.
        """
        username = credentials.username
        account = self._directory.account(username, self._realm)
        if len(self._guard) and (wait := self._pause(credentials, account, flow, now)):
            return Refusal(503, [("Retry-After", str(wait))])
        nonce, address = credentials.nonce, flow.remote[0]
        if self._nonces.check(nonce, now, address) != "fresh":
            return self.challenge(flow, now, stale=True)
        known = account or self._nobody
        right = verify(credentials, method, known.md5, known.sha256, uri)
        if not right or account is None:
            self._guard.failed(address, username, self._location.holds(address), now)
            if account is not None:
                self.failed(account.user.id, flow)
            return self.challenge(flow, now)
        if self._nonces.used(nonce, count_of(credentials)):
            return self.challenge(flow, now, stale=True)
        return account.user

    def challenge(self, flow: Flow, now: float, stale: bool = False) -> Refusal:
        """Return the 401 that asks for credentials."""
        nonce = self._nonces.issue(now, self._identifiers.token(), flow.remote[0])
        end = f'{nonce}", qop="auth", stale=true' if stale else f'{nonce}", qop="auth"'
        return Refusal(401, [("WWW-Authenticate", start + end) for start in self._starts])

    def _further(self, request: Request) -> Credentials | None:
        """Return the credentials for our realm that come behind those for other realms."""
        for text in request.all("Authorization")[1:]:
            credentials = Credentials.parse(text)
            if self.answers(credentials):
                return credentials
        return None

    def answers(self, credentials: Credentials) -> bool:
        """Tell whether credentials are for our realm, by an algorithm we asked for."""
        return credentials.realm == self._realm and credentials.algorithm in self._algorithms

    def _pause(
        self, credentials: Credentials, account: Account | None, flow: Flow, now: float
    ) -> int:
        if account is not None and self._location.proves(flow, account.user.id):
            return 0
        return self._guard.refuse(flow.remote[0], credentials.username, now)
