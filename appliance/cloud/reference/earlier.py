"""Bundles the reference cloud served before, and deltas from them to the one it serves."""

from __future__ import annotations

import asyncio

from appliance.cloud.delta import difference

VERSIONS_KEPT = 8
ROOM = 256 << 20
"""Octets of all versions together; a site of 10,000 users has 17 MB each."""


class Earlier:
    """Keep the latest versions by ETag; one that is not kept is answered with the whole."""

    def __init__(self) -> None:
        self._versions: dict[str, bytes] = {}
        self._deltas: dict[str, bytes | None] = {}
        """To the latest version, by the ETag they start from; None: the whole is shorter."""

    def keep(self, etag: str, body: bytes) -> None:
        """Learn of the version that is served from now on; the oldest make room for it."""
        self._versions.pop(etag, None)
        self._versions[etag] = body
        self._deltas = {}
        while len(self._versions) > VERSIONS_KEPT or self._octets() > ROOM:
            if len(self._versions) == 1:
                return
            del self._versions[next(iter(self._versions))]

    async def delta(self, bases: list[str], latest: bytes) -> tuple[str, bytes] | None:
        """Return the first of the ETags that is kept, with the delta from it to the latest."""
        base = next((etag for etag in bases if etag in self._versions), None)
        if base is None:
            return None
        deltas = self._deltas  # Another version may come meanwhile, with its own.
        if base not in deltas:
            deltas[base] = await asyncio.to_thread(difference, self._versions[base], latest)
        made = deltas[base]
        return None if made is None else (base, made)

    def _octets(self) -> int:
        return sum(map(len, self._versions.values()))
