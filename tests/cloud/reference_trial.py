"""A small site and a running reference cloud for the tests of cloud and phones."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance.bundle import Bundle, Credential, Site, User, Zone
from appliance.cloud.reference.service import CloudSettings, ReferenceCloud
from appliance.settings import Settings

REALM = "cloud.test"
PASSWORD = "secret-{}"


def credential(name: str) -> Credential:
    secret = f"{name}:{REALM}:{PASSWORD.format(name)}".encode()
    return Credential(
        username=name,
        realm=REALM,
        md5=hashlib.md5(secret).hexdigest(),
        sha256=hashlib.sha256(secret).hexdigest(),
    )


def user(extension: str) -> User:
    name = f"user{extension}"
    return User(id=name, name=name, extension=extension, credentials=(credential(name),))


def site_bundle(users: int = 4, **changes: Any) -> Bundle:
    plain = Bundle(
        version=1,
        site=Site(id="hq", name="HQ", code="71", domain="cloud.test", realm=REALM),
        zones=(Zone(id="primary", host="a.test"), Zone(id="secondary", host="b.test")),
        users=tuple(user(str(1001 + number)) for number in range(users)),
    )
    return msgspec.structs.replace(plain, **changes)


@asynccontextmanager
async def reference_cloud(folder: Path, bundle: Bundle | None = None) -> AsyncIterator[Any]:
    site = folder / "site.json"
    site.write_bytes(msgspec.json.encode(bundle or site_bundle()))
    cloud = ReferenceCloud(
        CloudSettings(site=site, data=folder / "cloud", http_port=0, zone_ports=(0, 0))
    )
    await cloud.start()
    try:
        yield cloud
    finally:
        await cloud.stop()


def settings_at(cloud: Any, folder: Path, **more: Any) -> Settings:
    """Give the settings of an appliance that knows this cloud."""
    return Settings(
        data=folder,
        cloud_site="hq",
        cloud_url=cloud.access.url,
        cloud_token=cloud.access.site_token,
        cloud_ca=Path(cloud.access.ca),
        **more,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
