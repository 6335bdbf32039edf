"""What phones can be made to hear, by name, in packets' payloads ready to be sent.

Nothing is transcoded while it plays: a sound is read once, cut into payloads of 20 ms and kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from appliance.bundle.wav import read_wav
from appliance.errors import LocalError
from appliance.media.loop import log
from appliance.rtp.g711 import SILENCE, encode_ulaw, ulaw_to_alaw
from appliance.rtp.progress_tone import FRAME, SUPPORTED, progress_tone
from appliance.sounds.defaults import MUSIC, prompt_file
from appliance.sounds.shelf import INDEX, Shelf, read_shelf

Frames = tuple[bytes, ...]

CACHE_OCTETS = 32 << 20
"""Payloads kept at most: an hour of sound in one codec; the longest unused goes first."""

_FROM_ULAW: Final[dict[str, Callable[[bytes], bytes]]] = {
    "PCMU": bytes,
    "PCMA": ulaw_to_alaw,
}
_TONE = "tone/"


class Sounds:
    """The sounds prepared in a folder, and those that ship where it has none."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read what is there; never raises, for a phone without music is better than none."""
        self._folder = folder
        self._shelf = Shelf()
        self._seen: tuple[int, int] | None = None
        self._kept: OrderedDict[tuple[str, str], Frames] = OrderedDict()
        self._octets = 0
        self._look_for_change()
        # All that takes long is made now: 50 ms for which no packet should have to wait later.
        for name in SUPPORTED:
            self.frames(_TONE + name, "PCMU")
        ulaw_to_alaw(b"")
        prompt_file("", "")

    def frames(self, name: str, codec_name: str) -> Frames | None:
        """Return a sound as payloads of 20 ms; None: no such sound, or not in this codec.

        `music`, `tone/<name>` or a prompt's id; `PCMU` or `PCMA`. What was returned stays good
        when the site's sounds change; the next call finds the new ones.
        """
        convert = _FROM_ULAW.get(codec_name)
        if convert is None:
            return None
        self._look_for_change()
        key = (name, codec_name)
        frames = self._kept.get(key)
        if frames is not None:
            self._kept.move_to_end(key)
            return frames
        octets = self._read(name)
        if octets is None:
            return None
        frames = _cut(convert(octets), SILENCE[codec_name])
        self._keep(key, frames)
        return frames

    def _look_for_change(self) -> None:
        """Read the index again if another stands there; one stat per sound that begins."""
        if self._folder is None:
            return
        try:
            found = (self._folder / INDEX).stat()
            seen = (found.st_ino, found.st_mtime_ns)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        self._kept.clear()
        self._octets = 0
        try:
            self._shelf = read_shelf(self._folder)
        except LocalError as error:
            log(f"{error}; playing what ships")
            self._shelf = Shelf()

    def _read(self, name: str) -> bytes | None:
        own = self._shelf.files.get(name)
        if own is not None and self._folder is not None:
            try:
                return (self._folder / own).read_bytes()
            except OSError as error:
                log(f"sound {name}: {own}: {error.strerror}; playing what ships")
        if name.startswith(_TONE):
            samples = progress_tone(name.removeprefix(_TONE), self._shelf.country)
            return encode_ulaw(samples) if samples is not None else None
        file = MUSIC if name == "music" else prompt_file(name, self._shelf.language)
        return _octets_of(file) if file is not None else None

    def _keep(self, key: tuple[str, str], frames: Frames) -> None:
        self._kept[key] = frames
        self._octets += len(frames) * FRAME
        while self._octets > CACHE_OCTETS and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._octets -= len(gone) * FRAME


def _cut(octets: bytes, silence: bytes) -> Frames:
    whole = octets + silence * (-len(octets) % FRAME)
    return tuple(whole[n : n + FRAME] for n in range(0, len(whole), FRAME))


def _octets_of(file: Path) -> bytes | None:
    try:
        return read_wav(file.read_bytes()).data
    except (OSError, LocalError) as error:
        log(f"{file}: {error}; install Holdfast again")
        return None
