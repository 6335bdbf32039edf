"""A site whose directory is searched."""

from __future__ import annotations

from appliance.bundle import Bundle, Contact, Group, Site, User, Zone

USERS = (
    User(
        id="u1",
        name="Ana Silva",
        extension="1001",
        aliases=("ana.silva",),
        numbers=("+13125550101",),
        mobile="+1 (312) 555-7788",
        title="Head nurse",
    ),
    User(id="u2", name="João Müller", extension="1002", department="Radiology"),
    User(id="u3", name="Brianna O'Connor", extension="1003"),
    User(id="u4", name="Łukasz Weiß", extension="1004"),
)
CONTACTS = (
    Contact(name="Silvan Ana-Maria", numbers=("044 668 18 00",), organisation="Example Ltd"),
    Contact(name="Taxi", numbers=("+41 44 777 77 77", "222"), mail="taxi@example.net"),
    Contact(name="100% AND (NOT*)", numbers=("+1 312 555 0199",)),
)
GROUPS = (Group(id="g1", name="Night desk", extension="7000", members=("u1",)),)


def bundle(**more: object) -> Bundle:
    """Make the site, with parts that differ."""
    parts = {
        "version": 1,
        "site": Site(id="hq", name="HQ", code="81", domain="hq.example.com", realm="hq"),
        "zones": (Zone(id="a", host="a.example.net"),),
        "users": USERS,
        "contacts": CONTACTS,
        "groups": GROUPS,
    }
    return Bundle(**(parts | more))  # type: ignore[arg-type]
