"""What the directory knows of one user, group or contact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from appliance.bundle import Bundle, Contact, User
from appliance.phonebook.folding import folded


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line of the directory."""

    kind: Literal["user", "group", "contact"]
    name: str
    extension: str = ""
    """What reaches users and groups on the site; contacts have none."""
    aliases: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    mobile: str = ""
    home: str = ""
    mail: str = ""
    organisation: str = ""
    department: str = ""
    title: str = ""

    def dialled(self) -> tuple[str, ...]:
        """Return everything that one can dial, the shortest way first."""
        ways = (self.extension, *self.numbers, self.mobile, self.home)
        return tuple([way for way in ways if way])


def entries_of(bundle: Bundle) -> list[Entry]:
    """Return everybody in a bundle in the order of their names."""
    found = [*_people(bundle), *map(_of_contact, bundle.contacts)]
    return sorted(found, key=lambda entry: (folded(entry.name), entry.name, entry.dialled()))


def _people(bundle: Bundle) -> Iterator[Entry]:
    yield from map(_of_user, bundle.users)
    for group in bundle.groups:
        numbers = group.numbers
        yield Entry(kind="group", name=group.name, extension=group.extension, numbers=numbers)


def _of_user(user: User) -> Entry:
    return Entry(
        kind="user",
        name=user.name,
        extension=user.extension,
        aliases=user.aliases,
        numbers=user.numbers,
        mobile=dialable(user.mobile or ""),
        home=dialable(user.home or ""),
        mail=user.mail,
        organisation=user.organisation,
        department=user.department,
        title=user.title,
    )


def _of_contact(contact: Contact) -> Entry:
    return Entry(
        kind="contact",
        name=contact.name,
        numbers=tuple(filter(None, map(dialable, contact.numbers))),
        mobile=dialable(contact.mobile or ""),
        home=dialable(contact.home or ""),
        mail=contact.mail,
        organisation=contact.organisation,
        department=contact.department,
        title=contact.title,
    )


def dialable(written: str) -> str:
    """Return a number as phones dial it: what only makes it easier to read is left out."""
    return "".join(
        [sign for sign in written if sign.isascii() and (sign.isdigit() or sign in "+*#")]
    )


def digest_of(entries: list[Entry]) -> str:
    """Return what tells two directories apart."""
    return hashlib.sha256(msgspec.json.encode(entries)).hexdigest()
