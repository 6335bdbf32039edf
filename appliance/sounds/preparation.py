"""Make a site's prompts ready to be played: `python -m appliance.sounds.preparation FOLDER`.

A process of its own, which ends when it is done: speaking and resampling take seconds, in which
no phone may wait for core. What is wanted comes on its standard input.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from appliance.bundle import Bundle, Prompt
from appliance.bundle.spoken import spoken_texts
from appliance.bundle.wav import read_wav
from appliance.errors import HoldfastError
from appliance.files import write_durably
from appliance.rtp.g711 import encode_ulaw
from appliance.rtp.loudness import faded
from appliance.rtp.recording import samples_of
from appliance.sounds.shelf import INDEX, Shelf
from appliance.sounds.speech import speak

SUFFIX = ".ulaw"
FILE_MODE = 0o640
NICENESS = 10
"""Below everything that serves calls."""


class Wanted(msgspec.Struct, frozen=True):
    """What a bundle says about sounds."""

    language: str
    country: str
    prompts: tuple[Prompt, ...] = ()
    spoken: dict[str, str] = {}
    """Names of further sounds, with what they say: people and places, for emergencies."""

    @classmethod
    def of(cls, bundle: Bundle) -> Wanted:
        """Return what this bundle wants."""
        spoken = spoken_texts(bundle)
        return cls(bundle.site.language, bundle.number_plan.country, bundle.prompts, spoken)

    @property
    def digest(self) -> str:
        """What tells two wishes apart."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()


def without_audio(bundle: Bundle) -> Bundle:
    """Return the bundle with its prompts' texts only."""
    if not any(prompt.audio for prompt in bundle.prompts):
        return bundle
    silent = tuple(msgspec.structs.replace(prompt, audio=b"") for prompt in bundle.prompts)
    return msgspec.structs.replace(bundle, prompts=silent)


def prepare(wanted: Wanted, folder: Path) -> Shelf:
    """Make every prompt and then the index; a prompt that cannot be made is named in it.

    Raises Unavailable when the disk does not take it, with the sounds of before untouched.
    """
    files: dict[str, str] = {}
    missing: dict[str, str] = {}
    spoken = [Prompt(id=name, text=text) for name, text in wanted.spoken.items()]
    _make(wanted.prompts, wanted.language, folder, files, missing)
    if spoken:
        # Thousands of names take minutes, for which the site's own prompts need not wait.
        _write_index(folder, wanted, "", files, missing)
        _make(spoken, wanted.language, folder, files, missing)
    shelf = _write_index(folder, wanted, wanted.digest, files, missing)
    _tidy(folder, files.values())
    return shelf


def _make(
    prompts: Iterable[Prompt],
    usual: str,
    folder: Path,
    files: dict[str, str],
    missing: dict[str, str],
) -> None:
    for prompt in prompts:
        language = prompt.language or usual
        file = folder / _file_name(prompt, language)
        if not file.exists():
            try:
                samples = _samples(prompt, language)
            except HoldfastError as error:
                missing[prompt.id] = str(error)
                continue
            write_durably(file, encode_ulaw(samples), FILE_MODE)
        files[prompt.id] = file.name


def _write_index(
    folder: Path, wanted: Wanted, made_from: str, files: dict[str, str], missing: dict[str, str]
) -> Shelf:
    shelf = Shelf(
        made_from=made_from,
        language=wanted.language,
        country=wanted.country,
        files=files,
        missing=missing,
    )
    write_durably(folder / INDEX, msgspec.json.encode(shelf), FILE_MODE)
    return shelf


def _samples(prompt: Prompt, language: str) -> array[int]:
    """Return what a prompt sounds like; a recording keeps the loudness its maker gave it."""
    if prompt.audio:
        return faded(samples_of(read_wav(prompt.audio)))
    return speak(prompt.text, language)


def _file_name(prompt: Prompt, language: str) -> str:
    """Return a name that another content never has, so that nothing is made twice."""
    content = prompt.audio or f"{language}\0{prompt.text}".encode()
    return hashlib.sha256(content).hexdigest()[:32] + SUFFIX


def _tidy(folder: Path, kept: Iterable[str]) -> None:
    """Remove what no prompt is made of any more; who plays it has read it."""
    for name in {file.name for file in folder.glob(f"*{SUFFIX}")} - set(kept):
        with suppress(OSError):
            (folder / name).unlink()


def main(words: list[str]) -> int:
    """Prepare what standard input asks for in the folder named."""
    os.nice(NICENESS)
    try:
        wanted = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Wanted)
        prepare(wanted, Path(words[0]))
    except (HoldfastError, msgspec.MsgspecError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
