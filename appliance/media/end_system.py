"""What we are ourselves to one phone (RFC 3550's end system): who plays, collects and records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from appliance.call.actions import Codec, RelaySide, Sound
from appliance.call.events import DigitPressed, Heard, RecordingEnded, SoundEnded
from appliance.errors import LocalError
from appliance.media.digits import EVENT, DigitCollector
from appliance.media.leg import Leg, Listener
from appliance.media.loop import Loop, log
from appliance.media.player import Player, Players, SynchronizationSource
from appliance.media.recorder import Disk, Recorder, recording_path
from appliance.rtp.sampled import Place

_STATIC = {0: Codec(0, "PCMU", 8000), 8: Codec(8, "PCMA", 8000)}
"""Payload types that need no rtpmap (RFC 3551, 6)."""


class Sounds(Protocol):
    """Where sounds are; `media.sounds.Sounds` is it."""

    def frames(self, name: str, codec_name: str) -> tuple[bytes, ...] | None:
        """Return a sound as payloads of 20 ms; None: no such sound, or not in this codec."""


class Studio:
    """What all end systems of a worker share."""

    def __init__(
        self, loop: Loop, sounds: Sounds | None = None, folder: Path | None = None
    ) -> None:
        """`folder` is where recordings go; without one nothing is recorded."""
        self.sounds = sounds
        self.folder = folder
        self.players = Players(loop)
        self.disk = Disk(loop)
        self.tell: Callable[[Heard], None] = lambda _event: None
        """Who gets what end systems have to tell."""


class EndSystem:
    """Plays to one leg's phone, collects its digits and records it, as its side of a relay asks."""

    def __init__(
        self,
        studio: Studio,
        key: str,
        side: str,
        leg: Leg,
        place: Callable[[], Place | None] = lambda: None,
    ) -> None:
        """`place` tells how far the stream is that the phone hears when nothing plays."""
        self._studio = studio
        self._place = place
        self._key = key
        self._side = side
        self._leg = leg
        self._source: SynchronizationSource | None = None
        self._wanted: Sound | None = None
        self._player: Player | None = None
        self._digits: DigitCollector | None = None
        self._recorder: Recorder | None = None
        self._recording = ""

    def apply(self, side: RelaySide, other: RelaySide | None) -> None:
        """Do what the side asks for; raises LocalError for keys that cannot be used."""
        codecs = _codecs_sent(side, other)
        self._collect(side.digits, codecs)
        self._record(side.record, codecs)
        self._hear(side)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who must get the phone's RTP packets."""
        return tuple(one.hear for one in (self._digits, self._recorder) if one is not None)

    def close(self) -> None:
        """Stop everything; a recording tells its end when it is written."""
        self._stop_player()
        self._digits = None
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None

    # -- sounds -------------------------------------------------------------------------------

    def _hear(self, side: RelaySide) -> None:
        sound = side.hears
        if sound is None:
            self._stop_player()
            self._wanted = None
            return
        playing = self._player
        if sound == self._wanted and (playing is None or playing.codec in side.codecs):
            # Under another key now, perhaps.
            if playing is not None:
                self._leg.open_outbound()
            return
        self._stop_player()
        self._wanted = sound
        self._play(sound, side.codecs)

    def _play(self, sound: Sound, codecs: tuple[Codec, ...]) -> None:
        sounds = self._studio.sounds
        for codec in codecs:
            frames = sounds.frames(sound.name, codec.name) if sounds is not None else None
            if frames:
                self._leg.open_outbound()
                if self._source is None:
                    self._source = SynchronizationSource(self._place())
                source = self._source
                player = Player(self._leg, source, sound, codec, frames, self._sound_ended)
                self._player = player
                self._studio.players.start(player)
                return
        names = ", ".join(codec.name for codec in codecs if codec.name != EVENT) or "no codec"
        self._tell_sound(sound, f"{sound.name[:64]} is not there for a phone that takes {names}")

    def _sound_ended(self) -> None:
        player, self._player = self._player, None
        if player is not None:
            self._tell_sound(player.sound, "")

    def _tell_sound(self, sound: Sound, reason: str) -> None:
        if reason:
            log(f"relay {self._key} side {self._side}: nothing is played: {reason}")
        self._studio.tell(SoundEnded(self._key, self._side, sound.serial, reason))

    def _stop_player(self) -> None:
        if self._player is not None:
            self._studio.players.stop(self._player)
            self._player = None

    # -- digits and recordings ----------------------------------------------------------------

    def _collect(self, wanted: bool, codecs: dict[int, Codec]) -> None:
        if not wanted:
            self._digits = None
        elif self._digits is None:
            self._digits = DigitCollector(codecs, self._pressed)
        else:
            self._digits.codecs = codecs

    def _pressed(self, digit: str) -> None:
        self._studio.tell(DigitPressed(self._key, self._side, digit))

    def _record(self, file: str, codecs: dict[int, Codec]) -> None:
        if self._recorder is not None and file != self._recording:
            self._recorder.stop()
            self._recorder = None
        if file and self._recorder is None and file != self._recording:
            self._recorder = self._recorder_to(file, codecs)
        elif self._recorder is not None:
            self._recorder.codecs = codecs
        self._recording = file

    def _recorder_to(self, file: str, codecs: dict[int, Codec]) -> Recorder | None:
        def ended(seconds: float, reason: str) -> None:
            if reason:
                log(f"relay {self._key} side {self._side}: recording ended: {reason}")
            self._studio.tell(RecordingEnded(self._key, self._side, file, seconds, reason))

        try:
            if self._studio.folder is None:
                raise LocalError("there is no folder for recordings")
            path = recording_path(self._studio.folder, file)
        except LocalError as error:
            ended(0.0, str(error))
            return None
        return Recorder(self._studio.disk, path, codecs, ended)


def _codecs_sent(side: RelaySide, other: RelaySide | None) -> dict[int, Codec]:
    """Return the payload types a phone sends: those the other side takes, for it was told them."""
    codecs = dict(_STATIC)
    for known in (side, other):
        if known is not None:
            codecs |= {codec.payload_type: codec for codec in known.codecs}
    return codecs
