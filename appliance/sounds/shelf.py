"""A site's own sounds as they lie prepared under the data folder, and the index that names them.

`current.json` is replaced whole after the files it names are there, so whoever reads it finds all
of the old sounds or all of the new.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.errors import LocalError
from appliance.sounds.defaults import FALLBACK

INDEX = "current.json"


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """What is prepared."""

    made_from: str = ""
    """Digest of what it was prepared from; empty: nothing is prepared."""
    language: str = FALLBACK
    """In which default prompts are played where the site has none of its own."""
    country: str = ""
    """Whose tones these are."""
    files: dict[str, str] = {}
    """Name of a sound to its file: mu-law, 8 kHz, without a header."""
    missing: dict[str, str] = {}
    """Prompt that could not be made to the reason."""


def read_shelf(folder: Path) -> Shelf:
    """Return what is prepared, an empty shelf if nothing was; raises LocalError."""
    try:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=Shelf)
    except FileNotFoundError:
        return Shelf()
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise LocalError(f"{folder / INDEX} cannot be read: {error}; apply the bundle") from error
