"""What a simulated phone proves itself with, and the challenge it answers."""

from __future__ import annotations

from appliance.errors import RemoteError
from appliance.sip.credentials import Challenge
from appliance.sip.digest import Algorithm, respond
from appliance.sip.identifiers import Identifiers
from appliance.sip.message import Request, Response

_HEADERS = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}
"""Where each status carries its challenge, and where the answer goes."""


class Login:
    """Answer one server's challenges; a nonce is used again until the server wants another."""

    def __init__(
        self,
        username: str,
        password: str,
        algorithms: tuple[Algorithm, ...],
        identifiers: Identifiers,
    ) -> None:
        self._username = username
        self._password = password
        self._algorithms = algorithms
        self._identifiers = identifiers
        self._challenge: Challenge | None = None
        self._header = "Authorization"
        self._count = 0

    def sign(self, request: Request) -> None:
        """Add credentials, once a challenge is known."""
        if self._challenge is None:
            return
        self._count += 1
        credentials = respond(
            self._challenge,
            self._username,
            self._password,
            request.method,
            request.uri,
            self._count,
            self._identifiers.token(),
            request.body,
        )
        request.set(self._header, credentials)

    def challenged(self, response: Response) -> bool:
        """Take a 401 or 407; True when the request is worth sending again, signed anew.

        Refused at the first use of a nonce that is not stale, the password is wrong.
        """
        if response.status not in _HEADERS:
            return False
        asked, answer = _HEADERS[response.status]
        challenge = self._first_known(response.all(asked))
        refused = self._challenge is not None and self._count == 1
        self._challenge, self._header, self._count = challenge, answer, 0
        return challenge is not None and (challenge.stale or not refused)

    def forget(self) -> None:
        """Drop the challenge; the next request goes out unsigned."""
        self._challenge = None

    def _first_known(self, values: list[str]) -> Challenge | None:
        """Return the first challenge whose algorithm this phone knows (RFC 8760, 2.4)."""
        for value in values:
            try:
                challenge = Challenge.parse(value)
            except RemoteError:
                continue
            if challenge.scheme == "digest" and challenge.algorithm in self._algorithms:
                return challenge
        return None
