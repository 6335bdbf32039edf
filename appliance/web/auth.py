"""The token of the command line, which lies in the data folder."""

from __future__ import annotations

import logging
import secrets
import stat
from pathlib import Path

from appliance.errors import Unavailable
from appliance.files import write_durably

log = logging.getLogger("holdfast.web")


def ensure_token(file: Path) -> str:
    """Return the token in `file`, making one when there is none; only its owner may read it.

    Raises Unavailable when the file can neither be read nor written.
    """
    try:
        token = file.read_text(encoding="ascii").strip()
        if token and stat.S_IMODE(file.stat().st_mode) & 0o077:
            log.warning("%s could be read by others; mended, consider a new token", file)
            file.chmod(0o600)
    except FileNotFoundError:
        token = ""
    except (OSError, ValueError) as error:
        raise Unavailable(f"{file} cannot be read: {error}") from error
    if not token:
        token = secrets.token_urlsafe(32)
        write_durably(file, f"{token}\n".encode(), 0o600)
    return token
