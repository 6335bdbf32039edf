"""Make the sounds that ship, from `prompts.toml` and a seed: `python -m appliance.sounds.make`."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

from appliance.bundle.wav import Wav, write_wav
from appliance.errors import HoldfastError
from appliance.rtp.g711 import encode_ulaw
from appliance.rtp.tone import RATE
from appliance.sounds.defaults import FOLDER, MUSIC, texts
from appliance.sounds.music import compose
from appliance.sounds.speech import speak


def make(folder: Path) -> Iterator[Path]:
    """Write every file below a folder and yield it; raises Unavailable without espeak-ng."""
    for language, prompts in texts().items():
        (folder / language).mkdir(parents=True, exist_ok=True)
        for name, text in prompts.items():
            yield _write(folder / language / f"{name}.wav", speak(text, language))
    yield _write(folder / MUSIC.name, compose())


def _write(file: Path, samples: array[int]) -> Path:
    # Mu-law: half the size of PCM, and what most calls are carried in anyway.
    file.write_bytes(write_wav(Wav("PCMU", RATE, 1, encode_ulaw(samples))))
    return file


def main(words: list[str]) -> int:
    """Make them in the folder named, or where they belong."""
    folder = Path(words[0]) if words else FOLDER
    try:
        files = list(make(folder))
    except HoldfastError as error:
        print(f"sounds: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in files)
    print(f"{len(files)} sounds, {size / 1e6:.1f} MB, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
