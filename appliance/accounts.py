"""Who may do what to the appliance: accounts, API tokens, the audit log, and the rules for them.

Structures and rules only; `adapters.admin_store` keeps them in admin.db, `web` asks for passwords.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import msgspec

from appliance.errors import LocalError

Role = Literal["admin", "operator", "auditor", "api"]
"""`admin` may do everything, `operator` runs tests and asks the cloud, `auditor` only looks.

`api` is what a token has; what it may do is its scopes'.
"""
Scope = Literal["metrics", "read", "operate", "admin"]
ROLES: tuple[Role, ...] = ("admin", "operator", "auditor")
"""What an account may be."""
SCOPES: tuple[Scope, ...] = get_args(Scope)

ACCOUNTS_LIMIT = 200
TOKENS_LIMIT = 200
NAME_LIMIT = 64
SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
"""Characters; argon2 would hash a megabyte as well, at our cost."""
FEWEST_LETTERS = 5
"""Different characters a password must have; `aaaaaaaaaaaa` is none."""
LONGEST_TOKEN = 730
"""Days an API token may live; whoever needs it longer makes a new one."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is shown."""

    name: str
    role: Role
    must_change: bool
    """A one-time password was given; nothing but choosing an own one is allowed."""
    created: float
    """Wall-clock seconds (Unix)."""
    changed: float
    """When the password was last set."""


class Account(Told, frozen=True, kw_only=True):
    """Somebody who may log in."""

    password: str
    """Argon2id hash with its parameters and salt."""


class ToldToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is shown: never what it is."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float
    """Wall-clock seconds (Unix)."""
    by: str
    """Who made it."""


class ApiToken(ToldToken, frozen=True, kw_only=True):
    """What a script shows instead of a password; the token itself is told once and not kept."""

    digest: bytes
    """SHA-256 of the token, which has 256 random bits of its own."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, or one attempt to get in."""

    at: float
    """Wall-clock seconds (Unix)."""
    who: str
    origin: str
    """Address the request came from."""
    action: str
    """Stable name, e.g. `account.add`."""
    target: str = ""
    before: object = None
    """What was changed, as JSON; None: there was nothing."""
    after: object = None
    number: int = 0
    """Position in the log; given by the database."""


class AccountStore(Protocol):
    """Keeps accounts, tokens and the audit log; everything raises Unavailable."""

    async def accounts(self) -> Sequence[Account]:
        """Return every account."""
        ...

    async def tokens(self) -> Sequence[ApiToken]:
        """Return every token, expired ones too."""
        ...

    async def put_account(self, account: Account) -> None:
        """Add or replace an account."""
        ...

    async def drop_account(self, name: str) -> None:
        """Forget an account."""
        ...

    async def put_token(self, token: ApiToken) -> None:
        """Add a token."""
        ...

    async def drop_token(self, name: str) -> None:
        """Forget the token with this id."""
        ...

    async def note(self, entry: AuditEntry) -> None:
        """Append to the audit log."""
        ...

    async def audit(self, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return entries, the latest first; `before` is a number to go on from."""
        ...


def check_name(name: str) -> str:
    """Return the name of a new account; raises LocalError."""
    plain = name.replace("-", "").replace("_", "").replace(".", "").replace("@", "")
    if not (plain.isascii() and plain.isalnum() and len(name) <= NAME_LIMIT):
        raise LocalError(
            f"name: {name[:NAME_LIMIT]!r} cannot be an account; use letters, digits and . - _ @, "
            f"at most {NAME_LIMIT}"
        )
    return name.lower()


def check_role(role: str) -> Role:
    """Return the role of an account; raises LocalError."""
    for known in ROLES:
        if role == known:
            return known
    raise LocalError(f"role: {role[:40]!r} is none of {', '.join(ROLES)}")


def check_scopes(scopes: Sequence[str]) -> tuple[Scope, ...]:
    """Return the scopes of a token in their order; raises LocalError."""
    if unknown := sorted(set(scopes).difference(SCOPES)):
        raise LocalError(f"scopes: {unknown[0][:40]!r} is none of {', '.join(SCOPES)}")
    if not scopes:
        raise LocalError(f"scopes: choose at least one of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in scopes)


def check_password(password: str, name: str) -> None:
    """Raise LocalError for a password that is too easily guessed (NIST SP 800-63B, 3.1.1)."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise LocalError(
            f"password: it has {len(password)} characters; choose {SHORTEST_PASSWORD} to "
            f"{LONGEST_PASSWORD}"
        )
    if len(set(password)) < FEWEST_LETTERS:
        raise LocalError(f"password: use at least {FEWEST_LETTERS} different characters")
    if name.lower() in password.lower() or "holdfast" in password.lower():
        raise LocalError("password: it must have neither the account's name nor `holdfast` in it")


def told(account: Account) -> Told:
    """Return what may be shown of an account."""
    return msgspec.convert(msgspec.to_builtins(account), Told)


def told_token(token: ApiToken) -> ToldToken:
    """Return what may be shown of a token."""
    return msgspec.convert(msgspec.to_builtins(token), ToldToken)
