"""The directory as LDAP entries (RFC 2849, RFC 4519, RFC 2798)."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator

from appliance.bundle import Bundle
from appliance.phonebook.entry import Entry
from appliance.phonebook.folding import folded
from sdg.names import FOLDED

_UNSAFE_FIRST = " :<"
"""What a value must not begin with, to stand in a line as it is (RFC 2849)."""
_CAPITALS = {chr(small).upper(): text.title() for small, text in FOLDED.items()}
_LETTERS = FOLDED | {ord(sign): text for sign, text in _CAPITALS.items() if len(sign) == 1}


def base_of(bundle: Bundle) -> str:
    """Return the name under which all entries stand: one `dc` for each label of the domain."""
    labels = [label for label in bundle.site.domain.lower().split(".") if label]
    return ",".join([f"dc={label}" for label in labels])


def ldif(bundle: Bundle, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the records of a whole database, the tops first."""
    base = base_of(bundle)
    label = base.partition(",")[0].removeprefix("dc=")
    top = [("dc", label), ("o", bundle.site.name)]
    yield _record(base, ["dcObject", "organization"], top)
    for unit in ("people", "accounts"):
        yield _record(f"ou={unit},{base}", ["organizationalUnit"], [("ou", unit)])
    for account in bundle.ldap.accounts:
        secret = [("cn", account.name), ("userPassword", f"{{CRYPT}}{account.sha512}")]
        kinds = ["organizationalRole", "simpleSecurityObject"]
        yield _record(f"cn={escaped(account.name)},ou=accounts,{base}", kinds, secret)
    for number, entry in enumerate(entries, 1):
        values = [("uid", str(number)), *_values(entry, bundle.site.name)]
        kinds = ["inetOrgPerson", "holdfastEntry"]
        yield _record(f"uid={number},ou=people,{base}", kinds, values)


def _values(entry: Entry, site: str) -> Iterator[tuple[str, str]]:
    """Yield attributes with their values; empty ones are left out by whoever writes them."""
    given, _, last = entry.name.rpartition(" ")
    for attribute, name in (("cn", entry.name), ("sn", last), ("givenName", given)):
        yield attribute, name
        if name.lower() != folded(name):
            # LDAP folds capitals, not accents: whoever types `Muller` has to find Müller.
            yield attribute, unaccented(name)
    yield "displayName", entry.name
    for number in entry.numbers or (entry.extension,):
        yield "telephoneNumber", _printable(number)
    yield "ipPhone", entry.extension
    yield "mobile", _printable(entry.mobile)
    yield "homePhone", _printable(entry.home)
    yield "mail", entry.mail if entry.mail.isascii() else ""
    yield "o", entry.organisation or ("" if entry.kind == "contact" else site)
    yield "ou", entry.department
    yield "title", entry.title


def unaccented(name: str) -> str:
    """Return a name without accents, its capitals kept."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    return "".join([sign for sign in plain if not unicodedata.combining(sign)])


def _printable(number: str) -> str:
    """Return a number, or nothing where LDAP's syntax for numbers has no room for it."""
    return "" if set(number) & set("*#") else number


def escaped(value: str) -> str:
    """Write a value into a distinguished name (RFC 4514, 2.4)."""
    return value.replace("\\", "\\\\").replace("+", "\\+").replace(",", "\\,")


def _record(name: str, kinds: Iterable[str], values: Iterable[tuple[str, str]]) -> str:
    pairs = [("dn", name), *(("objectClass", kind) for kind in kinds), *values]
    lines = [_line(attribute, value.strip()) for attribute, value in pairs if value.strip()]
    return "\n".join(lines) + "\n\n"


def _line(attribute: str, value: str) -> str:
    if value.isascii() and value.isprintable() and value[0] not in _UNSAFE_FIRST:
        return f"{attribute}: {value}"
    return f"{attribute}:: {b64encode(value.encode()).decode()}"
