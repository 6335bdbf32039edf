"""Text to speech by espeak-ng: a program that runs once per text, never while a call listens."""

from __future__ import annotations

import os
import shutil
import subprocess
from array import array
from tempfile import TemporaryDirectory

from appliance.bundle.wav import read_wav
from appliance.errors import LocalError, Unavailable
from appliance.rtp.loudness import levelled, trimmed
from appliance.rtp.recording import samples_of

PROGRAM = "espeak-ng"
TIMEOUT = 60.0
"""Seconds for one text; a minute of speech takes about one."""
VOICES = {"en": "en-us"}
"""Voice of a language where it is not the voice of that name."""
_MANNER = ("-s", "150", "-p", "42", "-g", "1")
"""Words per minute, pitch and 10 ms between words: understood on a bad line."""


def can_speak() -> bool:
    """Tell whether the program is installed."""
    return shutil.which(PROGRAM) is not None


def speak(text: str, language: str) -> array[int]:
    """Return a text as even, trimmed 8 kHz samples.

    Raises Unavailable without the program, LocalError for a language or text it cannot speak.
    """
    voice = VOICES.get(language, language.lower())
    command = [PROGRAM, "-v", voice, *_MANNER, "--stdin", "--stdout"]
    try:
        with TemporaryDirectory() as home:
            # Its audio library leaves folders where it thinks itself at home.
            own = {**os.environ, "HOME": home, "PULSE_RUNTIME_PATH": home}
            done = subprocess.run(
                command, input=text.encode(), capture_output=True, timeout=TIMEOUT, env=own
            )
    except FileNotFoundError:
        raise Unavailable(f"{PROGRAM} is not installed, so no text can be spoken") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{PROGRAM}: {error}") from error
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip().replace("\n", " ")[:200]
        raise LocalError(f"{PROGRAM} does not speak `{language}`: {reason or 'no sound'}")
    spoken = trimmed(samples_of(read_wav(done.stdout)))
    if not spoken:
        raise LocalError("there is nothing to say in this text; write words")
    return levelled(spoken)
