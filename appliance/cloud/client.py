"""The cloud's HTTPS API as an appliance uses it; docs/cloud-api.openapi.json describes it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from appliance.bundle import BUNDLE_LIMIT
from appliance.call.record import CallRecord
from appliance.cloud.delta import FORMAT, BadDelta
from appliance.errors import LocalError, Unavailable
from appliance.marking import MANAGEMENT
from appliance.settings import Settings

BUNDLE_TIMEOUT = aiohttp.ClientTimeout(total=600, connect=10, sock_connect=10, sock_read=30)
"""Seconds; 64 MiB at 1 Mbit/s take 540."""
RECORD_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=10, sock_connect=10, sock_read=10)
"""Seconds for one call record of a few KiB."""
CERTIFIED_LIMIT = 64 << 10
DETAIL_LIMIT = 4096
"""Bytes read of an error's explanation."""
DELTA_LIMIT = 4 << 20
"""Bytes of a delta; another name for each of 10,000 users takes 190,000."""
SHA_256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):")
"""In Repr-Digest, RFC 9530."""


class Refused(LocalError):
    """Report a call record that the cloud will not take, however often it is sent."""


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """What the cloud answers to a request for a certificate."""

    site: str
    certificate: str
    """PEM, with the chain to the cloud's CA for appliances."""
    bundle_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchedBundle:
    """A bundle as it came, not yet looked at."""

    data: bytes
    etag: str
    """What to show next time, so that it is not sent again; empty when the cloud gave none."""
    by_delta: bool = False
    octets: int = 0
    """Of the body that came, unpacked: of the delta or of the whole."""
    no_delta: str = ""
    """Why a delta that came before it was of no use."""


@dataclass(frozen=True, slots=True)
class FetchedDelta:
    """What makes a bundle of the one we have, not yet looked at (RFC 3229)."""

    data: bytes
    etag: str
    """Of the bundle it makes."""
    digest: bytes
    """SHA-256 of the bundle it makes."""


class CloudClient:
    """Ask the cloud on behalf of one appliance; close it after use (`async with`).

    Every method raises Unavailable when the cloud cannot be asked now, or gives no sense.
    """

    def __init__(self, settings: Settings) -> None:
        """Raise LocalError for a URL or CA file that cannot be used."""
        self._bundle_url = _checked(settings.cloud_url)
        self._records_url = _checked(settings.cloud_records_url or settings.cloud_url)
        token = settings.cloud_token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._settings = settings
        self._tls = _context(settings)
        self._session: aiohttp.ClientSession | None = None
        self.waits = False
        """Whether the cloud answered the last question only when there was something new."""

    async def __aenter__(self) -> CloudClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what connections are open."""
        if self._session is not None:
            await self._session.close()

    async def fetch_bundle(
        self, site: str, known: list[str], wait: int = 0, base: str = ""
    ) -> FetchedBundle | FetchedDelta | None:
        """Return the site's bundle, or None when it is one of those whose ETags are `known`.

        A cloud that can lets the question wait for up to `wait` seconds until there is another
        (RFC 7240, 4.3); `waits` tells whether it did. `base` is the ETag of the one a delta may
        start from; raises BadDelta for a delta that cannot be used.
        """
        url = f"{self._bundle_url}/v1/sites/{quote(site, safe='')}/bundle"
        headers = {"If-None-Match": ", ".join(known)} if known else {}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        if base:
            headers["A-IM"] = FORMAT
        async with self._asking("GET", url, BUNDLE_TIMEOUT, headers) as answer:
            if wait:
                self.waits = "wait=" in answer.headers.get("Preference-Applied", "")
            if answer.status == 304:
                return None
            if answer.status == 226 and base:
                return await _read_delta(answer, base)
            if answer.status != 200:
                raise Unavailable(await _explain(answer))
            data = await _read_bounded(answer, BUNDLE_LIMIT)
            return FetchedBundle(data, answer.headers.get("ETag", ""), octets=len(data))

    async def enrol(self, token: str, request: str) -> Certified:
        """Have a one-time token answered with a certificate for a key (PKCS 10, PEM).

        Raises LocalError for a token that is wrong, used or too old.
        """
        body = msgspec.json.encode({"token": token, "request": request})
        return await self._certify(f"{self._bundle_url}/v1/enrol", body)

    async def renew(self, site: str, request: str) -> Certified:
        """Have another key certified, on the strength of the certificate in use."""
        url = f"{self._bundle_url}/v1/sites/{quote(site, safe='')}/certificate"
        return await self._certify(url, msgspec.json.encode({"request": request}))

    def reload(self) -> None:
        """Show the certificate that is there now on new connections; raises LocalError."""
        self._tls = _context(self._settings)

    async def _certify(self, url: str, body: bytes) -> Certified:
        headers = {"Content-Type": "application/json"}
        async with self._asking("POST", url, RECORD_TIMEOUT, headers, body) as answer:
            if answer.status in (400, 401, 403, 409, 422):
                raise LocalError(await _explain(answer))
            if answer.status not in (200, 201):
                raise Unavailable(await _explain(answer))
            try:
                data = await answer.content.read(CERTIFIED_LIMIT)
                return msgspec.json.decode(data, type=Certified)
            except msgspec.DecodeError as error:
                raise Unavailable(f"the cloud's answer makes no sense: {error}") from error

    async def put_record(self, record: CallRecord) -> None:
        """Deliver a call record; returns only when the cloud said it has it, now or before.

        Raises Refused when sending it again would not help.
        """
        site, name = quote(record.site, safe=""), quote(record.id, safe="")
        url = f"{self._records_url}/v1/sites/{site}/records/{name}"
        headers = {"Idempotency-Key": record.id, "Content-Type": "application/json"}
        body = msgspec.json.encode(record)
        async with self._asking("PUT", url, RECORD_TIMEOUT, headers, body) as answer:
            if answer.status in (400, 409, 413, 422):
                raise Refused(await _explain(answer))
            if answer.status not in (200, 201):
                raise Unavailable(await _explain(answer))

    @asynccontextmanager
    async def _asking(
        self,
        method: str,
        url: str,
        timeout: aiohttp.ClientTimeout,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            connector = aiohttp.TCPConnector(socket_factory=_marked_socket)
            self._session = aiohttp.ClientSession(connector=connector)
        try:
            # A redirect would carry our token to wherever it points.
            async with self._session.request(
                method,
                url,
                data=body,
                headers=self._headers | headers,
                timeout=timeout,
                ssl=self._tls,
                allow_redirects=False,
            ) as answer:
                yield answer
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            where = urlsplit(url).netloc
            raise Unavailable(f"cloud at {where}: {_cause(error)}") from error


def _marked_socket(place: aiohttp.connector.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = place
    made = socket.socket(family, kind, protocol)
    MANAGEMENT.mark(made)
    return made


def _checked(url: str) -> str:
    """Refuse a URL that would show the token to anybody on the way."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return url.rstrip("/")
    raise LocalError(f"cloud URL {url!r}: write one that begins with https://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.cloud_ca)
    except (OSError, ssl.SSLError) as error:
        raise LocalError(f"cloud_ca {settings.cloud_ca}: {error}; name a PEM file") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    own = client_certificate(settings)
    if own.exists():
        try:
            context.load_cert_chain(own)
        except (OSError, ssl.SSLError) as error:
            raise LocalError(f"{own}: {error}; enrol this appliance again") from error
    return context


def client_certificate(settings: Settings) -> Path:
    """Return where enrolment keeps the certificate for the cloud, with its key."""
    return settings.data / "cloud" / "client.pem"


async def _read_bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the body, unpacked; raises Unavailable for one that is larger than it may be."""
    data = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > limit:
            raise Unavailable(f"the cloud's answer is larger than {limit:,} bytes")
    return bytes(data)


async def _read_delta(answer: aiohttp.ClientResponse, base: str) -> FetchedDelta:
    """Read a delta to the bundle whose ETag is `base`; raises BadDelta for any other answer."""
    headers = answer.headers
    digest = SHA_256.search(headers.get("Repr-Digest", ""))
    if headers.get("IM", "").strip().lower() != FORMAT:
        raise BadDelta(f"its format is {headers.get('IM', '')!r}, not {FORMAT}")
    # A proxy that packs answers has made the ETag a weak one (RFC 9110, 8.8.3); the digest decides.
    if headers.get("Delta-Base", base).removeprefix("W/") != base.removeprefix("W/"):
        raise BadDelta(f"it starts from {headers['Delta-Base']!r}, and {base} is here")
    if digest is None:
        raise BadDelta("no Repr-Digest with a sha-256 tells what it should make")
    try:
        data = await _read_bounded(answer, DELTA_LIMIT)
    except (Unavailable, TimeoutError, aiohttp.ClientError, OSError) as error:
        raise BadDelta(_cause(error)) from error
    return FetchedDelta(data, headers.get("ETag", ""), base64.b64decode(digest[1]))


async def _explain(answer: aiohttp.ClientResponse) -> str:
    """Say what status the cloud gave, with its own words when it has any."""
    text = f"cloud answered {answer.status} {answer.reason}"
    if answer.status in (401, 403):
        text += "; check cloud_token"
    try:
        problem = msgspec.json.decode(await answer.content.read(DETAIL_LIMIT))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return f"{text}: {detail[:200]!r}" if isinstance(detail, str) else text


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
