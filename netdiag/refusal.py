# SPDX-License-Identifier: GPL-2.0-only
"""What every request has in common: how it is refused, and what a card is called."""

from __future__ import annotations

import re

CARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
"""Names of network cards are at most 15 octets (linux/if.h)."""


class Refused(Exception):
    """Say why a probe is not made."""
