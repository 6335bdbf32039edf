"""What admins are shown of the site's bundle."""

from __future__ import annotations

import msgspec

from appliance.bundle import Problem
from appliance.cloud.shelf import Held


class SyncState(msgspec.Struct, kw_only=True):
    """What admins are shown of the bundle; times are wall-clock seconds (Unix) or None."""

    url: str
    site: str = ""
    version: int | None = None
    """Of the bundle in our file."""
    issued: str = ""
    stored_at: float | None = None
    in_core: bool = False
    """Core serves this version, as it said itself the last time it was asked."""
    core_failure: str = ""
    """Why core does not."""
    asked_at: float | None = None
    """When the cloud last gave an answer that made sense."""
    by_delta: bool = False
    """The last bundle that the cloud sent came as a delta to the one before."""
    octets: int | None = None
    """Of what the cloud sent then."""
    no_delta: str = ""
    """Why a delta was of no use then, so that the whole had to be fetched."""
    failing_since: float | None = None
    failure: str = ""
    """Why the last pull did not succeed."""
    refused_at: float | None = None
    refused_version: int | None = None
    problems: list[Problem] = []
    """What is wrong with the last bundle that was refused; empty once a good one came."""
    signer: str = ""
    """Fingerprint of the key that signed the bundle in our file; empty: it need not be signed."""
    newest: int = 0
    """The newest version there ever was here; above `version` after a roll-back."""
    held: Held | None = None
    """A bundle that waits for an admin to release it."""
