"""A made-up site for trials and load tests: its bundle, and a list of its phones' passwords.

The same numbers and seed give the same site, byte for byte, on every machine.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields

import msgspec

from appliance.bundle import (
    Bundle,
    Contact,
    Credential,
    Device,
    DscpQueue,
    Emergency,
    Location,
    NumberPlan,
    Peer,
    Policies,
    RouteGroup,
    Sbc,
    Site,
    User,
    Zone,
)
from appliance.cloud.sample_groups import (
    HOURS,
    PROMPTS,
    make_groups,
    make_orbits,
    make_pickup_groups,
)
from appliance.cloud.sample_names import (
    FIRST_NAMES,
    FLOORS,
    LAST_NAMES,
    MODELS,
    ORGANISATIONS,
)
from appliance.errors import LocalError

USERS_LIMIT = 20_000
CONTACTS_LIMIT = 100_000

ZONES = (
    Zone(id="primary", host="sip-a.cloud.example.com"),
    Zone(id="secondary", host="sip-b.cloud.example.com"),
)


@dataclass(frozen=True, slots=True)
class Phone:
    """What somebody has to type into one phone; a row of phones.csv."""

    user: str
    extension: str
    username: str
    realm: str
    password: str
    domain: str
    mac: str
    model: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A made-up site."""

    bundle: Bundle
    phones: tuple[Phone, ...]
    """One for each user, in the order of the bundle's users."""

    def bundle_json(self) -> bytes:
        """Return the bundle for people to read."""
        return msgspec.json.format(msgspec.json.encode(self.bundle), indent=1) + b"\n"

    def phones_csv(self) -> bytes:
        """Return the phones as CSV with a heading."""
        text = io.StringIO()
        names = [field.name for field in fields(Phone)]
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(names)
        rows.writerows([getattr(phone, name) for name in names] for phone in self.phones)
        return text.getvalue().encode()


def make_sample(
    users: int = 200,
    contacts: int = 5000,
    seed: int = 1,
    site: str = "chicago",
    domain: str = "chicago.example.com",
    zones: tuple[Zone, ...] = ZONES,
) -> Sample:
    """Make a site; raises LocalError when it would be larger than anybody's."""
    if not 1 <= users <= USERS_LIMIT or not 0 <= contacts <= CONTACTS_LIMIT:
        raise LocalError(
            f"a sample has 1 to {USERS_LIMIT} users and 0 to {CONTACTS_LIMIT} contacts; "
            f"not {users} and {contacts}"
        )
    dice = random.Random(f"{seed}/{users}/{contacts}")
    phones = tuple(_phones(dice, users, domain))
    locations = tuple(_locations(users))
    people = tuple(_users(dice, phones, locations))
    bundle = Bundle(
        version=1,
        issued="2026-01-01T00:00:00Z",
        site=_site(site, domain),
        zones=zones,
        users=people,
        devices=tuple(_devices(phones, people)),
        locations=locations,
        emergency=_emergency(people, locations),
        contacts=tuple(_contacts(dice, contacts)),
        groups=tuple(make_groups(people)),
        route_groups=(_trunk(domain),),
        peers=(
            Peer(site="milwaukee", code="822", host="holdfast.milwaukee.example.com"),
            Peer(site="montreal", code="823", host="holdfast.montreal.example.com"),
        ),
        number_plan=NumberPlan(outside_prefix="9", site_number="+13125550000"),
        policies=Policies(dscp_strategy="4-queue"),
        dscp=_DSCP,
        park=make_orbits(people),
        pickup_groups=tuple(make_pickup_groups(people)),
        prompts=PROMPTS,
        hours=HOURS,
    )
    return Sample(bundle, phones)


_DSCP = (
    DscpQueue(traffic="real-time", name="EF", value=46),
    DscpQueue(traffic="transactional", name="AF31", value=26),
    DscpQueue(traffic="signalling", name="CS3", value=24),
    DscpQueue(traffic="best effort", name="DF", value=0),
)


def _site(site: str, domain: str) -> Site:
    return Site(
        id=site,
        name=site.replace("-", " ").title(),
        code="821",
        domain=domain,
        realm=domain,
        time_zone="America/Chicago",
    )


def _trunk(domain: str) -> RouteGroup:
    return RouteGroup(
        id="pstn",
        sbcs=(
            Sbc(host=f"sbc1.{domain}", priority=1),
            Sbc(host=f"sbc2.{domain}", priority=2),
        ),
    )


def _emergency(people: tuple[User, ...], locations: tuple[Location, ...]) -> Emergency:
    """Return who is alerted of calls for help: the lobby and two more."""
    return Emergency(
        pool=tuple(f"+1312558{number:04d}" for number in range(4)),
        location=locations[0].id,
        safety_team=tuple(user.id for user in people[:3]),
    )


def _first_extension(users: int) -> int:
    """Return where extensions begin: four digits while they last, clear of 8 (sites) and 9."""
    return 1001 if users <= 6000 else 10_001


def _phones(dice: random.Random, users: int, domain: str) -> Iterator[Phone]:
    for index, name in enumerate(_names(dice, users)):
        extension = str(_first_extension(users) + index)
        yield Phone(
            user=name,
            extension=extension,
            username=f"u{extension}",
            realm=domain,
            password=f"{dice.getrandbits(80):020x}",
            domain=domain,
            mac=f"02{dice.getrandbits(16):04x}{index:06x}",
            model=dice.choice(MODELS),
        )


def _users(
    dice: random.Random, phones: tuple[Phone, ...], locations: tuple[Location, ...]
) -> Iterator[User]:
    for index, phone in enumerate(phones):
        numbers = (f"+1312555{index:04d}",) if 0 < index < 10_000 and dice.random() < 0.6 else ()
        yield User(
            id=phone.username,
            name=phone.user,
            extension=phone.extension,
            aliases=(phone.username,),
            numbers=numbers,
            credentials=(_credential(phone),),
            location=locations[index * len(locations) // len(phones)].id,
            class_of_service="international" if dice.random() < 0.05 else "national",
        )


def _credential(phone: Phone) -> Credential:
    secret = f"{phone.username}:{phone.realm}:{phone.password}".encode()
    return Credential(
        username=phone.username,
        realm=phone.realm,
        md5=hashlib.md5(secret, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(secret).hexdigest(),
    )


def _devices(phones: tuple[Phone, ...], users: tuple[User, ...]) -> Iterator[Device]:
    for index, (phone, user) in enumerate(zip(phones, users, strict=True)):
        yield Device(
            id=f"phone-{phone.mac}",
            model=phone.model,
            mac=phone.mac,
            users=(user.id,),
            tier="lobby" if index == 0 else "emergency" if index % 100 == 1 else "normal",
        )


def _locations(users: int) -> Iterator[Location]:
    floors = FLOORS[: max(1, min(len(FLOORS), users // 20))]
    for index, floor in enumerate(floors):
        yield Location(
            id=f"floor-{index}",
            name=floor,
            elin=f"+1312556{index:04d}",
            address=f"100 Example Avenue, {floor}, Chicago, IL 60601",
            networks=(f"10.20.{index}.0/24",),
        )


def _contacts(dice: random.Random, count: int) -> Iterator[Contact]:
    for index, name in enumerate(_names(dice, count)):
        organisation = dice.choice(ORGANISATIONS)
        numbers = [f"+1 {dice.randrange(201, 990)} 555 {dice.randrange(10_000):04d}"]
        if dice.random() < 0.3:
            numbers.append(f"+44 20 7946 {dice.randrange(1000):04d}")
        yield Contact(
            name=name,
            numbers=tuple(numbers),
            mail=f"contact{index}@{organisation.lower().replace(' ', '-')}.example",
            organisation=organisation,
        )


def _names(dice: random.Random, count: int) -> Iterator[str]:
    """Yield names of people, each once as long as there are enough, then with an initial."""
    pairs = len(FIRST_NAMES) * len(LAST_NAMES)
    for index, pick in enumerate(
        dice.sample(range(pairs), min(count, pairs)) * (count // pairs + 1)
    ):
        if index == count:
            return
        first, last = FIRST_NAMES[pick % len(FIRST_NAMES)], LAST_NAMES[pick // len(FIRST_NAMES)]
        initial = f" {chr(ord('A') + index // pairs - 1)}." if index >= pairs else ""
        yield f"{first}{initial} {last}"
