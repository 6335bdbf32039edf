"""The parts of a bundle that are about the outside: SBCs, other sites, numbers and who may call."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from appliance.bundle.part import Part
from appliance.bundle.values import (
    Beginning,
    Country,
    DialledPart,
    Digits,
    HeaderName,
    Host,
    Identifier,
    Line,
    Number,
    Port,
    Seconds,
    SrtpPolicy,
    Target,
    Text,
)

GraceDays = Annotated[int, Meta(ge=0, le=90)]
DiversionHeaders = Literal["diversion", "history_info", "both", "none"]


class Sbc(Part, frozen=True, kw_only=True):
    """One session border controller of a route group (E1)."""

    host: Host
    """Host name or address; over TLS its certificate has to name exactly this (RFC 5922)."""
    port: Port | None = 5061
    """null: SRV decides, else 5061 for TLS and 5060 for TCP and UDP."""
    transport: Literal["TLS", "TCP", "UDP"] = "TLS"
    priority: Annotated[int, Meta(ge=0, le=65535)] = 1
    """Lower is tried first."""
    weight: Annotated[int, Meta(ge=0, le=65535)] = 1
    """Share of the calls among equals."""
    max_calls: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    """Calls at a time, both ways; further ones go to the next SBC. null: no limit."""


class HeaderRule(Part, frozen=True, kw_only=True):
    """A header that the carrier wants in every INVITE (E2)."""

    name: HeaderName
    value: Line
    """`{caller}` and `{callee}` stand for the numbers, E.164 with plus."""


class RouteGroup(Part, frozen=True, kw_only=True):
    """SBCs that lead to the PSTN (E1)."""

    id: Identifier
    sbcs: tuple[Sbc, ...]
    srtp: SrtpPolicy = "required"
    ca: Text = ""
    """PEM of the CA that signs the SBCs' certificates; empty: the system's authorities."""
    crl: Text = ""
    """PEM of certificate revocation lists of that CA; empty: nothing is revoked."""
    certificate_grace: GraceDays = 0
    """Days for which an SBC's certificate is believed that has expired, with an alarm each day."""
    codecs: tuple[Literal["opus", "g722", "pcmu", "pcma", "g729"], ...] = ()
    """Codecs that calls here may use, the preferred first; empty: whatever phones offer."""
    domain: Host | None = None
    """Host of our addresses in From and P-Asserted-Identity; null: our own address there."""
    number_format: Literal["e164", "digits", "national"] = "e164"
    """How numbers are written: +13125550100, 13125550100, or as dialled within the country."""
    headers: tuple[HeaderRule, ...] = ()
    shows_caller: bool = False
    """Show the first caller of a call that is sent on to outside, not who sent it on."""
    diversion: DiversionHeaders = "diversion"
    """How carriers are told who sends a call on: Diversion (RFC 5806), History-Info (RFC 7044)."""
    prefixes: tuple[Digits, ...] = ()
    """What a PBX behind these SBCs is dialled with; such digits go there as they are (E3)."""
    interval: Annotated[float, Meta(ge=1, le=300)] = 10.0
    """Seconds between two OPTIONS to each SBC."""
    misses: Annotated[int, Meta(ge=1, le=20)] = 3
    """Unanswered OPTIONS in a row that make an SBC down."""
    answers: Annotated[int, Meta(ge=1, le=20)] = 2
    """Answered OPTIONS in a row that make an SBC up again."""
    patience: Annotated[float, Meta(ge=0.5, le=30)] = 4.0
    """Seconds an SBC may be silent after an INVITE before the next one is tried."""


class TrunkNumber(Part, frozen=True, kw_only=True):
    """A number of the trunk to which the cloud forwards calls for many others (E3)."""

    number: Number
    cloud_numbers: tuple[Number, ...] = ()
    """Numbers forwarded here; Diversion, History-Info or To tell which was called."""
    target: Target | None = None
    """Where calls go that tell none of them; null: they get 404."""


class Peer(Part, frozen=True, kw_only=True):
    """Another site with a Holdfast (F1)."""

    site: Identifier
    code: Digits
    host: Host
    """Host name or address; its certificate has to name exactly this (RFC 5922)."""
    port: Port = 5061
    ca: Text = ""
    """PEM of the CA that signs its certificate; empty: the system's authorities."""
    crl: Text = ""
    """PEM of certificate revocation lists of that CA."""
    certificate_grace: GraceDays = 0
    """Days for which its certificate is believed that has expired, with an alarm each day."""
    srtp: SrtpPolicy = "required"
    numbers: Beginning | None = None
    """Put before an extension there it gives a number of the trunk, for when that site takes no
    calls itself because its users are on the cloud; null: callers hear that it takes none."""


class DialRule(Part, frozen=True, kw_only=True):
    """What becomes of outside numbers with a certain beginning (E4)."""

    begins: Beginning
    """Of what is dialled behind the outside prefix; with plus: of the E.164 number."""
    becomes: DialledPart | None = None
    """Written in place of the beginning; null: nothing is changed."""
    route_groups: tuple[Identifier, ...] = ()
    """Ids of the route groups to use, in this order; empty: all."""
    refuse: bool = False


class CallLimits(Part, frozen=True, kw_only=True):
    """How much one user may call outside, so that a stolen password costs little (E5)."""

    concurrent: Annotated[int, Meta(ge=1, le=10_000)] = 4
    """Outside calls of one user at a time."""
    per_minute: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Outside calls one user may begin in a minute."""
    per_day: Annotated[int, Meta(ge=1, le=1_000_000)] = 300
    international_per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """One more is taken for fraud: the user is stopped and an alarm raised."""
    refused_per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Attempts at numbers the user may not call; one more stops the user as well."""
    stopped_for: Seconds = 86_400.0
    """How long a stopped user stays so, seconds, unless an admin releases it."""


class NumberPlan(Part, frozen=True, kw_only=True):
    """How digits are understood at this site (E4)."""

    country: Country = "US"
    outside_prefix: Digits | None = None
    """Dialled before an outside number; None: not needed."""
    area_code: Digits | None = None
    """Put before local numbers, those dialled without area code; None: there are none."""
    anonymous_code: Digits | None = None
    """Dialled first, it hides who calls, like *67; None: there is none."""
    short_numbers: tuple[Digits, ...] = ()
    """Numbers that the carrier takes as they are, like 411; others are not dialled."""
    rules: tuple[DialRule, ...] = ()
    """The longest beginning that fits decides; those of the user come first."""
    limits: CallLimits = CallLimits()
    site_number: Number | None = None
    """Shown to the outside for users without a number."""
    blocked: tuple[Beginning, ...] = ()
    """Beginnings of numbers that nobody may call."""
