"""What our other processes ask: answered from the store, the media plane and the core together.

The core answers alone whatever is not here (`commands.COMMANDS`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from appliance.adapters.journal import Journal
from appliance.adapters.store import Store
from appliance.bundle import BUNDLE_LIMIT, Bundle, decode
from appliance.bundle.dscp import in_force
from appliance.errors import LocalError, Unavailable
from appliance.evidence import Finding, with_evidence
from appliance.ports import Certificates, MediaPlane

LARGEST_LIST = 2000
"""Rows of one answer; more are asked for in parts."""
EVIDENCE_SHOWN = 1000
"""Findings looked through for the history of the mode: all that are kept."""

Row = dict[str, Any]


class Asked(Protocol):
    """The runtime, as those see it who ask; `runtime.Runtime` fulfils it."""

    store: Store
    media: MediaPlane
    journal: Journal
    certificates: Certificates
    bundle: Bundle | None
    statistics: Callable[[], Row]
    messages: int
    faults: int

    def ask_core(self, name: str, arguments: Row) -> Any:
        """Have the core answer, and do what it wants done for that."""
        ...

    def apply(self, bundle: Bundle) -> None:
        """Serve this bundle from now on; raises LocalError when the core refuses it."""
        ...


async def _status(runtime: Asked, arguments: Row) -> Any:
    own = {
        "messages": runtime.messages,
        "faults": runtime.faults,
        "notices": runtime.journal.counts,
        "certificates": runtime.certificates.shown(),
    }
    try:
        pending: int | None = await runtime.store.count_pending()
    except Unavailable:  # A broken disk is one more reason to want the status.
        pending = None
    own["records"] = {"pending": pending}
    return {**runtime.ask_core("status", arguments), **own, **runtime.statistics()}


async def _calls(runtime: Asked, arguments: Row) -> Any:
    """Add how each call is heard now; its other streams than audio have none."""
    calls = runtime.ask_core("calls", arguments)
    keys = [f"{call['id']}/0" for call in calls]
    live = {row.key: row for row in await runtime.media.quality(keys)} if keys else {}
    for call, key in zip(calls, keys, strict=True):
        row = live.get(key)
        call["from_caller"] = row.from_a if row else None
        call["from_callee"] = row.from_b if row else None
    return calls


async def _peers(runtime: Asked, command: str, arguments: Row) -> Any:
    """Add what each site has shown to prove its name."""
    rows = runtime.ask_core(command, arguments)
    return [{**row, "certificate": runtime.certificates.shown_by(row["host"])} for row in rows]


async def _records(runtime: Asked, arguments: Row) -> Any:
    asked = msgspec.convert(arguments, _Records)
    return await runtime.store.records(**msgspec.structs.asdict(asked))


async def _pending(runtime: Asked, arguments: Row) -> Any:
    return await runtime.store.pending_records(msgspec.convert(arguments, _Limited).limit)


async def _uploaded(runtime: Asked, arguments: Row) -> Any:
    return await runtime.store.mark_uploaded(msgspec.convert(arguments, _Ids).ids)


async def _history(runtime: Asked, arguments: Row) -> Any:
    changes = await runtime.store.mode_history(msgspec.convert(arguments, _Limited).limit)
    return with_evidence(changes, await runtime.store.findings(EVIDENCE_SHOWN))


async def _evidence(runtime: Asked, arguments: Row) -> Any:
    return await runtime.store.findings(msgspec.convert(arguments, _Limited).limit)


async def _add_evidence(runtime: Asked, arguments: Row) -> Any:
    await runtime.store.add_finding(msgspec.convert(arguments, _Found).finding)


async def _apply_file(runtime: Asked, arguments: Row) -> Any:
    path = msgspec.convert(arguments, _File).path
    # In a thread: reading and checking 10,000 users takes longer than a call may wait.
    runtime.apply(await asyncio.to_thread(read_bundle, path))
    return await _bundle_info(runtime, {})


async def _bundle_info(runtime: Asked, arguments: Row) -> Any:
    bundle = runtime.bundle
    if bundle is None:
        return None
    return {
        "version": bundle.version,
        "issued": bundle.issued,
        "site": bundle.site.id,
        "name": bundle.site.name,
        "users": len(bundle.users),
        "devices": len(bundle.devices),
    }


async def _snapshot(runtime: Asked, arguments: Row) -> Any:
    await runtime.store.snapshot()
    return {}


async def _notices(runtime: Asked, arguments: Row) -> Any:
    return list(runtime.journal.latest)


async def _qos(runtime: Asked, arguments: Row) -> Any:
    return in_force(runtime.bundle)


class _Limited(msgspec.Struct, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=LARGEST_LIST)] = 100


class _Records(_Limited, frozen=True):
    since: float | None = None
    call_id: str | None = None
    until: float | None = None
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


class _Found(msgspec.Struct, frozen=True):
    finding: Finding


class _Ids(msgspec.Struct, frozen=True):
    ids: list[str]


class _File(msgspec.Struct, frozen=True):
    path: str


INQUIRIES: dict[str, Callable[[Asked, Row], Awaitable[Any]]] = {
    "status": _status,
    "calls": _calls,
    "peers": lambda runtime, arguments: _peers(runtime, "peers", arguments),
    "peers.drain": lambda runtime, arguments: _peers(runtime, "peers.drain", arguments),
    "peers.resume": lambda runtime, arguments: _peers(runtime, "peers.resume", arguments),
    "records": _records,
    "records.pending": _pending,
    "records.uploaded": _uploaded,
    "mode.history": _history,
    "evidence": _evidence,
    "evidence.add": _add_evidence,
    "store.snapshot": _snapshot,
    "bundle.apply": _apply_file,
    "bundle.info": _bundle_info,
    "notices": _notices,
    "qos": _qos,
}


def read_bundle(path: str) -> Bundle:
    """Read and check a bundle file; raises LocalError with everything that is wrong with it."""
    try:
        with open(path, "rb") as file:
            data = file.read(BUNDLE_LIMIT + 1)
    except OSError as error:
        raise LocalError(f"bundle {path}: {error.strerror}") from error
    return decode(data)
