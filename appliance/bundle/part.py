"""What all parts of a bundle have in common."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of every part: immutable, keywords only, an unknown key is an error.

    Made from JSON, so never in a reference cycle: the garbage collector need not look, which halves
    the time to read 10,000 users.
    """
