"""The site bundle: everything the cloud tells an appliance about its site (product G1).

`decode` is the only way in: it returns a bundle that holds together, or raises BundleError with
everything that is wrong, each with its path. Pure: files and the network are elsewhere.
"""

from __future__ import annotations

from appliance.bundle.advice import warnings
from appliance.bundle.calling_parts import (
    FeatureCodes,
    Forwarding,
    ParkingPlaces,
    PickupGroup,
    Texts,
)
from appliance.bundle.emergency_parts import Civic, Emergency, Location
from appliance.bundle.json_schema import schema
from appliance.bundle.parts import (
    Bundle,
    Contact,
    Credential,
    Device,
    Drill,
    DscpQueue,
    Group,
    Hours,
    Ldap,
    LdapAccount,
    Monitoring,
    Opening,
    Policies,
    Prompt,
    Site,
    SpecialDay,
    User,
    Window,
    Zone,
)
from appliance.bundle.problem import BundleError, Problem
from appliance.bundle.reader import BUNDLE_LIMIT, decode
from appliance.bundle.trunk_parts import (
    CallLimits,
    DialRule,
    HeaderRule,
    NumberPlan,
    Peer,
    RouteGroup,
    Sbc,
    TrunkNumber,
)
from appliance.bundle.values import SrtpPolicy

__all__ = [
    "BUNDLE_LIMIT",
    "Bundle",
    "BundleError",
    "CallLimits",
    "Civic",
    "Contact",
    "Credential",
    "Device",
    "DialRule",
    "Drill",
    "DscpQueue",
    "Emergency",
    "FeatureCodes",
    "Forwarding",
    "Group",
    "HeaderRule",
    "Hours",
    "Ldap",
    "LdapAccount",
    "Location",
    "Monitoring",
    "NumberPlan",
    "Opening",
    "ParkingPlaces",
    "Peer",
    "PickupGroup",
    "Policies",
    "Problem",
    "Prompt",
    "RouteGroup",
    "Sbc",
    "Site",
    "SpecialDay",
    "SrtpPolicy",
    "Texts",
    "TrunkNumber",
    "User",
    "Window",
    "Zone",
    "decode",
    "schema",
    "warnings",
]
