"""A bundle from the cloud, as a delta to the one in force where both sides can (G1, RFC 3229)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from appliance.bundle import BUNDLE_LIMIT, BundleError
from appliance.bundle.seal import LINE_LIMIT
from appliance.cloud.client import CloudClient, FetchedBundle, FetchedDelta
from appliance.cloud.delta import BadDelta, applied
from appliance.cloud.shelf import read_bundle_file
from appliance.cloud.signature import PinnedKeys
from appliance.errors import Unavailable

log = logging.getLogger("holdfast.sync")


class Fetching:
    """Fetch what the cloud has and we have not, and remember by its ETag what came."""

    def __init__(self, file: Path, keys: PinnedKeys, refused: str) -> None:
        """`file` is the bundle in force; `refused` the ETag of one that is not wanted, or empty."""
        self._file = file
        self._keys = keys
        self._good, self._refused = "", refused
        self._sent = self._kept = b""
        """SHA-256 of what came with the good ETag, and of what lies in the file."""

    def known(self, again: bool = False) -> list[str]:
        """Return the ETags of what need not be sent; `again`: what was refused may be."""
        return [etag for etag in (self._good, "" if again else self._refused) if etag]

    def keep(self, data: bytes) -> None:
        """Learn what lies in the file from now on."""
        self._kept = hashlib.sha256(data).digest()

    def accept(self, etag: str, data: bytes) -> None:
        """Ask for this one no more, and for deltas to it while it is in force."""
        self._good, self._refused = etag, ""
        self._sent = hashlib.sha256(data).digest()

    def refuse(self, etag: str) -> None:
        """Ask for this one no more, though it is not used."""
        self._refused = etag

    async def fetch(
        self, cloud: CloudClient, site: str, known: list[str], wait: int
    ) -> FetchedBundle | None:
        """Return the bundle, whole, or None when the cloud has one of those `known`.

        A delta that does not make exactly what the cloud says, signed by a pinned key, is forgotten
        and the whole is fetched. Raises Unavailable when the cloud cannot be asked now.
        """
        base = self._good if self._good in known and self._sent == self._kept else ""
        try:
            fetched = await cloud.fetch_bundle(site, known, wait, base)
            if isinstance(fetched, FetchedDelta):
                return await asyncio.to_thread(self._made, fetched)
            return fetched
        except BadDelta as error:
            log.warning("the cloud's delta is of no use, so the whole is fetched: %s", error)
            why = str(error)
        whole = await cloud.fetch_bundle(site, known)
        return replace(whole, no_delta=why) if isinstance(whole, FetchedBundle) else None

    def _made(self, delta: FetchedDelta) -> FetchedBundle:
        """Return the bundle that a delta makes of the file; raises BadDelta."""
        try:
            data = applied(delta.data, read_bundle_file(self._file), BUNDLE_LIMIT + LINE_LIMIT)
            if hashlib.sha256(data).digest() != delta.digest:
                raise BadDelta("it makes another file than the cloud has; its base is another")
            self._keys.signer(data)
        except (BundleError, Unavailable) as error:
            raise BadDelta(str(error)) from error
        return FetchedBundle(data, delta.etag, by_delta=True, octets=len(delta.data))
