"""Commanding a running reference cloud from another process."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably

ACCESS_FILE = "access.json"
TIMEOUT = 10.0
"""Seconds to wait for the cloud's answer to a command."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a running cloud; kept in its folder for the CLI and for settings files."""

    url: str
    ca: str
    """Path of the CA's PEM file."""
    site: str
    site_token: str
    """For appliances."""
    control_token: str
    """For whoever commands failures."""
    bundle_key: str = ""
    """Public key that its bundles are signed with, as `bundle_keys` has it."""

    def save(self, folder: Path) -> None:
        """Write it into the cloud's folder."""
        write_durably(folder / ACCESS_FILE, msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, folder: Path) -> Access:
        """Return what the cloud with this folder wrote; LocalError when there is nothing good."""
        file = folder / ACCESS_FILE
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except OSError as error:
            raise LocalError(
                f"{file}: {error.strerror}; is the reference cloud running with --data {folder}?"
            ) from error
        except msgspec.DecodeError as error:
            raise LocalError(f"{file}: {error}; start the reference cloud again") from error


def ask(access: Access, path: str, order: dict[str, Any] | None = None) -> Any:
    """GET a path of the cloud, or POST an order to it; return the decoded answer.

    Raises LocalError for a refusal and Unavailable when there is no answer.
    """
    token = access.control_token if path.startswith("/control/") else access.site_token
    request = urllib.request.Request(
        access.url + path,
        data=None if order is None else json.dumps(order).encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    context = ssl.create_default_context(cafile=access.ca)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise LocalError(f"the cloud refused: {_detail(error)}") from error
    except OSError as error:
        raise Unavailable(f"no cloud at {access.url}: {error}") from error


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error)
