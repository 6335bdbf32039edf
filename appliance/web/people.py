"""Accounts and tokens as the web uses them: asked in memory, changed in admin.db first."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.accounts import (
    ACCOUNTS_LIMIT,
    LONGEST_PASSWORD,
    LONGEST_TOKEN,
    TOKENS_LIMIT,
    Account,
    AccountStore,
    ApiToken,
    AuditEntry,
    Role,
    check_name,
    check_password,
    check_role,
    check_scopes,
)
from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably

log = logging.getLogger("holdfast.accounts")

FIRST = "admin"
"""The account of the first start."""
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of one-time passwords: nothing that looks like another letter on a console."""
HASHING = 2
"""Passwords hashed at a time; each takes 64 MiB and 0.1 s of a processor."""
TOKEN_PREFIX = "hf_"
"""So that scanners for leaked secrets recognise one."""
DAY = 86400.0


class Denied(LocalError):
    """Report a name and password that do not belong together; never says which was wrong."""


class People:
    """Everybody who may use the appliance."""

    def __init__(
        self,
        store: AccountStore,
        wall: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._wall = wall
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(HASHING)
        self._opening = asyncio.Lock()
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[bytes, ApiToken] = {}
        self._nobody = ""
        self._file: Path | None = None
        self._opened = False

    async def begin(self, one_time_file: Path) -> None:
        """Read who there is; at the very first start make the account `admin`.

        Its one-time password goes to `one_time_file`, never to a log. Without admin.db nobody can
        log in, which is said; it is tried again with each log-in.
        """
        self._file = one_time_file
        try:
            await self._open()
        except Unavailable as error:
            log.error("%s; nobody can log in, the command line works", error)

    async def _open(self) -> None:
        async with self._opening:
            if not self._opened:
                await self._read()
                self._opened = True

    async def _read(self) -> None:
        self._accounts = {one.name: one for one in await self._store.accounts()}
        self._tokens = {one.digest: one for one in await self._store.tokens()}
        self._nobody = await self._hash(secrets.token_urlsafe(16))
        if not self._accounts:
            password = await self._give_one_time(FIRST, "admin")
            self._tell(FIRST, password)

    def _tell(self, name: str, password: str) -> None:
        if self._file is not None:
            write_durably(self._file, f"{name} {password}\n".encode(), 0o600)
            log.warning("first log-in: account %s, one-time password in %s", name, self._file)

    # -- asking -------------------------------------------------------------------------------

    def account(self, name: str) -> Account | None:
        """Return an account by its name."""
        return self._accounts.get(name)

    def accounts(self) -> list[Account]:
        """Return every account by name."""
        return sorted(self._accounts.values(), key=lambda account: account.name)

    def tokens(self) -> list[ApiToken]:
        """Return every token, the latest first."""
        return sorted(self._tokens.values(), key=lambda token: -token.created)

    def by_token(self, text: str) -> ApiToken | None:
        """Return the token that is shown, if it is one and has not expired."""
        if not text.startswith(TOKEN_PREFIX):
            return None
        token = self._tokens.get(_digest(text))
        return token if token is not None and token.expires > self._wall() else None

    async def check(self, name: str, password: str) -> Account:
        """Return the account if this is its password; raises Denied, after the same time."""
        await self._open()
        account = self._accounts.get(name.lower())
        right = await self._verify(account.password if account else self._nobody, password)
        if account is None or not right:
            raise Denied("the name or the password is wrong")
        if self._hasher.check_needs_rehash(account.password):
            hashed = await self._hash(password)
            await self._put(msgspec.structs.replace(account, password=hashed))
        return account

    # -- changing -----------------------------------------------------------------------------

    async def choose_password(self, name: str, old: str, new: str) -> None:
        """Set an own password; raises Denied for a wrong old one, LocalError for a weak new one."""
        account = await self.check(name, old)
        check_password(new, name)
        if new == old:
            raise LocalError("password: choose another one than before")
        hashed, now = await self._hash(new), self._wall()
        changed = {"password": hashed, "must_change": False, "changed": now}
        await self._put(msgspec.structs.replace(account, **changed))
        self._forget_file(name)

    async def add(self, name: str, role: str) -> str:
        """Make an account and return its one-time password; raises LocalError."""
        await self._open()
        name, checked = check_name(name), check_role(role)
        if name in self._accounts:
            raise LocalError(f"name: there is an account {name!r} already")
        if len(self._accounts) >= ACCOUNTS_LIMIT:
            raise LocalError(f"there are {ACCOUNTS_LIMIT} accounts already; remove one first")
        return await self._give_one_time(name, checked)

    async def reset(self, name: str) -> str:
        """Give an account a new one-time password and return it; raises LocalError."""
        await self._open()
        password = await self._give_one_time(name, self._known(name).role)
        self._forget_file(name)
        return password

    async def set_role(self, name: str, role: str) -> None:
        """Change what somebody may do; raises LocalError, also for the last admin."""
        account, checked = self._known(name), check_role(role)
        if checked != "admin":
            self._check_not_last(account)
        await self._put(msgspec.structs.replace(account, role=checked))

    async def remove(self, name: str) -> None:
        """Forget an account; raises LocalError, also for the last admin."""
        account = self._known(name)
        self._check_not_last(account)
        await self._store.drop_account(name)
        del self._accounts[name]

    async def add_token(
        self, name: str, scopes: Sequence[str], days: float, by: str
    ) -> tuple[ApiToken, str]:
        """Make a token and return it with its text, which nobody can tell again; LocalError."""
        if not name.strip() or len(name) > 80 or not name.isprintable():
            raise LocalError("name: say in 1 to 80 characters what the token is for")
        if not 0 < days <= LONGEST_TOKEN:
            raise LocalError(f"days: a token lives up to {LONGEST_TOKEN} days, not {days:g}")
        if len(self._tokens) >= TOKENS_LIMIT:
            raise LocalError(f"there are {TOKENS_LIMIT} tokens already; remove one first")
        text, now = TOKEN_PREFIX + secrets.token_urlsafe(32), self._wall()
        token = ApiToken(
            id=secrets.token_hex(4),
            name=name.strip(),
            scopes=check_scopes(scopes),
            digest=_digest(text),
            created=now,
            expires=now + days * DAY,
            by=by,
        )
        await self._store.put_token(token)
        self._tokens[token.digest] = token
        return token, text

    async def remove_token(self, name: str) -> ApiToken:
        """Forget the token with this id, and return what it was; raises LocalError."""
        for token in self._tokens.values():
            if token.id == name:
                await self._store.drop_token(name)
                del self._tokens[token.digest]
                return token
        raise LocalError(f"there is no token {name[:40]!r}")

    # -- the audit log ------------------------------------------------------------------------

    async def note(
        self,
        who: str,
        origin: str,
        action: str,
        target: str = "",
        before: object = None,
        after: object = None,
    ) -> None:
        """Write what was done; a disk that takes nothing is told and stops nobody."""
        entry = AuditEntry(
            at=self._wall(),
            who=who,
            origin=origin,
            action=action,
            target=target,
            before=before,
            after=after,
        )
        log.info("%s from %s: %s %s", who, origin, action, target)
        try:
            await self._store.note(entry)
        except Unavailable as error:
            log.error("the audit log lacks %s by %s: %s", action, who, error)

    async def audit(self, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return the latest entries of the audit log; raises Unavailable."""
        return await self._store.audit(limit, before)

    def _forget_file(self, name: str) -> None:
        """Remove the file whose one-time password is worth nothing any more."""
        if name == FIRST and self._file is not None:
            self._file.unlink(missing_ok=True)

    # -- parts --------------------------------------------------------------------------------

    def _known(self, name: str) -> Account:
        account = self._accounts.get(name)
        if account is None:
            raise LocalError(f"there is no account {name[:40]!r}")
        return account

    def _check_not_last(self, account: Account) -> None:
        admins = [one for one in self._accounts.values() if one.role == "admin"]
        if admins == [account]:
            raise LocalError(f"{account.name} is the only admin; make another one first")

    async def _give_one_time(self, name: str, role: Role) -> str:
        password = "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))
        known, now = self._accounts.get(name), self._wall()
        created = known.created if known else now
        await self._put(
            Account(
                name=name,
                role=role,
                password=await self._hash(password),
                must_change=True,
                created=created,
                changed=now,
            )
        )
        return password

    async def _put(self, account: Account) -> None:
        await self._store.put_account(account)
        self._accounts[account.name] = account

    async def _hash(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, hashed: str, password: str) -> bool:
        async with self._turn:
            return await asyncio.to_thread(self._matches, hashed, password)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password[: LONGEST_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
