"""What each SIP method has to show before it is served: deny by default."""

from __future__ import annotations

from enum import Enum

from appliance.errors import RemoteError


class Access(Enum):
    """What a request has to show before it is served."""

    OPEN = "open"
    """Nothing."""
    DIGEST = "digest"
    """Credentials of a user of the site."""
    DIALOG = "dialog"
    """Both tags of a dialog we are in."""
    TRANSACTION = "transaction"
    """The branch of an INVITE under way."""


ACCESS: dict[str, Access] = {
    "REGISTER": Access.DIGEST,
    "INVITE": Access.DIGEST,
    "OPTIONS": Access.OPEN,
    "CANCEL": Access.TRANSACTION,
    "ACK": Access.DIALOG,
    "BYE": Access.DIALOG,
    "UPDATE": Access.DIALOG,
    "INFO": Access.DIALOG,
    "PRACK": Access.DIALOG,
    "REFER": Access.DIGEST,
    "MESSAGE": Access.DIGEST,
}
"""By method, outside a dialog; a method that is not here is refused (deny by default)."""

KNOWN = frozenset({"NOTIFY", "PUBLISH", "SUBSCRIBE"})
"""Methods we understand and do not serve: 405, not 501 (RFC 3261, 21.4.6)."""


def misplaced(method: str) -> RemoteError:
    """Return why a request of this method is not taken where it came."""
    if method in ACCESS:
        return RemoteError(481, f"{method} belongs to no dialog here")
    return RemoteError(405 if method in KNOWN else 501, f"{method} is not served")
