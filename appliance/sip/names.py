"""The names of SIP's header fields: one spelling for every way they may be written."""

from __future__ import annotations

from appliance.sip.scan import is_token, malformed


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""Compact forms in the IANA registry of SIP header fields."""

FULL = _words("""
Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Answer-Mode
Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
Content-ID Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event
Expires From Geolocation History-Info Identity Identity-Info In-Reply-To Join Max-Forwards
MIME-Version Min-Expires Min-SE Organization P-Asserted-Identity P-Called-Party-ID
P-Preferred-Identity Path
Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route
Refer-Sub Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To
Request-Disposition Require Retry-After Route RSeq Security-Client Security-Server
Security-Verify Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject
Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent Via Warning
WWW-Authenticate
""")
"""Names whose spelling is not simply each word with a capital, and all others we meet often."""

LISTS = frozenset(
    _words("""
Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Call-Info Contact
Content-Encoding Content-Language Diversion Error-Info History-Info In-Reply-To
P-Asserted-Identity P-Preferred-Identity Path Proxy-Require Reason Record-Route Require Route
Service-Route Supported Unsupported Via Warning
""")
)
"""Fields whose value is a comma-separated list; in all others a comma is just a comma."""

NAMES = frozenset(FULL)
_LOWER = {name.lower(): name for name in FULL} | COMPACT
KNOWN = {
    spelling: name
    for lower, name in _LOWER.items()
    for spelling in (lower, lower.upper(), lower.title(), name)
}
"""Usual spellings to the canonical name: one look-up for nearly every line on the wire."""


def canonical(name: str) -> str:
    """Return the one spelling of a header's name, whatever its case, compactness or blanks.

    A name nobody registered gets a capital on each word. Raises RemoteError(400) if it is none.
    """
    name = name.strip(" \t")
    known = KNOWN.get(name) or _LOWER.get(name.lower())
    if known is not None:
        return known
    if not is_token(name):
        malformed("Bad header name")
    return name.title()
