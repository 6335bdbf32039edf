"""`holdfast media`: carry RTP between phones until told to stop."""

from __future__ import annotations

from appliance.media.process import serve
from appliance.settings import Settings


def run_media(settings: Settings) -> int:
    """Serve in the foreground and return the exit status; raises LocalError if it cannot begin."""
    serve(settings)
    return 0
