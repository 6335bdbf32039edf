"""Keys as tones in the audio, for a line that takes no telephone events (E2).

A phone that was told of no events sends tones by itself. But a caller that has heard us first has
events with us, and some phones send keys by INFO whatever was agreed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec.structs import replace

from appliance.call.actions import Relay, RelaySide, Sound
from appliance.call.events import DigitPressed, Heard, SoundEnded
from appliance.call.media import CallMedia
from appliance.call.relays import CALLEE, CALLER, is_deaf, opposite

TONE: Final = "tone/dtmf-"
"""How the names of the sounds of keys begin."""
WAITING_LIMIT = 32
"""Keys that wait while one sounds: five seconds of them."""


class InBand:
    """Play keys to a side of a call, one after another."""

    def __init__(self, media: CallMedia) -> None:
        self._media = media
        self._waiting: deque[str] = deque(maxlen=WAITING_LIMIT)
        self._serial = 0

    def heard(self, event: Heard) -> None:
        """Take a key that media was asked to tell, or the end of a tone."""
        side = CALLER if event.side == "a" else CALLEE
        if isinstance(event, DigitPressed):
            self.press(opposite(side), event.digit)
        elif isinstance(event, SoundEnded):
            self._ended(event, side)

    def press(self, side: int, digit: str) -> bool:
        """Play a key to a side that needs it as a tone; return whether it does."""
        relay = next((one for one in self._media.relays if is_deaf(_end(one, side))), None)
        end = _end(relay, side)
        if relay is None or relay.b is None or end is None:
            return False
        if end.hears is None:
            self._waiting.clear()
            self._play(relay, side, end, digit)
        elif end.hears.name.startswith(TONE):
            self._waiting.append(digit)
        return True

    def _ended(self, event: SoundEnded, side: int) -> None:
        relay = next((one for one in self._media.relays if one.key == event.key), None)
        end = _end(relay, side)
        if relay is None or end is None or end.hears is None:
            return
        if end.hears.serial != event.serial or not end.hears.name.startswith(TONE):
            return
        if self._waiting:
            self._play(relay, side, end, self._waiting.popleft())
        else:
            self._put(relay, side, replace(end, hears=None))

    def _play(self, relay: Relay, side: int, end: RelaySide, digit: str) -> None:
        self._serial += 1
        self._put(relay, side, replace(end, hears=Sound(TONE + digit, serial=self._serial)))

    def _put(self, relay: Relay, side: int, end: RelaySide) -> None:
        self._media.put(replace(relay, a=end) if side == CALLER else replace(relay, b=end))


def _end(relay: Relay | None, side: int) -> RelaySide | None:
    if relay is None:
        return None
    return relay.a if side == CALLER else relay.b
