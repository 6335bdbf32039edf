"""The site bundle: everything the cloud tells an appliance about its site (product G1).

Structures only, plus decoding with *all* errors listed by path. The JSON Schema is generated from
these classes (`holdfast bundle schema`), so a docstring here is what an integrator reads.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@+-]+$")]
Extension = Annotated[str, Meta(pattern=r"^[0-9*#]{2,15}$")]
Number = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{5,14}$", description="E.164 with plus")]
Digits = Annotated[str, Meta(pattern=r"^[0-9*#]{1,15}$")]
Hex32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Hex64 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Host = Annotated[str, Meta(min_length=1, max_length=253)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(ge=0)]
SrtpPolicy = Literal["required", "preferred", "off"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part: immutable, keywords only, an unknown key is an error."""


class Zone(_Part, frozen=True, kw_only=True):
    """One half of the cloud's SIP service; the site is cut off when every zone is down (A1)."""

    id: Identifier
    host: Host
    """SRV name, host name or address."""
    port: Port | None = None
    """None: SRV decides, else 5091 for TLS and 5060 for TCP and UDP."""
    transport: Literal["TLS", "TCP", "UDP"] = "TLS"
    ca: str = ""
    """PEM of the CA that signed the zone's certificate; empty: the system's."""


class Monitoring(_Part, frozen=True, kw_only=True):
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


class Credential(_Part, frozen=True, kw_only=True):
    """What a phone proves itself with; HA1 hashes only, never a password (RFC 8760)."""

    username: Identifier
    realm: Annotated[str, Meta(min_length=1, max_length=253)]
    md5: Hex32 | None = None
    """MD5(username:realm:password)."""
    sha256: Hex64 | None = None
    """SHA-256(username:realm:password)."""


class Forwarding(_Part, frozen=True, kw_only=True):
    """Where a user's calls go instead (C10)."""

    always: str | None = None
    busy: str | None = None
    no_answer: str | None = None
    unreachable: str | None = None
    no_answer_after: Seconds = 20.0
    do_not_disturb: bool = False


class User(_Part, frozen=True, kw_only=True):
    """Somebody with an extension, phones and perhaps numbers."""

    id: Identifier
    name: Annotated[str, Meta(min_length=1, max_length=128)]
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
    caller_id: Number | None = None


class Device(_Part, frozen=True, kw_only=True):
    """A phone that is expected on the site."""

    id: Identifier
    model: str = ""
    mac: Annotated[str, Meta(pattern=r"^([0-9a-f]{12})?$")] = ""
    users: tuple[Identifier, ...]
    """Ids of the users with a line on it."""
    tier: Literal["emergency", "lobby", "normal"] = "normal"


class Location(_Part, frozen=True, kw_only=True):
    """A place to send help to (E6)."""

    id: Identifier
    name: str
    elin: Number | None = None
    address: str = ""
    networks: tuple[str, ...] = ()
    """IP networks, CIDR, longest match wins."""


class Contact(_Part, frozen=True, kw_only=True):
    """Somebody in the directory who has no phone here (C3)."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    numbers: tuple[Annotated[str, Meta(min_length=1, max_length=32)], ...]
    mail: str = ""
    organisation: str = ""


class Window(_Part, frozen=True, kw_only=True):
    """Opening time on some weekdays, minutes of the local day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    opens: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    closes: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-4]):[0-5][0-9]$")]


class Hours(_Part, frozen=True, kw_only=True):
    """Opening hours in a time zone, with holidays (D7)."""

    id: Identifier
    time_zone: str
    windows: tuple[Window, ...]
    holidays: tuple[Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")], ...] = ()


class Prompt(_Part, frozen=True, kw_only=True):
    """A message that callers hear; text is spoken once when the bundle is applied (D6)."""

    id: Identifier
    text: str


class Group(_Part, frozen=True, kw_only=True):
    """A survivability distribution group (D1-D8)."""

    id: Identifier
    name: str
    extension: Extension
    numbers: tuple[Number, ...] = ()
    kind: Literal["members", "menu", "number", "prompt"] = "members"
    members: tuple[Identifier, ...] = ()
    strategy: Literal["simultaneous", "sequential", "round_robin", "longest_idle"] = "simultaneous"
    ring_time: Seconds = 20.0
    keys: dict[str, str] = {}
    """Menu: key to the extension it leads to."""
    number: Number | None = None
    prompt: Identifier | None = None
    hours: Identifier | None = None
    closed: Extension | None = None
    overflow: Extension | None = None


class Sbc(_Part, frozen=True, kw_only=True):
    """One session border controller of a route group (E1)."""

    host: Host
    port: Port = 5061
    transport: Literal["TLS", "TCP", "UDP"] = "TLS"
    priority: int = 1
    weight: int = 1


class RouteGroup(_Part, frozen=True, kw_only=True):
    """SBCs that lead to the PSTN (E1)."""

    id: Identifier
    sbcs: tuple[Sbc, ...]
    srtp: SrtpPolicy = "required"


class Peer(_Part, frozen=True, kw_only=True):
    """Another site with a Holdfast (F1)."""

    site: Identifier
    code: Digits
    host: Host
    port: Port = 5061


class NumberPlan(_Part, frozen=True, kw_only=True):
    """How digits are understood at this site (E4)."""

    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] = "US"
    outside_prefix: Digits | None = None
    site_number: Number | None = None
    blocked: tuple[str, ...] = ()


class Policies(_Part, frozen=True, kw_only=True):
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
    max_calls: Annotated[int, Meta(ge=1)] = 4000
    """Calls at a time; the next gets 503."""
    emergency_callback: Seconds = 7200.0


class DscpQueue(_Part, frozen=True, kw_only=True):
    """One row of the DSCP table (H3)."""

    traffic: str
    name: str
    value: Annotated[int, Meta(ge=0, le=63)]


class Site(_Part, frozen=True, kw_only=True):
    """The site itself."""

    id: Identifier
    name: str
    code: Digits
    """Dialled before an extension to reach this site from another one (C2)."""
    domain: Host
    """SIP domain of the addresses of record."""
    realm: str
    """Digest realm; the cloud's, so that phones need one credential only."""
    time_zone: str = "UTC"


class Bundle(_Part, frozen=True, kw_only=True):
    """Everything about one site, one version."""

    schema: Literal[1] = 1
    version: Annotated[int, Meta(ge=1)]
    """Grows with every change; an older one is refused."""
    issued: str = ""
    """RFC 3339 time at which the cloud made it."""
    site: Site
    zones: Annotated[tuple[Zone, ...], Meta(min_length=1, max_length=8)]
    monitoring: Monitoring = Monitoring()
    users: tuple[User, ...] = ()
    devices: tuple[Device, ...] = ()
    locations: tuple[Location, ...] = ()
    contacts: tuple[Contact, ...] = ()
    groups: tuple[Group, ...] = ()
    route_groups: tuple[RouteGroup, ...] = ()
    peers: tuple[Peer, ...] = ()
    number_plan: NumberPlan = NumberPlan()
    emergency_numbers: tuple[Digits, ...] = ("911", "933")
    policies: Policies = Policies()
    dscp: tuple[DscpQueue, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    hours: tuple[Hours, ...] = ()
