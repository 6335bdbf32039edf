"""Whether the cloud's HTTPS answers: beside a zone that fails it tells the line from the zone."""

from __future__ import annotations

import ssl
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import aiohttp

from appliance.errors import LocalError
from appliance.evidence import Step
from appliance.settings import Settings

PATIENCE = 6.0
"""Seconds for connecting and the head of an answer."""


def cloud_context(ca: Path | None) -> ssl.SSLContext:
    """Build what the cloud's certificate is checked with; raises LocalError for a bad file."""
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise LocalError(f"cloud_ca {ca}: {error}") from error


async def ask_cloud(settings: Settings) -> tuple[int, str, float]:
    """Return status, Date and seconds of one question to the cloud's API.

    Raises LocalError for settings that cannot be used, OSError or TimeoutError for no answer.
    """
    if not _host(settings.cloud_url):
        raise LocalError("there is no cloud_url in the settings")
    begun = monotonic()
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    tls = cloud_context(settings.cloud_ca)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(settings.cloud_url, ssl=tls, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers.get("Date", ""), monotonic() - begun


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError as error:
        raise LocalError(f"cloud_url {url!r}: {error}") from error


async def probe_https(settings: Settings) -> Step | None:
    """Return whether the cloud's API answers at all; None where there is none."""
    if not settings.cloud_url:
        return None
    begun = monotonic()
    try:
        status, _, spent = await ask_cloud(settings)
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        text = f"{settings.cloud_url}: {error or 'no answer in time'}"
        spent = monotonic() - begun
        return Step(layer="https", verdict="fail", kind="silence", text=text, seconds=spent)
    except LocalError as error:
        return Step(layer="https", verdict="unknown", text=str(error))
    return Step(layer="https", verdict="ok", text=f"answers {status}", seconds=spent)
