"""Find a site's users by whatever names them; built once for each bundle."""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, User
from appliance.sip.digest import Algorithm


class Account(NamedTuple):
    """Say whom a pair of user name and realm proves, and by which hashes."""

    user: User
    names: frozenset[str]
    """User parts of this user's addresses of record: id, extension and aliases."""
    md5: str | None
    sha256: str | None


class Directory:
    """Index one bundle's users; nothing here changes after it was built."""

    def __init__(self, bundle: Bundle) -> None:
        self.realm = bundle.site.realm
        self.domain = bundle.site.domain.lower()
        self._users = {user.id: user for user in bundle.users}
        self._extensions = {user.extension: user for user in bundle.users}
        self._numbers = {number: user for user in bundle.users for number in user.numbers}
        self._aliases = {alias: user for user in bundle.users for alias in user.aliases}
        self._accounts: dict[tuple[str, str], Account] = {}
        for user in bundle.users:
            names = frozenset((user.id, user.extension, *user.aliases))
            for proof in user.credentials:
                account = Account(user, names, proof.md5, proof.sha256)
                self._accounts[proof.username, proof.realm] = account

    def __len__(self) -> int:
        return len(self._users)

    def user(self, id: str) -> User | None:
        """Return the user with this id."""
        return self._users.get(id)

    def by_extension(self, digits: str) -> User | None:
        """Return the user with this extension."""
        return self._extensions.get(digits)

    def by_number(self, number: str) -> User | None:
        """Return the user whom this E.164 number (with plus) rings."""
        return self._numbers.get(number)

    def by_name(self, name: str) -> User | None:
        """Return the user whom the user part of an address means: extension, alias, then id."""
        return self._extensions.get(name) or self._aliases.get(name) or self._users.get(name)

    def account(self, username: str, realm: str) -> Account | None:
        """Return whom a digest user name in a realm claims to be."""
        return self._accounts.get((username, realm))

    def usable(self, algorithms: tuple[Algorithm, ...]) -> tuple[Algorithm, ...]:
        """Return which of these algorithms every account of our realm has a hash for.

        A phone answers the first challenge it understands, so offering SHA-256 to a user who has
        an MD5 hash only would lock that phone out; who it is shows only in the answer. Where no
        algorithm fits all, all are offered.
        """
        ours = [account for (_, realm), account in self._accounts.items() if realm == self.realm]
        lacking = {
            "MD5": any(account.md5 is None for account in ours),
            "SHA-256": any(account.sha256 is None for account in ours),
        }
        return tuple([name for name in algorithms if not lacking[name]]) or algorithms
