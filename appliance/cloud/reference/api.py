"""The reference cloud's HTTPS API: bundles down, call records up, and commands for trials."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from appliance.cloud.delta import FORMAT, HEAD
from appliance.cloud.reference.faults import ApiFaults, ApiOrder, ZoneOrder
from appliance.cloud.reference.ledger import Ledger
from appliance.cloud.reference.registry import AskedCertificate, Registry
from appliance.cloud.reference.site import SiteFile
from appliance.cloud.reference.zone import Zone
from appliance.errors import LocalError

RECORD_LIMIT = 256 << 10
"""Bytes of one record; a long one with all its steps is about 4 KiB."""

BUNDLE_TYPE = "application/vnd.holdfast.bundle"
"""A line with the signature, then the JSON that was signed."""

LONGEST_WAIT = 55
"""Seconds a question may wait for another bundle (RFC 7240, 4.3)."""
LOOK_INTERVAL = 0.25
"""Seconds between two looks at the site's file meanwhile."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Order = TypeVar("Order", ZoneOrder, ApiOrder)


class Api:
    """Answer the API of one site; `site_token` opens /v1, `control_token` opens /control."""

    def __init__(
        self,
        site: SiteFile,
        ledger: Ledger,
        zones: dict[str, Zone],
        registry: Registry,
        site_token: str,
        control_token: str,
    ) -> None:
        self._site = site
        self._ledger = ledger
        self._zones = zones
        self._registry = registry
        self._site_token = site_token
        self._control_token = control_token
        self.faults = ApiFaults()
        self._bundle_pulls = {"full": 0, "unchanged": 0, "delta": 0}

    def application(self) -> web.Application:
        """Build the aiohttp application."""
        application = web.Application(client_max_size=RECORD_LIMIT, middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/v1/sites/{site}/bundle", self._get_bundle),
                web.put("/v1/sites/{site}/records/{id}", self._put_record),
                web.get("/v1/sites/{site}/records", self._get_records),
                web.post("/v1/enrol", self._enrol),
                web.post("/v1/sites/{site}/certificate", self._renew),
                web.post("/control/enrolment", self._new_token),
                web.get("/control/status", self._get_status),
                web.post("/control/zones/{zone}", self._command_zone),
                web.post("/control/api", self._command_api),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/v1/enrol":  # The token is in its body.
            return await handler(request)
        control = request.path.startswith("/control/")
        token = self._control_token if control else self._site_token
        shown = request.headers.get("Authorization", "")
        proved = not control and self._registry.knows(request)
        if not proved and not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            return _problem(401, "The bearer token is missing or wrong")
        if control:
            return await handler(request)
        await asyncio.sleep(self.faults.order.delay)
        if self.faults.order.failing:
            return _problem(503, "The API is failing, as commanded")
        if request.match_info.get("site", self._site_id) != self._site_id:
            return _problem(404, f"No such site; this cloud serves {self._site_id}")
        return await handler(request)

    @property
    def _site_id(self) -> str:
        return self._site.plain.site.id

    async def _get_bundle(self, request: web.Request) -> web.StreamResponse:
        known = request.headers.get("If-None-Match", "")
        waited = await self._wait_for_another(known, request.headers.get("Prefer", ""))
        etag, body = f'"{self._site.etag}"', self._site.body
        headers = {"ETag": etag, "Cache-Control": "no-cache"} | waited
        if etag in known:
            self._bundle_pulls["unchanged"] += 1
            return web.Response(status=304, headers=headers)
        if found := await self._delta(request.headers, body):
            self._bundle_pulls["delta"] += 1
            return _delta_answer(body, *found, headers)
        self._bundle_pulls["full"] += 1
        if self.faults.order.broken_bundle:
            return web.Response(body=body[: len(body) // 2], content_type=BUNDLE_TYPE)
        return web.Response(body=body, content_type=BUNDLE_TYPE, headers=headers)

    async def _delta(self, asked: Mapping[str, str], body: bytes) -> tuple[str, bytes] | None:
        """Return the ETag of a bundle the appliance has, and the delta from it, if it takes one."""
        if not _takes_deltas(asked.get("A-IM", "")):
            return None
        known = [one.strip() for one in asked.get("If-None-Match", "").split(",")]
        bases = [one.removeprefix("W/").strip('"') for one in known]
        found = await self._site.earlier.delta(bases, body)
        if found and self.faults.order.broken_delta:
            return found[0], HEAD + b"\x02{}\x00"
        return found

    async def _wait_for_another(self, known: str, preference: str) -> dict[str, str]:
        """Let a question wait until the bundle is none of those known; return what was granted."""
        self._site.refresh()
        asked = preference.removeprefix("wait=")
        if asked == preference or not (asked.isascii() and asked.isdigit()):
            return {}
        seconds = min(int(asked), LONGEST_WAIT)
        until = time.monotonic() + seconds
        while self._site.etag in known and time.monotonic() < until:
            await asyncio.sleep(LOOK_INTERVAL)
            self._site.refresh()
        return {"Preference-Applied": f"wait={seconds}"}

    async def _put_record(self, request: web.Request) -> web.StreamResponse:
        record_id = request.match_info["id"]
        body = await request.read()
        fault = _record_fault(record_id, request.headers.get("Idempotency-Key"), body)
        if fault:
            return _problem(400, fault)
        fresh = self._ledger.put(self._site_id, record_id, body, time.time())
        if self.faults.drop_record():
            return await _hang_up(request)
        return _json({"id": record_id, "repeat": not fresh}, status=201 if fresh else 200)

    async def _get_records(self, request: web.Request) -> web.StreamResponse:
        entries = self._ledger.entries(self._site_id)
        return _json(
            {
                "site": self._site_id,
                "count": len(entries),
                "arrivals": sum(entry.arrivals for entry in entries),
                "records": entries,
            }
        )

    async def _enrol(self, request: web.Request) -> web.StreamResponse:
        return await self._certify(request, self._registry.enrol)

    async def _renew(self, request: web.Request) -> web.StreamResponse:
        if not self._registry.knows(request):
            return _problem(403, "A certificate is renewed on the strength of the one in use")
        return await self._certify(request, self._registry.renew)

    async def _certify(
        self, request: web.Request, sign: Callable[[AskedCertificate], dict[str, object]]
    ) -> web.StreamResponse:
        try:
            asked = msgspec.json.decode(await request.read(), type=AskedCertificate)
            return _json(sign(asked), status=201)
        except (msgspec.DecodeError, LocalError) as error:
            return _problem(403 if isinstance(error, LocalError) else 400, str(error))

    async def _new_token(self, request: web.Request) -> web.StreamResponse:
        return _json({"token": self._registry.new_token()})

    async def _get_status(self, request: web.Request) -> web.StreamResponse:
        records, arrivals = self._ledger.counts()
        return _json(
            {
                "site": self._site_id,
                "bundle": {
                    "version": self._site.plain.version,
                    "etag": self._site.etag,
                    "pulls": self._bundle_pulls,
                },
                "api": {"order": self.faults.order, "drops_left": self.faults.drops_left},
                "zones": [zone.status() for zone in self._zones.values()],
                "records": {"count": records, "arrivals": arrivals},
            }
        )

    async def _command_zone(self, request: web.Request) -> web.StreamResponse:
        zone = self._zones.get(request.match_info["zone"])
        if zone is None:
            return _problem(404, f"No such zone; there are: {', '.join(self._zones)}")
        order = _decode(await request.read(), ZoneOrder)
        if isinstance(order, str):
            return _problem(400, order)
        await zone.command(order)
        return _json(zone.status())

    async def _command_api(self, request: web.Request) -> web.StreamResponse:
        order = _decode(await request.read(), ApiOrder)
        if isinstance(order, str):
            return _problem(400, order)
        self.faults.command(order)
        return _json(order)


def _decode(body: bytes, kind: type[Order]) -> Order | str:
    """Return the order, or one sentence about what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        return str(error)


def _delta_answer(
    body: bytes, base: str, delta: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer with what makes `body` of the bundle whose ETag is `base` (RFC 3229)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    more = {"IM": FORMAT, "Delta-Base": f'"{base}"', "Repr-Digest": f"sha-256=:{digest}:"}
    return web.Response(
        status=226, reason="IM Used", body=delta, content_type=BUNDLE_TYPE, headers=headers | more
    )


def _takes_deltas(accepted: str) -> bool:
    """Tell whether A-IM (RFC 3229, 10.5.3) names our format, and not with `q=0`."""
    for one in accepted.split(","):
        name, _, rest = one.strip().partition(";")
        if name.strip().lower() == FORMAT:
            return rest.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _record_fault(record_id: str, key: str | None, body: bytes) -> str:
    if key != record_id:
        return "Idempotency-Key must equal the record's id"
    try:
        record = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        return f"The record is not JSON: {error}"
    if not isinstance(record, dict) or record.get("id") != record_id:
        return "The record's id must equal the one in the path"
    return ""


async def _hang_up(request: web.Request) -> web.StreamResponse:
    """Begin an answer and cut the connection inside its status line."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 20")
        request.transport.close()
    return web.Response(status=500)


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), content_type="application/json", status=status
    )


def _problem(status: int, detail: str) -> web.Response:
    """Report an error as RFC 9457 wants it."""
    problem = {"type": "about:blank", "status": status, "detail": detail}
    return web.Response(
        body=msgspec.json.encode(problem), content_type="application/problem+json", status=status
    )
