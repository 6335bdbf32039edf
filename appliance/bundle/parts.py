"""The parts of a site bundle: structures only (product G1).

The JSON Schema is generated from these classes (`holdfast bundle schema`), so a docstring here is
what an integrator reads.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.bundle.calling_parts import (
    FeatureCodes,
    Forwarding,
    ParkingPlaces,
    PickupGroup,
    Texts,
)
from appliance.bundle.emergency_parts import Emergency, Location
from appliance.bundle.part import Part
from appliance.bundle.trunk_parts import DialRule, NumberPlan, Peer, RouteGroup, TrunkNumber
from appliance.bundle.values import (
    Audio,
    ClosingTime,
    CryptHash,
    Day,
    Digits,
    Extension,
    Hex32,
    Hex64,
    Host,
    ICalendar,
    Identifier,
    Key,
    Language,
    Line,
    Mac,
    Name,
    Number,
    OpeningTime,
    Port,
    Realm,
    SrtpPolicy,
    Target,
    Text,
    WrittenNumber,
)


class Zone(Part, frozen=True, kw_only=True):
    """One half of the cloud's SIP service; the site is cut off when every zone is down (A1)."""

    id: Identifier
    host: Host
    """SRV name, host name or address."""
    port: Port | None = None
    """None: SRV decides, else 5091 for TLS and 5060 for TCP and UDP."""
    transport: Literal["TLS", "TCP", "UDP"] = "TLS"
    ca: Text = ""
    """PEM of the CA that signed the zone's certificate; empty: the system's."""
    echo_port: Port | None = None
    """UDP port of `host` that sends RTP back, for checks of audio and of DSCP marks (the last octet
    becomes the traffic class the packet came with); None: there is none."""


class Monitoring(Part, frozen=True, kw_only=True):
    """How zones are watched and how modes change (A1, A2)."""

    interval: Annotated[float, Meta(ge=0.1, le=300)] = 5.0
    """Seconds between two OPTIONS to one zone."""
    timeout: Annotated[float, Meta(ge=0.1, le=60)] = 3.0
    """Seconds to wait for the answer to one OPTIONS."""
    misses: Annotated[int, Meta(ge=1, le=20)] = 3
    """Unanswered OPTIONS in a row that make a zone down."""
    stable_window: Annotated[float, Meta(ge=1, le=1800)] = 300.0
    """Seconds a zone must answer without a miss before phones go back (1-30 min on a real site)."""
    retry_after: Annotated[int, Meta(ge=1, le=3600)] = 30
    """Retry-After of the 503 that phones get in standby, seconds."""


class Credential(Part, frozen=True, kw_only=True):
    """What a phone proves itself with; HA1 hashes only, never a password (RFC 8760)."""

    username: Identifier
    realm: Realm
    md5: Hex32 | None = None
    """MD5(username:realm:password)."""
    sha256: Hex64 | None = None
    """SHA-256(username:realm:password)."""


class User(Part, frozen=True, kw_only=True):
    """Somebody with an extension, phones and perhaps numbers."""

    id: Identifier
    name: Name
    extension: Extension
    aliases: tuple[Identifier, ...] = ()
    """User parts of this user's addresses of record besides the extension."""
    numbers: tuple[Number, ...] = ()
    """DIDs that ring this user."""
    credentials: tuple[Credential, ...] = ()
    location: Identifier | None = None
    """Id in `locations`: where the caller is, for emergency calls."""
    forwarding: Forwarding = Forwarding()
    class_of_service: Literal["internal", "national", "international"] = "national"
    """Where this user may call over the trunk (E5); emergency numbers always."""
    caller_id: Number | None = None
    """Shown to the outside; None: the first of `numbers`, else the site's."""
    mobile: WrittenNumber | None = None
    """Shown in the directory (C3), as are the five below; no call rings it by itself."""
    home: WrittenNumber | None = None
    mail: Line = ""
    organisation: Line = ""
    department: Line = ""
    title: Line = ""
    hides_caller_id: bool = False
    """Call outside anonymously, as a rule (RFC 3323)."""
    premium: bool = False
    """May call premium-rate numbers."""
    rules: tuple[DialRule, ...] = ()
    """Rules of this user's own; they win over those of `number_plan` that begin alike."""


class Device(Part, frozen=True, kw_only=True):
    """A phone that is expected on the site."""

    id: Identifier
    model: Line = ""
    mac: Mac = ""
    users: tuple[Identifier, ...]
    """Ids of the users with a line on it."""
    tier: Literal["emergency", "lobby", "normal"] = "normal"
    location: Identifier | None = None
    """Id in `locations`: where it stands; known by its `mac` in what the phone says of itself."""


class Contact(Part, frozen=True, kw_only=True):
    """Somebody in the directory who has no phone here (C3)."""

    name: Name
    numbers: tuple[WrittenNumber, ...]
    mobile: WrittenNumber | None = None
    home: WrittenNumber | None = None
    mail: Line = ""
    organisation: Line = ""
    department: Line = ""
    title: Line = ""


class Window(Part, frozen=True, kw_only=True):
    """Opening time on some weekdays, by the clock of the time zone."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    opens: OpeningTime
    closes: ClosingTime
    """Later than `opens`; a night is two windows."""


class Opening(Part, frozen=True, kw_only=True):
    """One time of a special day."""

    opens: OpeningTime
    closes: ClosingTime
    """Later than `opens`."""


class SpecialDay(Part, frozen=True, kw_only=True):
    """A day that is unlike others, whatever holidays and calendar say (D7)."""

    day: Day
    openings: tuple[Opening, ...] = ()
    """Empty: closed all day."""


class Hours(Part, frozen=True, kw_only=True):
    """Opening hours in a time zone, with holidays (D7)."""

    id: Identifier
    time_zone: Line
    """IANA name, like Europe/Zurich."""
    windows: tuple[Window, ...]
    holidays: tuple[Day, ...] = ()
    calendar: ICalendar = ""
    """Further closing times as iCalendar (RFC 5545); what recurs is followed until 2060."""
    exceptions: tuple[SpecialDay, ...] = ()
    """Days that are unlike others; they win over windows, holidays and calendar."""


class Drill(Part, frozen=True, kw_only=True):
    """A test of survivability that begins and ends by itself, by the site's clock (A6)."""

    id: Identifier
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """On which it begins each week; empty: once, on `day`."""
    day: Day | None = None
    at: OpeningTime
    minutes: Annotated[int, Meta(ge=1, le=480, description="a whole number from 1 to 480")] = 30
    who: Annotated[tuple[Identifier, ...], Meta(max_length=500, description="at most 500")] = ()
    """Extensions, ids or MACs of phones, extensions of groups; empty: the whole site."""


class Prompt(Part, frozen=True, kw_only=True):
    """A message that callers hear, made ready once when the bundle is applied (D6).

    One with the id of a sound that ships with Holdfast (`holdfast sounds list`) is heard instead.
    """

    id: Identifier
    text: Text = ""
    """Spoken by the appliance where there is no `audio`; else what it says, for people to read."""
    audio: Audio = b""
    """A WAV file in base64: 8 or 16 kHz, 16-bit PCM, mu-law or A-law, mono or stereo."""
    language: Language | None = None
    """In which `text` is spoken; None: the site's."""


class Group(Part, frozen=True, kw_only=True):
    """A survivability distribution group (D1-D8)."""

    id: Identifier
    name: Name
    extension: Extension
    numbers: tuple[Number, ...] = ()
    stands_in_for: Literal["", "call_queue", "auto_receptionist", "shared_line"] = ""
    """What the cloud has under this extension and these numbers; shown to admins."""
    kind: Literal["user", "members", "menu", "number", "group", "prompt"] = "members"
    target: Target | None = None
    """Extension of the user or group where a group of that kind leads; after a prompt: go there."""
    members: tuple[Identifier, ...] = ()
    """Ids of the users that ring, in their order."""
    strategy: Literal["simultaneous", "sequential", "round_robin", "longest_idle"] = "simultaneous"
    ring_time: Annotated[float, Meta(ge=1, le=600)] = 20.0
    """How long a member rings, seconds."""
    rounds: Annotated[int, Meta(ge=1, le=10)] = 1
    """How often all members are tried."""
    ring_limit: Annotated[float, Meta(ge=1, le=3600)] = 300.0
    """How long a caller rings altogether, over all members and rounds, seconds."""
    hears: Identifier = "ring-back"
    """What callers hear while it rings: `ring-back`, `music`, or the id of a prompt, repeated."""
    keys: dict[Key, Target] = msgspec.field(default_factory=dict)
    """Menu: key to the extension it leads to."""
    dial_extension: bool = False
    """Menu: callers may dial any extension of the site."""
    names_key: Key | None = None
    """Menu: the key that lets callers find a user by spelling a name; None: they may not."""
    key_time: Annotated[float, Meta(ge=1, le=60)] = 5.0
    """Menu: seconds to wait for a key when the prompt has ended."""
    retries: Annotated[int, Meta(ge=0, le=9)] = 2
    """Menu: how often it is said again after no key or a wrong one."""
    number: Number | None = None
    """Where a group of the kind `number` leads."""
    prompt: Identifier | None = None
    """Id in `prompts`: what a menu or a prompt says, and what callers hear before it rings."""
    hours: Identifier | None = None
    """Id in `hours`; None: always open."""
    closed: Target | None = None
    """Where callers go outside `hours`."""
    no_answer: Target | None = None
    """Where callers go whom nobody answered, or who pressed no key; None: `overflow`."""
    busy: Target | None = None
    """Where callers go when everybody is on another call; None: `overflow`."""
    empty: Target | None = None
    """Where callers go when nobody has a phone here now; None: `overflow`."""
    overflow: Target | None = None
    """Where callers go in every case that has no place of its own, but not when it is closed."""


class Policies(Part, frozen=True, kw_only=True):
    """Choices of the site's admin."""

    srtp: SrtpPolicy = "preferred"
    """SDES media encryption between phones (C13)."""
    digest_algorithms: tuple[Literal["SHA-256", "MD5"], ...] = ("SHA-256", "MD5")
    """Offered in this order (RFC 8760, 2.4); phones take the first they know."""
    min_expires: Annotated[int, Meta(ge=10, le=3600)] = 30
    """A shorter registration gets 423, seconds."""
    max_expires: Annotated[int, Meta(ge=30, le=86400)] = 120
    """A longer one is shortened: phones must find their way back soon, seconds."""
    bindings_per_user: Annotated[int, Meta(ge=1, le=50)] = 10
    """Phones one user may register at a time."""
    ring_time: Annotated[float, Meta(ge=5, le=300)] = 60.0
    """Seconds a user's phones ring before the caller hears that nobody answers."""
    session_expires: Annotated[int, Meta(ge=90, le=86400)] = 1800
    """RFC 4028 Session-Expires, seconds."""
    music_on_hold: bool = True
    """Whether whoever is put on hold hears music; else silence (C4)."""
    pickup: Literal["groups", "site"] = "groups"
    """Whose calls users may take by extension: those of their pickup groups, or everybody's."""
    outage_prompt: Literal["nobody", "outside", "everybody"] = "nobody"
    """Callers who hear before the first ring that the site serves itself, in an outage (A5): the
    prompt `survivability`, and `survivability-inside` for users of the site."""
    max_calls: Annotated[int, Meta(ge=1, le=100_000)] = 4000
    """Calls at a time; the next gets 503."""
    dscp_strategy: Literal["12-queue", "4-queue"] = "12-queue"
    """Table of DSCP marks, by how many queues the network has; `dscp` changes its rows (H3)."""
    emergency_callback: Annotated[float, Meta(ge=120, le=172_800)] = 7200.0
    """How long the number of an emergency call leads back to its caller, seconds (E7)."""


class LdapAccount(Part, frozen=True, kw_only=True):
    """What phones log in to the LDAP directory with: cn=NAME,ou=accounts and the base."""

    name: Identifier
    sha512: CryptHash
    """SHA-512 crypt of the password, as `openssl passwd -6` prints it."""


class Ldap(Part, frozen=True, kw_only=True):
    """Who may read the directory over LDAP (C3); nobody, unless one of the two is given."""

    anonymous: bool = False
    """Whether whoever reaches the port may."""
    accounts: Annotated[
        tuple[LdapAccount, ...], Meta(max_length=100, description="at most 100 accounts")
    ] = ()
    require_tls: bool = False
    """Whether StartTLS has to come before anything else."""


class DscpQueue(Part, frozen=True, kw_only=True):
    """One row of the DSCP table, in place of the strategy's for the same traffic (H3)."""

    traffic: Name
    """Kind of traffic, as `policies.dscp_strategy` names it: `real-time`, `signalling` ..."""
    name: Line
    """Name of the code point, e.g. `EF`."""
    value: Annotated[int, Meta(ge=0, le=63)]


class Site(Part, frozen=True, kw_only=True):
    """The site itself."""

    id: Identifier
    name: Name
    code: Digits
    """Dialled before an extension to reach this site from another one (C2)."""
    domain: Host
    """SIP domain of the addresses of record."""
    realm: Realm
    """Digest realm; the cloud's, so that phones need one credential only."""
    time_zone: Line = "UTC"
    """IANA name, like America/Chicago."""
    language: Language = "en"
    """Of the sounds that ship with Holdfast and of prompts given as text."""


class Bundle(Part, frozen=True, kw_only=True):
    """Everything about one site, one version."""

    schema: Literal[1] = 1
    version: Annotated[int, Meta(ge=1, le=2**53 - 1, description="a whole number from 1")]
    """Grows with every change; an older one is refused."""
    issued: Line = ""
    """RFC 3339 time at which the cloud made it."""
    site: Site
    zones: Annotated[tuple[Zone, ...], Meta(min_length=1, max_length=8, description="1 to 8 zones")]
    monitoring: Monitoring = Monitoring()
    users: tuple[User, ...] = ()
    devices: tuple[Device, ...] = ()
    locations: tuple[Location, ...] = ()
    contacts: tuple[Contact, ...] = ()
    groups: tuple[Group, ...] = ()
    route_groups: tuple[RouteGroup, ...] = ()
    trunk_numbers: tuple[TrunkNumber, ...] = ()
    peers: tuple[Peer, ...] = ()
    number_plan: NumberPlan = NumberPlan()
    emergency_numbers: tuple[Digits, ...] = ()
    """Numbers that call for help, besides any rule; empty: those of `number_plan.country`."""
    emergency: Emergency = Emergency()
    policies: Policies = Policies()
    feature_codes: FeatureCodes = FeatureCodes()
    texts: Texts = Texts()
    park: ParkingPlaces = ParkingPlaces()
    pickup_groups: tuple[PickupGroup, ...] = ()
    dscp: tuple[DscpQueue, ...] = ()
    ldap: Ldap = Ldap()
    prompts: tuple[Prompt, ...] = ()
    hours: tuple[Hours, ...] = ()
    drills: Annotated[
        tuple[Drill, ...], Meta(max_length=100, description="at most 100 drills")
    ] = ()
