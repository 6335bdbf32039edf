"""Find a site's users by whatever names them; built once for each bundle."""

from __future__ import annotations

from typing import NamedTuple

from appliance.bundle import Bundle, User
from appliance.sip.digest import Algorithm


class Account(NamedTuple):
    """Say whom a user name in a realm claims to be, and by which hashes it is proved."""

    user: User
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
        self._accounts = {
            (proof.username, proof.realm): Account(user, proof.md5, proof.sha256)
            for user in bundle.users
            for proof in user.credentials
        }
        logins = {name: account.user for (name, _), account in self._accounts.items()}
        self._names = {**self._users, **self._aliases, **self._extensions}
        self._plain = _without_capitals(self._names)
        self._addresses = {**logins, **self._numbers, **self._names}

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
        """Return whom an extension, alias or id means, in this order where they collide.

        People write `Ana.Silva` as they like; capitals count only where they tell two apart.
        """
        return self._names.get(name) or self._plain.get(name.lower())

    def by_address(self, name: str) -> User | None:
        """Return the user whose address of record has this user part.

        It may be a name, a number, or the digest user name, as many clouds have it.
        """
        return self._addresses.get(name)

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


def _without_capitals(names: dict[str, User]) -> dict[str, User]:
    """Return the names in small letters, but for those that would then mean two users."""
    found: dict[str, User] = {}
    several = set()
    for name, user in names.items():
        plain = name.lower()
        if found.setdefault(plain, user) is not user:
            several.add(plain)
    return {name: user for name, user in found.items() if name not in several}
